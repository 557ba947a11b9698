#!/usr/bin/env node
import { EXIT_CODE } from '../base/errors.ts';
/**
 * One replica of one broker group: parses the command line, builds the object graph, starts it from
 * the bottom up, stops it from the top down. Prints one JSON line on standard output when all
 * listeners are open; logs are JSON lines on standard error.
 */
import { parseBrokerOptions } from './broker-options.ts';
import { runBroker } from './broker-process.ts';
import { exitWith } from './exit.ts';

const outcome = parseBrokerOptions(process.argv.slice(2));
if (outcome.kind === 'refused') {
  process.stderr.write(`Cannot start the broker:\n  ${outcome.problems.join('\n  ')}\n`);
  process.exit(EXIT_CODE.badConfiguration);
}
runBroker(outcome.options).catch(exitWith);

#!/usr/bin/env node
/**
 * One replica of one broker group: settles its configuration, builds the object graph, starts it from
 * the bottom up, stops it from the top down. Prints one JSON line on standard output when all
 * listeners are open; logs are JSON lines on standard error.
 */
import { BROKER_SETTINGS, brokerProblems } from '../config/broker-settings.ts';
import { brokerOptionsOf } from './broker-options.ts';
import { runBroker } from './broker-process.ts';
import { exitWith } from './exit.ts';
import { settledOrEnd } from './server-settings.ts';

const { values, notes } = settledOrEnd(BROKER_SETTINGS, (settled) =>
  brokerProblems(settled.values),
);
runBroker(brokerOptionsOf(values), notes).catch(exitWith);

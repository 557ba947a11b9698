#!/usr/bin/env node
/**
 * A name server process. Prints one JSON line on standard output when it listens; logs are JSON
 * lines on standard error.
 */
import { Command } from 'commander';
import { unreachable } from '../base/assert.ts';
import { EXIT_CODE } from '../base/errors.ts';
import { NodeClock } from '../io/node/node-clock.ts';
import { type NameServerEvent, startNameServer } from '../namesrv/namesrv-server.ts';
import { exitOnUncaught, exitWith } from './exit.ts';
import { createLogger, type Logger } from './logger.ts';
import { onStopSignal } from './stop-signals.ts';

interface NameServerFlags {
  readonly listen: string;
  readonly supervised: boolean;
  readonly logLevel: string;
}

function parseFlags(argv: readonly string[]): NameServerFlags {
  const command = new Command('mq-raft-namesrv')
    .description('Route registry: knows which broker leads which group. Run two or three.')
    .option('--listen <address>', 'host:port to listen on', '127.0.0.1:9876')
    .option('--supervised', 'stop when standard input ends', false)
    .option('--log-level <level>', 'debug, info, warn, error or silent', 'info')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_CODE.badConfiguration));
  const flags = command.parse([...argv], { from: 'user' }).opts<NameServerFlags>();
  if (!/^[^\s]+:\d{1,5}$/.test(flags.listen)) {
    process.stderr.write(`Cannot listen on '${flags.listen}': it is not host:port\n`);
    process.exit(EXIT_CODE.badConfiguration);
  }
  return flags;
}

function logEvent(logger: Logger, event: NameServerEvent): void {
  switch (event.kind) {
    case 'nodeJoined':
      logger.info({ event: 'namesrv.node_joined', ...event.node }, 'A node registered');
      return;
    case 'nodeLeft':
      logger.info({ event: 'namesrv.node_left', ...event.node, why: event.why }, 'A node left');
      return;
    case 'masterChanged': {
      const { cluster, group, master, term } = event;
      const fields = { event: 'namesrv.master_changed', cluster, group, master, term };
      logger.info(fields, 'The master of a group changed');
      return;
    }
    case 'claimRefused': {
      const { node, term, highestTerm, highestNodeId, why } = event;
      const fields = { event: 'namesrv.claim_refused', ...node, term, highestTerm, highestNodeId };
      if (why === 'lowerTerm') logger.info(fields, 'An old leader claim was refused');
      else
        logger.error(
          fields,
          'Two nodes claim one term: a directory was copied, or two clusters share a name',
        );
      return;
    }
    default:
      unreachable(event);
  }
}

async function main(): Promise<void> {
  exitOnUncaught();
  const { listen, supervised, logLevel } = parseFlags(process.argv.slice(2));
  const logger = createLogger(logLevel, { process: 'namesrv' });
  const server = await startNameServer({
    listenAddress: listen,
    clock: new NodeClock(),
    onEvent: (event) => logEvent(logger, event),
  });
  onStopSignal(supervised, (why) => {
    logger.info({ event: 'process.stopping', why }, 'Stopping');
    server.close().then(() => process.exit(0), exitWith);
  });
  const ready = { event: 'ready', pid: process.pid, address: server.address };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

main().catch(exitWith);

#!/usr/bin/env node
/**
 * A name server process. Prints one JSON line on standard output when it listens; logs are JSON
 * lines on standard error.
 */
import { unreachable } from '../base/assert.ts';
import { NAMESRV_SETTINGS } from '../config/namesrv-settings.ts';
import { NodeClock } from '../io/node/node-clock.ts';
import { type NameServerEvent, startNameServer } from '../namesrv/namesrv-server.ts';
import { exitOnUncaught, exitWith } from './exit.ts';
import { createLogger, type Logger } from './logger.ts';
import { settledOrEnd } from './server-settings.ts';
import { onStopSignal } from './stop-signals.ts';

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
  const { values, notes } = settledOrEnd(NAMESRV_SETTINGS, () => []);
  const { listen, supervised } = values;
  const logger = createLogger(values['log-level'], { process: 'namesrv' });
  for (const note of notes) logger.warn({ event: 'config.note', note }, 'The configuration');
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

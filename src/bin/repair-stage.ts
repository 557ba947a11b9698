/**
 * A broker whose log is damaged, before it takes part: it asks the others for what is missing, gives them
 * what they miss, says what it is doing, and hands the log on when it is whole.
 */

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { FatalError } from '../base/errors.ts';
import { adminService } from '../broker/admin/admin-service.ts';
import { brokerService } from '../broker/broker-service.ts';
import { startRepairEndpoint } from '../broker/http/repair-endpoint.ts';
import type { Clock } from '../io/clock.ts';
import { UNDER_REPAIR } from '../protocol/repair-codec.ts';
import { widenFlowWindow } from '../replica/flow-window.ts';
import { PEER_SERVER_OPTIONS } from '../replica/grpc-peer-transport.ts';
import { FLOW_WINDOW_SIZE_BYTES } from '../replica/limits.ts';
import { createRepairClient } from '../replica/repair/repair-client.ts';
import { repairLog } from '../replica/repair/repair-log.ts';
import { repairService } from '../replica/repair/repair-service.ts';
import { createSnapshotClient } from '../replica/snapshot/snapshot-client.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { LogRepairer } from '../store/repair/log-repairer.ts';
import { logRepairEvent, logRepairServiceEvent } from './broker-logging.ts';
import type { BrokerOptions } from './broker-options.ts';
import { exitWith } from './exit.ts';
import type { Logger } from './logger.ts';

export interface RepairStageOptions {
  readonly options: BrokerOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Resolves with the open log, however long that takes. */
export async function repairFirst(
  first: LogRepairer,
  { options, clock, logger, signal }: RepairStageOptions,
): Promise<CommitLog> {
  let repairer = first;
  const server = await listen(
    options.raft,
    serviceOf(() => repairer, clock, logger),
    () => {
      return `${UNDER_REPAIR}: ${repairer.missing} missing (${repairer.problem})`;
    },
  );
  const http = await startRepairEndpoint(options.http, () => repairer);
  const client = createRepairClient();
  const snapshots = createSnapshotClient();
  try {
    return await repairLog({
      repairer: first,
      members: options.members,
      client,
      snapshots,
      clock,
      signal,
      onEvent: (event) => logRepairEvent(logger, event),
      onRepairer: (next) => {
        repairer = next;
      },
    });
  } finally {
    client.close();
    snapshots.close();
    server.forceShutdown();
    await http.close();
  }
}

/** The repairer of the moment: there is a new one after each start-over. */
function serviceOf(current: () => LogRepairer, clock: Clock, logger: Logger) {
  return repairService({
    source: { identity: current().identity, read: (range) => current().read(range) },
    isUnderRepair: true,
    clock,
    onEvent: (event) => logRepairServiceEvent(logger, event),
    onFatal: exitWith,
  });
}

async function listen(
  address: string,
  repair: ReturnType<typeof repairService>,
  what: () => string,
): Promise<Server> {
  const server = new Server(PEER_SERVER_OPTIONS);
  widenFlowWindow(server, FLOW_WINDOW_SIZE_BYTES);
  server.addService(repair.definition, repair.implementation);
  const calls = brokerService({
    answer: async () => ({ kind: 'failure', code: 'busy', message: what() }),
  });
  server.addService(calls.definition, calls.implementation);
  const administration = adminService({
    answer: async () => ({ kind: 'failure', code: 'underRepair', message: what() }),
  });
  server.addService(administration.definition, administration.implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
      if (error === null) return resolve();
      const sentence = `Cannot listen on ${address} for peers: ${error.message}`;
      reject(new FatalError('addressInUse', sentence, { cause: error }));
    });
  });
  return server;
}

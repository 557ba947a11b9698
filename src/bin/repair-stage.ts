/**
 * A broker whose log is damaged, before it takes part: it asks the others for what is missing, gives them
 * what they miss, says what it is doing, and hands the log on when it is whole.
 */

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { FatalError } from '../base/errors.ts';
import { sizeText } from '../base/size-text.ts';
import { adminService } from '../broker/admin/admin-service.ts';
import { brokerService } from '../broker/broker-service.ts';
import { type RepairState, startRepairEndpoint } from '../broker/http/repair-endpoint.ts';
import type { Clock } from '../io/clock.ts';
import { UNDER_REPAIR } from '../protocol/repair-codec.ts';
import { widenFlowWindow } from '../replica/flow-window.ts';
import { PEER_SERVER_OPTIONS } from '../replica/grpc-peer-transport.ts';
import { FLOW_WINDOW_SIZE_BYTES } from '../replica/limits.ts';
import { createRepairClient } from '../replica/repair/repair-client.ts';
import { repairLog } from '../replica/repair/repair-log.ts';
import { RepairPace } from '../replica/repair/repair-pace.ts';
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
  const pace = new RepairPace(clock);
  const state = () => stateOf(repairer, pace);
  const server = await listen(
    options.raft,
    serviceOf(() => repairer, clock, logger),
    () => `${UNDER_REPAIR}: ${textOf(state())} (${repairer.problem})`,
  );
  const http = await startRepairEndpoint(options.http, state);
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
      onEvent: (event) => {
        if (event.kind === 'repairProgress') pace.note(event.sizeBytes);
        logRepairEvent(logger, event);
      },
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

function stateOf(repairer: LogRepairer, pace: RepairPace): RepairState {
  const { missing, missingCount, missingBytes } = repairer;
  return { missing, missingCount, missingBytes, bytesPerSecond: pace.bytesPerSecond() };
}

function textOf({ missing, missingBytes, bytesPerSecond }: RepairState): string {
  const size = missingBytes === null ? '' : `, ${sizeText(missingBytes)} left`;
  const rate = bytesPerSecond === 0 ? '' : `, ${sizeText(bytesPerSecond)}/s`;
  return `${missing} missing${size}${rate}`;
}

/** The repairer of the moment: there is a new one after each start-over. */
function serviceOf(current: () => LogRepairer, clock: Clock, logger: Logger) {
  return repairService({
    source: { identity: current().identity, read: (range) => current().read(range) },
    isUnderRepair: true,
    clock,
    // Nobody writes here but the repair, which is in no hurry.
    pendingMs: () => 0,
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

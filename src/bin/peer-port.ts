/** The port for peers, forwarding and administration, and what other members are given there. */
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { FatalError } from '../base/errors.ts';
import { MIB } from '../base/sizes.ts';
import { brokerService } from '../broker/broker-service.ts';
import type { Gateway } from '../broker/gateway.ts';
import type { Clock } from '../io/clock.ts';
import { backupService } from '../replica/backup/backup-service.ts';
import { widenFlowWindow } from '../replica/flow-window.ts';
import { type GrpcPeerTransport, PEER_SERVER_OPTIONS } from '../replica/grpc-peer-transport.ts';
import { FLOW_WINDOW_SIZE_BYTES } from '../replica/limits.ts';
import { repairService } from '../replica/repair/repair-service.ts';
import type { RunningReplica } from '../replica/replica-options.ts';
import { snapshotService } from '../replica/snapshot/snapshot-service.ts';
import { sourceOf } from '../store/repair/repair-source.ts';
import { logRepairServiceEvent } from './broker-logging.ts';
import { exitWith } from './exit.ts';
import type { Logger } from './logger.ts';

/** A forwarded send of the largest message, with room for its envelope; peers need more, see there. */
const REQUEST_SIZE_BYTES_MAX = 32 * MIB;

/** One service of the port. */
export interface PeerService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** What other members are given: what they have lost of the log, and snapshots of derived state. */
export function peerServices(
  replica: RunningReplica,
  clock: Clock,
  logger: Logger,
): readonly PeerService[] {
  const repairs = repairService({
    source: sourceOf(replica.log, () => replica.status().commitIndex),
    isUnderRepair: false,
    clock,
    pendingMs: () => replica.log.diskStats.oldestPendingMs(),
    onEvent: (event) => logRepairServiceEvent(logger, event),
    onFatal: exitWith,
  });
  const { snapshotAnswers, backups } = replica;
  if (snapshotAnswers === null || backups === null) return [repairs];
  const snapshots = snapshotService(snapshotAnswers, exitWith);
  return [repairs, snapshots, backupService(backups, clock, exitWith)];
}

export async function listenForPeers(
  address: string,
  transport: GrpcPeerTransport,
  gateway: Gateway,
  others: readonly PeerService[],
): Promise<Server> {
  const server = new Server({
    ...PEER_SERVER_OPTIONS,
    'grpc.max_receive_message_length': REQUEST_SIZE_BYTES_MAX,
  });
  widenFlowWindow(server, FLOW_WINDOW_SIZE_BYTES);
  const peers = transport.peerService();
  server.addService(peers.definition, peers.implementation);
  const calls = brokerService(gateway);
  server.addService(calls.definition, calls.implementation);
  for (const each of others) server.addService(each.definition, each.implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
      if (error === null) return resolve();
      const sentence = `Cannot listen on ${address} for peers: ${error.message}. Is another broker running?`;
      reject(new FatalError('addressInUse', sentence, { cause: error }));
    });
  });
  return server;
}

/**
 * The object graph of a broker: everything is built, wired, started and stopped here, and nothing is
 * decided here. Read it from top to bottom to see how the layers meet.
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { LogIndex, type NodeId } from '../base/units.ts';

import { adminService } from '../broker/admin/admin-service.ts';

import { createBroker } from '../broker/broker.ts';
import { createGrpcForwardTransport } from '../broker/forward-transport.ts';
import { createGateway } from '../broker/gateway.ts';
import { startMessagingEndpoint } from '../broker/grpc/endpoint.ts';
import { startHttpEndpoint } from '../broker/http/endpoint.ts';
import { type RegistrationEvent, startRegistration } from '../broker/registration.ts';
import { createAdminCallClient } from '../client/admin-client.ts';
import { inheritedFd, inheritSocket } from '../io/node/inherited-socket.ts';
import { NodeClock } from '../io/node/node-clock.ts';
import { NodeDisk } from '../io/node/node-disk.ts';
import { probeSyncMs } from '../io/node/sync-probe.ts';
import type { Departure } from '../protocol/admin-report.ts';
import { startReplica } from '../replica/driver.ts';
import { createGrpcPeerTransport, type GrpcPeerTransport } from '../replica/grpc-peer-transport.ts';
import type { NodeAddresses } from '../replica/replica.ts';
import type { RunningReplica } from '../replica/replica-options.ts';
import { createSnapshotClient } from '../replica/snapshot/snapshot-client.ts';
import type { CommitLog } from '../store/commit-log.ts';
import { derivedHome } from '../store/derived/derived-home.ts';
import {
  type OpenDerivedStateOptions,
  openDerivedState,
} from '../store/derived/open-derived-state.ts';
import { openCommitLog } from '../store/open-commit-log.ts';
import { refuseUnfinishedRecovery } from '../store/recover/recovery-report.ts';
import { BOOT_ID_SIZE_BYTES } from '../store/remembered-peer.ts';
import { LogNeedsRepair } from '../store/repair/log-needs-repair.ts';
import { SnapshotFiles } from '../store/snapshots/snapshot-files.ts';
import { checkAdvertised, storeHostOf } from './advertised.ts';
import {
  logDerivedEvent,
  logPeerEvent,
  logRegistrationEvent,
  logReplicaEvent,
  logRoles,
  logSnapshotFileEvent,
} from './broker-logging.ts';
import { type AskedOptions, type BrokerOptions, retentionOf } from './broker-options.ts';
import { type DiskCare, startDiskCare } from './disk-care.ts';
import { requireNoDivergence } from './divergence-note.ts';
import { endWith, exitOnUncaught, exitWith } from './exit.ts';
import { settleFounding } from './founding.ts';
import { createLogger, type Logger } from './logger.ts';
import { startAdmin } from './node-admin.ts';
import { listenForPeers, peerServices } from './peer-port.ts';
import { repairFirst } from './repair-stage.ts';
import { startSoundness } from './soundness.ts';
import { onStopSignal } from './stop-signals.ts';
import { takeLeave } from './take-leave.ts';
import { VERSION } from './version.ts';

const MS_PER_SECOND = 1_000;

/** Resolves when all listeners are open; the process then lives until it is told to stop. */
export async function runBroker(asked: AskedOptions, notes: readonly string[] = []): Promise<void> {
  exitOnUncaught();
  const logger = createLogger(asked.logLevel, { process: 'broker', node: asked.nodeId });
  const clock = new NodeClock();
  const addresses = asked.advertised;
  for (const note of notes) logger.warn({ event: 'config.note', note }, 'The configuration');

  const starting = new AbortController();
  let stop = async (): Promise<void> => starting.abort();
  onStopSignal(asked.supervised, (why) => {
    logger.info({ event: 'process.stopping', why }, 'Stopping');
    stop().then(() => process.exit(0), exitWith);
  });
  const options = await settleFounding(asked, {
    ...{ disk: new NodeDisk(), clock, logger, signal: starting.signal },
    ...{ connect: createAdminCallClient, mintUuid: randomUUID },
  });
  const care = startDiskCare(options, clock, logger);
  await requireNoDivergence(new NodeDisk(), options.directory);
  const log = await openLog(options, care, clock).catch((error: unknown) => {
    if (!(error instanceof LogNeedsRepair)) throw error;
    return repairFirst(error.repairer, { options, clock, logger, signal: starting.signal });
  });
  logger.info({ event: 'log.opened', ...recoveredFields(log) }, 'Opened the commit log');
  // Before the clock ticks: it blocks for a moment.
  const fsyncP99Ms = probeSyncMs(options.directory);
  const transport = openTransport(options, log, addresses, clock, logger);
  const onFatal = (error: Error): void => endWith(error, logger, () => stop());
  const replica = await startReplicaOf(options, log, transport, onFatal, clock, logger, care);
  logRoles(logger, replica);
  const stack = await startServing(options, replica, transport, addresses, clock, logger, care);

  stop = () => {
    starting.abort();
    return stack.stop();
  };
  const { nodeId, grpc, raft, http, advertised } = options;
  const listening = { grpc, raft, http };
  const ready = { event: 'ready', nodeId, pid: process.pid, ...listening, advertised, fsyncP99Ms };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  await checkAdvertised(options, log.identity.storeUuid, logger, starting.signal);
}

interface Serving {
  /** New requests are refused, polls end, what is in progress is answered; then all is closed. */
  stop(): Promise<void>;
}

/** Everything above the replica: services, the gateway, and the three listeners. */
async function startServing(
  options: BrokerOptions,
  replica: RunningReplica,
  transport: GrpcPeerTransport,
  addresses: NodeAddresses,
  clock: NodeClock,
  logger: Logger,
  care: DiskCare,
): Promise<Serving> {
  const { nameServers } = options;
  const graceMs = options.stopGraceSeconds * MS_PER_SECOND;
  const guard = await care.watchRoom(options);
  const diskRoom = () => guard.room;
  const soundness = startSoundness({
    ...{ options, replica, clock, logger, disk: new NodeDisk() },
    reserveBytes: () => guard.room.reserveBytes,
  });
  const storeHost = await storeHostOf(options);
  const report = () => soundness.report();
  const broker = createBroker({
    ...{ replica, clock, diskRoom, soundness: report, ...brokerSettings(options, storeHost) },
    retentionBounds: () => replica.logExtent(guard.room.level !== 'ok'),
  });
  const { counters } = broker;
  const forwards = createGrpcForwardTransport();
  const gateway = createGateway({
    ...{ replica, clock, broker, transport: forwards, ownAddresses: addresses },
    memberRaftAddress: (member) => memberAddressOf(replica, member),
  });
  // Peers may ask before clients can come.
  let departure = (): Departure => ({ state: 'serving', userCount: 0 });
  const admin = startAdmin(options, {
    ...{ replica, clock, diskRoom, soundness },
    departure: () => departure(),
  });
  const services = [...peerServices(replica, clock, logger), soundness.verify, adminService(admin)];
  const raftServer = await listenForPeers(options.raft, transport, gateway, services);
  const named = messagingNames(options, addresses, logger);
  const messaging = await startMessagingEndpoint({ gateway, clock, logger, ...named });
  departure = () => messaging.departure();
  let isStopping = false;
  const http = await startHttpEndpoint({
    listenAddress: options.http,
    replica,
    sources: { counters, messaging, diskRoom, soundness: report, ...processSources(replica) },
    isDraining: () => isStopping,
    logger,
  });
  const onEvent = (event: RegistrationEvent): void => logRegistrationEvent(logger, event);
  const registration = startRegistration({ replica, addresses, nameServers, clock, onEvent });
  return {
    stop: async () => {
      isStopping = true;
      await registration.close();
      await takeLeave({ admin, gateway, messaging, clock, graceMs });
      await messaging.close();
      gateway.close();
      admin.close();
      await broker.close();
      forwards.close();
      raftServer.forceShutdown();
      care.stopWaiting();
      await soundness.stop();
      await replica.close();
      await http.close();
      care.close();
    },
  };
}

function messagingNames(options: BrokerOptions, addresses: NodeAddresses, logger: Logger) {
  const { autoCreateTopics, clusterId: clusterName, grpc: listenAddress, nodeId } = options;
  const fd = inheritedFd(process.env, process.pid);
  if (fd !== null) logger.info({ event: 'grpc.inherited', fd }, 'Serves an inherited socket');
  const inherited = fd === null ? null : inheritSocket(fd);
  const advertisedAddress = addresses.grpc;
  return { autoCreateTopics, clusterName, listenAddress, nodeId, advertisedAddress, inherited };
}

/** What metrics tell of the process and of what runs in it unasked. */
function processSources(replica: RunningReplica) {
  return {
    snapshots: () => replica.metrics().snapshots,
    memory: () => process.memoryUsage(),
    version: VERSION,
  };
}

function memberAddressOf(replica: RunningReplica, nodeId: NodeId): string | null {
  const { members } = replica.status().membership.membership;
  return members.find((member) => member.nodeId === nodeId)?.raftAddress ?? null;
}

function brokerSettings(options: BrokerOptions, storeHost: string) {
  const { autoCreateTopics } = options;
  return { autoCreateTopics, storeHost, retention: retentionOf(options) };
}

async function openLog(
  options: BrokerOptions,
  care: DiskCare,
  clock: NodeClock,
): Promise<CommitLog> {
  await refuseUnfinishedRecovery(care.logDisk, options.directory);
  const { clusterId, groupId, nodeId, segmentSizeBytes } = options;
  return openCommitLog(care.logDisk, {
    directory: options.directory,
    identity: { clusterId, groupId, nodeId, segmentSizeBytes },
    mintUuid: () => options.storeUuid ?? randomUUID(),
    mintBootId: () => randomBytes(BOOT_ID_SIZE_BYTES).toString('hex'),
    clock,
    mayAskPeers: options.members.some((member) => member.nodeId !== nodeId),
    onFatal: exitWith,
  });
}

function recoveredFields(log: CommitLog): object {
  const { entries, hardState, provenCommitIndex, bootCount, tornBytes } = log.recovered;
  const { storeUuid } = log.identity;
  const { term } = hardState;
  return { storeUuid, bootCount, term, entryCount: entries.length, provenCommitIndex, tornBytes };
}

function openTransport(
  options: BrokerOptions,
  log: CommitLog,
  addresses: NodeAddresses,
  clock: NodeClock,
  logger: Logger,
): GrpcPeerTransport {
  return createGrpcPeerTransport({
    log,
    members: options.members,
    addresses,
    clock,
    random: systemRandom,
    onEvent: (event) => logPeerEvent(logger, event),
    onFatal: exitWith,
  });
}

async function startReplicaOf(
  options: BrokerOptions,
  log: CommitLog,
  transport: GrpcPeerTransport,
  onFatal: (error: Error) => void,
  clock: NodeClock,
  logger: Logger,
  care: DiskCare,
): Promise<RunningReplica> {
  const { clusterId, groupId, nodeId, directory } = options;
  const disk = new NodeDisk();
  const { base, entries } = log.recovered;
  const stateOptions: OpenDerivedStateOptions = {
    ...{ directory, disk },
    durableIndexMax: entries.at(-1)?.index ?? base.desc?.last.index ?? LogIndex(0),
    onEvent: (event) => logDerivedEvent(logger, event),
    roomWait: care.roomWait,
  };
  const state = await openDerivedState(stateOptions);
  const files = await SnapshotFiles.open({
    ...{ disk, replicaDirectory: directory },
    onEvent: (event) => logSnapshotFileEvent(logger, event),
  });
  const home = derivedHome(stateOptions);
  return startReplica({
    identity: { clusterId, groupId, nodeId },
    members: options.members,
    addresses: options.advertised,
    log,
    state,
    transport,
    snapshots: {
      ...{ files, home, port: createSnapshotClient() },
      isRoomScarce: () => care.isRoomScarce,
      limits: { memberGraceMs: options.memberGraceSeconds * MS_PER_SECOND },
    },
    clock,
    random: systemRandom,
    version: VERSION,
    onFatal,
    onEvent: (event) => logReplicaEvent(logger, event),
  });
}

const systemRandom = { nextU32: (): number => randomInt(2 ** 32) };

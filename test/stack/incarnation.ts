/** A process of a node, from its start to its end, and how it boots: as bin/ does it. */

import { advance, LogIndex, Term } from '../../src/base/units.ts';
import { type SettledFounding, settleFounding } from '../../src/bin/founding.ts';
import { type Admin, createAdmin } from '../../src/broker/admin/admin.ts';
import { type Broker, createBroker } from '../../src/broker/broker.ts';
import { createGateway, type Gateway } from '../../src/broker/gateway.ts';
import type { Message } from '../../src/raft/messages.ts';
import { committedEntryOf } from '../../src/replica/committed-entry.ts';
import { type ReplicaEvent, type RunningReplica, startReplica } from '../../src/replica/driver.ts';
import type { PeerEvent, PeerReceiver, PeerTransport } from '../../src/replica/peer-transport.ts';
import type { GroupMember } from '../../src/replica/replica-options.ts';
import type { SnapshotParts } from '../../src/replica/snapshot/snapshot-desk.ts';
import { type CommitLog, EntriesGone } from '../../src/store/commit-log.ts';
import { derivedHome } from '../../src/store/derived/derived-home.ts';
import type { DerivedState } from '../../src/store/derived/derived-state.ts';
import {
  type OpenDerivedStateOptions,
  openDerivedState,
} from '../../src/store/derived/open-derived-state.ts';
import { openCommitLog } from '../../src/store/open-commit-log.ts';
import { SnapshotFiles } from '../../src/store/snapshots/snapshot-files.ts';
import { MemoryPeers } from '../replica/memory-peer-transport.ts';
import { AdminLink, FACTS, ROOM, SILENT, TASKS } from './admin-link.ts';
import type { Moment } from './fault-script.ts';
import { CallersNetwork } from './faulty-network.ts';
import { MemoryForwarder } from './memory-forwarder.ts';
import type { NodeClock } from './node-clock.ts';
import { withOverrides } from './planted/with-overrides.ts';
import { MEMBER_GRACE_MS, RetentionWatch } from './retention-watch.ts';
import { addressOf, type StackNode } from './stack-node.ts';

export const STORE_DIRECTORY = '/store';
/** Small, so that applying and peers read from the disk as well. */
const TAIL_CACHE_SIZE_BYTES = 24 * 1024;
const RETENTION_PERIOD_MS = 200;
const REPLAYED_SIZE_BYTES_MAX = 64 * 1024;
/** Whoever is away for as long as a crash takes is left behind. */
const SNAPSHOT_LIMITS = {
  ...{ entriesMax: 400, periodMs: 5_000, pauseMsMin: 50 },
  memberGraceMs: MEMBER_GRACE_MS,
};
/** Elections in a few ticks: more of them in a run. */
const TIMING = { heartbeatTicks: 2, electionTimeoutTicksMin: 6, electionTimeoutTicksMax: 12 };

export interface Incarnation {
  readonly clock: NodeClock;
  readonly died: Promise<'died'>;
  readonly die: () => void;
  isAlive: boolean;
  isStopping: boolean;
  log: CommitLog | null;
  state: DerivedState | null;
  files: SnapshotFiles | null;
  peers: MemoryPeers | null;
  replica: RunningReplica | null;
  broker: Broker | null;
  gateway: Gateway | null;
  forwarder: MemoryForwarder | null;
  admin: Admin | null;
}

export async function bootNode(node: StackNode, running: Incarnation): Promise<void> {
  const { observer, segmentSizeBytes, bugs } = node.world;
  const { nodeId } = node;
  const { clock } = running;
  const founded = await foundingOf(node, running);
  if (!running.isAlive) return;
  const { clusterId, groupId } = founded;
  const identity = { clusterId, groupId, nodeId, segmentSizeBytes };
  const opened = await openCommitLog(node.disk, {
    directory: STORE_DIRECTORY,
    ...{ identity, clock },
    mintUuid: () => founded.storeUuid ?? node.mintUuid(),
    mintBootId: () => node.mintBootId(),
    tailCacheSizeBytes: TAIL_CACHE_SIZE_BYTES,
    rules: bugs.storeRules,
    onFatal: (error: unknown) => node.onFatal(running, error),
  });
  if (!running.isAlive) return;
  const log = bugs.wrapLog(watched(node, opened));
  running.log = log;
  observer.onBoot(node.storeName, log.recovered);
  const kv = await node.openKv();
  if (!running.isAlive) return;
  const { base, entries } = log.recovered;
  const stateOptions: OpenDerivedStateOptions = {
    kv,
    durableIndexMax: LogIndex(entries.at(-1)?.index ?? base.desc?.last.index ?? 0),
    onEvent: (event) => observer.violation('F3', `${nodeId}: ${JSON.stringify(event)}`),
  };
  const state = await openDerivedState(stateOptions);
  if (!running.isAlive) return;
  const files = await SnapshotFiles.open({
    ...{ disk: node.disk, replicaDirectory: STORE_DIRECTORY },
    onEvent: (event) => observer.violation('F3', `${nodeId}: ${JSON.stringify(event)}`),
  });
  if (!running.isAlive) return;
  running.files = files;
  const { snapshots } = node.world;
  const parts = {
    ...{ files, home: derivedHome(stateOptions), port: snapshots.portOf(nodeId) },
    limits: SNAPSHOT_LIMITS,
  };
  await join(node, running, { log, state, snapshots: parts, members: founded.members });
}

/** Where nobody joins, nobody asks: those who founded the group know with whom. */
async function foundingOf(node: StackNode, running: Incarnation): Promise<SettledFounding> {
  const { world, nodeId, clusterId, joinPlan } = node;
  const { segmentSizeBytes } = world;
  const isFounder = joinPlan === null;
  const founders = world.founderIds.map((id) => ({ nodeId: id, raftAddress: addressOf(id) }));
  const group = { clusterId, groupId: 'g', segmentSizeBytes };
  if (world.group === null) return { ...group, members: founders, storeUuid: null };
  const asked = {
    ...{ ...group, nodeId, directory: STORE_DIRECTORY, advertised: { raft: addressOf(nodeId) } },
    ...{ members: isFounder ? founders : [], token: joinPlan?.token ?? null },
    join: joinPlan?.addresses ?? [],
  };
  const settled = await settleFounding(asked, {
    ...{ disk: node.disk, clock: running.clock, logger: SILENT },
    connect: (address) => new AdminLink(world, nodeId, running.clock).to(address),
    mintUuid: () => node.mintUuid(),
    signal: new AbortController().signal,
  });
  if (!isFounder && running.isAlive) node.onMoment?.('joins');
  return settled;
}

interface Stored {
  readonly log: CommitLog;
  readonly state: DerivedState;
  readonly snapshots: SnapshotParts;
  /** The founders. */
  readonly members: readonly GroupMember[];
}

async function join(
  node: StackNode,
  running: Incarnation,
  { log, state, snapshots, members }: Stored,
): Promise<void> {
  const { nodeId, world } = node;
  const { observer, bugs } = world;
  const { clock } = running;
  const onFatal = (error: unknown) => node.onFatal(running, error);
  const addresses = { raft: addressOf(nodeId), grpc: `${nodeId}:8081`, http: '' };
  const network = node.isClone ? new CallersNetwork(world.network) : world.network;
  const peers = new MemoryPeers({
    ...{ network, members, addresses, clock, onFatal },
    log: bugs.wrapPins(log),
    onEvent: (event) => onPeerEvent(node, event),
  });
  running.peers = peers;
  const watch = new RetentionWatch(world, nodeId);
  const replica = await startReplica({
    identity: log.identity,
    ...{ members, addresses, log, state, snapshots, clock, onFatal },
    transport: spied(node, peers, watch),
    random: node.raftRandom(),
    timing: TIMING,
    onEvent: (event) => {
      onSnapshotEvent(node, event);
      // A membership that was not committed may be lost with its leader, like every entry.
      if (event.kind === 'alarm' && event.id === 'membershipRolledBack') return;
      if (event.kind === 'alarm' && world.isExpectedAlarm(event.id)) return;
      if (event.kind === 'alarm' && world.group?.mayAlarm(event.id) === true) return;
      if (event.kind === 'chainBroken' || event.kind === 'alarm') {
        observer.violation('F3', `${nodeId}: ${JSON.stringify(event)}`);
      }
    },
  });
  if (!running.isAlive) return;
  running.replica = replica;
  running.state = replica.state;
  if (!node.isClone && replica.snapshotAnswers !== null) {
    world.snapshots.join(nodeId, replica.snapshotAnswers);
  }
  if (node.standing.kind === 'refusesToStart') {
    observer.violation('F2', `${nodeId} starts, although its directory is bad`);
  }
  replica.onApplied((entry) => {
    observer.onApplied(nodeId, entry);
    world.group?.onApplied(node, entry);
    watch.onApplied(entry);
  });
  replica.onRoleChange(({ role, term }) => {
    if (role !== 'leader') return;
    observer.onLeader(nodeId, term);
    world.group?.onLeader(node, replica.status());
    node.onMoment?.('wins');
  });
  await observeReplayed(node, replica);
  if (!running.isAlive) return;
  serve(node, running, { inner: replica, watch, members });
}

/** What was committed when everybody died may be applied by a start, to which nobody listens yet. */
async function observeReplayed(node: StackNode, replica: RunningReplica) {
  const { nodeId, world } = node;
  const { log, state } = replica;
  const last = state.appliedIndex;
  for (let next = LogIndex(world.observer.appliedMax + 1); next <= last; ) {
    try {
      for (const entry of await log.readEntries(next, last, REPLAYED_SIZE_BYTES_MAX)) {
        const replayed = committedEntryOf(entry);
        world.observer.onApplied(nodeId, replayed);
        world.group?.onApplied(node, replayed);
        next = advance(entry.desc.index, 1);
      }
    } catch (error) {
      // Compacted meanwhile.
      if (!(error instanceof EntriesGone)) throw error;
      next = error.firstIndex;
    }
  }
}

interface Watched {
  readonly inner: RunningReplica;
  readonly watch: RetentionWatch;
  readonly members: readonly GroupMember[];
}

function serve(node: StackNode, running: Incarnation, watched: Watched): void {
  const { inner, watch, members: founders } = watched;
  const { clock } = running;
  const { nodeId, world } = node;
  const storeHost = `10.0.0.${node.number + 1}:8081`;
  const replica = world.bugs.wrapReplica(inner);
  const broker = createBroker({
    ...{ replica, clock, autoCreateTopics: true, storeHost },
    retention: world.bugs.wrapLimits({ ageMsMax: null, sizeBytesMax: world.retentionSizeBytes }),
    retentionBounds: () => {
      watch.onLook(Term(inner.status().term));
      return world.bugs.wrapExtent(inner.logExtent(false), inner);
    },
    retentionPeriodMs: RETENTION_PERIOD_MS,
  });
  const forwarder = new MemoryForwarder(world, nodeId);
  if (world.group !== null) {
    const random = node.adminRandom();
    const admin = createAdmin({
      replica: world.bugs.wrapAdminReplica(inner),
      ...{ clock, founders, facts: () => FACTS, diskRoom: () => ROOM, tasks: TASKS },
      transport: new AdminLink(world, nodeId, clock),
      randomBytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
    });
    running.admin = world.bugs.wrapAdmin(admin);
  }
  running.broker = broker;
  running.forwarder = forwarder;
  running.gateway = world.bugs.wrapGateway(
    createGateway({
      ...{ replica, clock, broker, transport: forwarder },
      ownAddresses: { raft: addressOf(nodeId), grpc: `${nodeId}:8081`, http: '' },
      memberRaftAddress: addressOf,
    }),
    replica,
  );
}

const MOMENTS: Partial<Record<ReplicaEvent['kind'], Moment>> = {
  snapshotTaken: 'snapshots',
  logCompacted: 'compacts',
  snapshotPulling: 'pulls',
  snapshotInstalled: 'installs',
  stateRebuilt: 'rebuilds',
};

function onSnapshotEvent(node: StackNode, event: ReplicaEvent): void {
  const { observer } = node.world;
  const moment = MOMENTS[event.kind];
  if (event.kind === 'logCompacted') observer.compactionCount++;
  if (event.kind === 'snapshotInstalled') observer.installCount++;
  if (moment === undefined) return;
  observer.note(moment, node.nodeId);
  node.onMoment?.(moment);
}

function spied(node: StackNode, peers: MemoryPeers, watch: RetentionWatch): PeerTransport {
  const { observer, network } = node.world;
  const spiedReceiver = (receiver: PeerReceiver): PeerReceiver => ({
    onMessage: (from, message, entries) => {
      if (network.isDamaged) {
        observer.violation('H28', `a damaged ${message.kind} reached ${node.nodeId}`);
      }
      if (node.world.isImpostor(from)) {
        observer.violation('H21', `${node.nodeId} listens to the wrong ${from}: ${message.kind}`);
      }
      watch.onHeard(from);
      receiver.onMessage(from, message, entries);
    },
    onUnreachable: (peer) => receiver.onUnreachable(peer),
  });
  return {
    start: (receiver) => peers.start(spiedReceiver(receiver)),
    send: (to, message: Message, entryBytes) => {
      observer.onSend(node.storeName, to, message);
      node.world.group?.onSend(node, to, message);
      if (message.kind === 'voteReply' && message.granted) node.onMoment?.('votes');
      if (message.kind === 'appendAccepted') node.onMoment?.('acknowledges');
      peers.send(to, message, entryBytes);
    },
    setMembership: (current) => peers.setMembership(node.world.bugs.wrapRoster(current)),
    dismiss: (removed) => peers.dismiss(removed),
    linkOf: (peer) => peers.linkOf(peer),
    get counters() {
      return peers.counters;
    },
    close: () => peers.close(),
  };
}

function watched(node: StackNode, log: CommitLog): CommitLog {
  return withOverrides(log, {
    persist: (write) => {
      if (write.truncateFrom !== null) {
        node.world.observer.note('cuts', node.nodeId, write.truncateFrom);
        node.onMoment?.('cuts');
      }
      node.world.group?.onPersist(node, write.entries);
      if (write.entries.some(({ desc }) => desc.type === 'config')) node.onMoment?.('decides');
      log.persist(write);
    },
  });
}

function onPeerEvent(node: StackNode, event: PeerEvent): void {
  const { world, nodeId } = node;
  if (event.kind === 'refusedPeer') world.onRefusal(nodeId, event.code, event.sentence);
  if (event.kind === 'corruptFrame' && world.network.flippedCount === 0) {
    world.observer.violation('H28', `${nodeId} found a damaged frame: ${event.problem}`);
  }
}

/** A group of replicas in one process: production code on stores, network and clock in memory. */
import assert from 'node:assert/strict';
import { concatBytes } from '../../src/base/bytes.ts';
import { Prng } from '../../src/base/prng.ts';
import { KIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import { isJoint, type Membership, type MembershipStep } from '../../src/raft/membership.ts';
import { type ReplicaEvent, type RunningReplica, startReplica } from '../../src/replica/driver.ts';
import type { PeerEvent } from '../../src/replica/peer-transport.ts';
import type { RecordsProposal } from '../../src/replica/replica.ts';
import type { SnapshotLimits } from '../../src/replica/snapshot/limits.ts';
import { type ApplyRules, standardApplyRules } from '../../src/store/derived/apply-rules.ts';
import { type DerivedHome, derivedHome } from '../../src/store/derived/derived-home.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import {
  type OpenDerivedStateOptions,
  openDerivedState,
} from '../../src/store/derived/open-derived-state.ts';
import type { SwitchableState } from '../../src/store/derived/switchable-state.ts';
import { messageRecord, type TestMessage } from '../../src/store/derived/test-log.ts';
import { type SnapshotFileEvent, SnapshotFiles } from '../../src/store/snapshots/snapshot-files.ts';
import { MemoryCommitLog, MemoryStore } from './memory-commit-log.ts';
import { MemoryNetwork, MemoryPeers } from './memory-peer-transport.ts';
import { MemorySnapshots } from './memory-snapshots.ts';

const STEP_MS = 10;
const TURNS_TO_CLOSE = 20;
/** Of simulated time. */
const DEADLINE_MS = 60_000;

export interface RunningNode {
  readonly nodeId: NodeId;
  readonly log: MemoryCommitLog;
  readonly transport: MemoryPeers;
  readonly replica: RunningReplica;
  readonly events: ReplicaEvent[];
  readonly peerEvents: PeerEvent[];
  readonly failures: Error[];
  readonly snapshots: SnapshotFiles;
  readonly snapshotEvents: SnapshotFileEvent[];
  /** Whether the node has been stopped or killed. */
  gone: boolean;
}

export interface GroupOptions {
  readonly size?: number;
  readonly segmentSizeBytes?: number;
  readonly seed?: number;
  readonly snapshotLimits?: Partial<SnapshotLimits>;
  /** Of a replica that applies something else than its log says. */
  readonly rulesOf?: (nodeId: NodeId) => ApplyRules;
}

export class ReplicaGroup {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork();
  readonly transfers = new MemorySnapshots(this.network);
  readonly nodeIds: readonly NodeId[];
  readonly stores = new Map<NodeId, MemoryStore>();
  readonly kvs = new Map<NodeId, MemoryKvStore>();
  /** Of snapshots; the log has a store of its own. */
  readonly disks = new Map<NodeId, MemoryDisk>();
  readonly running = new Map<NodeId, RunningNode>();
  readonly #options: GroupOptions;

  constructor(options: GroupOptions = {}) {
    this.#options = options;
    this.nodeIds = Array.from({ length: options.size ?? 3 }, (_, i) => NodeId(`n${i + 1}`));
    for (const nodeId of this.nodeIds) {
      this.stores.set(nodeId, this.newStore(nodeId, `store-${nodeId}`));
      this.kvs.set(nodeId, new MemoryKvStore());
    }
  }

  static async started(options: GroupOptions = {}): Promise<ReplicaGroup> {
    const group = new ReplicaGroup(options);
    for (const nodeId of group.nodeIds) await group.start(nodeId);
    return group;
  }

  /** A node with an empty directory that knows who founded the group, and is not one of them. */
  async startJoiner(nodeId: NodeId): Promise<RunningNode> {
    this.stores.set(nodeId, this.newStore(nodeId, `store-${nodeId}`));
    this.kvs.set(nodeId, new MemoryKvStore());
    return this.start(nodeId);
  }

  diskOf(nodeId: NodeId): MemoryDisk {
    const later = (step: () => void): void => void setImmediate(step);
    const disk = this.disks.get(nodeId) ?? new MemoryDisk({ later });
    this.disks.set(nodeId, disk);
    return disk;
  }

  newStore(nodeId: NodeId, storeUuid: string): MemoryStore {
    const segmentSizeBytes = this.#options.segmentSizeBytes ?? 64 * KIB;
    return new MemoryStore({ clusterId: 'c', groupId: 'g', nodeId, storeUuid, segmentSizeBytes });
  }

  async start(nodeId: NodeId, founders = this.nodeIds): Promise<RunningNode> {
    const log = new MemoryCommitLog(this.stores.get(nodeId)!);
    const { base, entries } = log.recovered;
    const stateOptions: OpenDerivedStateOptions = {
      kv: this.kvs.get(nodeId)!,
      durableIndexMax: LogIndex(entries.at(-1)?.index ?? base.desc?.last.index ?? 0),
      onEvent: (event) => assert.fail(JSON.stringify(event)),
      rules: this.#options.rulesOf?.(nodeId) ?? standardApplyRules,
    };
    const state = await openDerivedState(stateOptions);
    const snapshotEvents: SnapshotFileEvent[] = [];
    const snapshots = await SnapshotFiles.open({
      disk: this.diskOf(nodeId),
      replicaDirectory: '/replica',
      onEvent: (event) => snapshotEvents.push(event),
    });
    const members = founders.map((id) => ({ nodeId: id, raftAddress: `${id}:10912` }));
    const addresses = { raft: `${nodeId}:10912`, grpc: `${nodeId}:8081`, http: '' };
    const node: Omit<RunningNode, 'replica' | 'transport'> = {
      nodeId,
      log,
      events: [],
      peerEvents: [],
      failures: [],
      ...{ snapshots, snapshotEvents },
      gone: false,
    };
    const onFatal = (error: unknown) => {
      assert.ok(error instanceof Error);
      node.failures.push(error);
    };
    const transport = new MemoryPeers({
      network: this.network,
      log,
      members,
      addresses,
      clock: this.clock,
      onEvent: (event) => node.peerEvents.push(event),
      onFatal,
    });
    const replica = await startReplica({
      identity: log.identity,
      members,
      addresses,
      log,
      state,
      transport,
      snapshots: {
        files: snapshots,
        home: closingSlowly(derivedHome(stateOptions)),
        port: this.transfers.portOf(nodeId),
        limits: this.#options.snapshotLimits ?? {},
      },
      clock: this.clock,
      random: new Prng(this.#options.seed ?? 1, `${nodeId}-${log.recovered.bootCount}`),
      onFatal,
      onEvent: (event) => node.events.push(event),
    });
    const running = Object.assign(node, { replica, transport });
    if (replica.snapshotAnswers !== null) this.transfers.join(nodeId, replica.snapshotAnswers);
    this.running.set(nodeId, running);
    return running;
  }

  async stop(nodeId: NodeId): Promise<void> {
    const node = this.node(nodeId);
    node.gone = true;
    this.running.delete(nodeId);
    this.transfers.leave(nodeId);
    await node.replica.close();
  }

  /** Without a word: what is not durable is lost. */
  async kill(nodeId: NodeId): Promise<void> {
    const node = this.node(nodeId);
    node.log.kill();
    this.disks.set(nodeId, this.diskOf(nodeId).killed());
    // Closing a killed replica writes nothing more, and may wait for its disk for ever; it only takes
    // the timers away.
    await Promise.race([this.stop(nodeId), settledFor(TURNS_TO_CLOSE)]);
  }

  async stopAll(): Promise<void> {
    for (const node of this.running.values()) {
      assert.deepEqual(node.failures, [], `${node.nodeId} failed`);
    }
    for (const nodeId of [...this.running.keys()]) await this.stop(nodeId);
    assert.equal(this.clock.timerCount, 0, 'a closed replica has no timers');
  }

  node(nodeId: NodeId): RunningNode {
    const node = this.running.get(nodeId);
    assert.ok(node, `${nodeId} runs`);
    return node;
  }

  /** Delivers frames and advances time in small steps until the condition holds. */
  async until(what: string, condition: () => boolean): Promise<void> {
    for (let passedMs = 0; passedMs < DEADLINE_MS; passedMs += STEP_MS) {
      if (condition()) return;
      await this.pass(STEP_MS);
    }
    const states = [...this.running.values()].map((node) => node.replica.status());
    assert.fail(`Never happened: ${what}: ${JSON.stringify(states)}`);
  }

  /** Lets time pass, and everything that is under way arrive. */
  async pass(byMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < byMs; passedMs += STEP_MS) {
      this.clock.advance(STEP_MS);
      await this.settle();
    }
  }

  /** The smallest step: what is due happens, what is under way arrives. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.clock.advance(1);
    this.network.deliver();
  }

  /** No time passes. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve));
      this.clock.advance(0);
      quiet = this.network.deliver() === 0 ? quiet + 1 : 0;
    }
  }

  get serving(): RunningNode | null {
    const leaders = [...this.running.values()].filter((node) => node.replica.leadership() !== null);
    return leaders.sort((a, b) => b.replica.status().term - a.replica.status().term)[0] ?? null;
  }

  async leader(): Promise<RunningNode> {
    await this.until('somebody leads', () => this.serving !== null);
    return this.serving!;
  }

  /** Creates the topic `t` and waits until it is applied everywhere. */
  async createTopic(): Promise<void> {
    const leader = await this.leader();
    await this.outcomeOf(leader.replica.propose(topicProposal()));
  }

  async outcomeOf<Outcome>(asking: Promise<Outcome>): Promise<Outcome> {
    let outcome: Outcome | null = null;
    void asking.then((known) => {
      outcome = known;
    });
    await this.until('the outcome is known', () => outcome !== null);
    return outcome!;
  }

  /** Asks whoever leads, for the membership as it is; accepted, and committed everywhere it runs. */
  async change(...steps: readonly MembershipStep[]): Promise<Membership> {
    const leader = await this.leader();
    await this.until('nothing is under way', () => {
      const { membership, isMembershipCommitted } = leader.replica.status();
      return isMembershipCommitted && !isJoint(membership.membership);
    });
    const { index } = leader.replica.status().membership;
    const outcome = await this.outcomeOf(leader.replica.changeMembership(steps, index));
    assert.equal(outcome.kind, 'accepted', JSON.stringify(outcome));
    await this.until('the change is committed', () => {
      const { membership, isMembershipCommitted } = (this.serving ?? leader).replica.status();
      return membership.index > index && isMembershipCommitted && !isJoint(membership.membership);
    });
    return (await this.leader()).replica.status().membership.membership;
  }

  /** The stores of all members are in the membership, and that is committed and applied. */
  async pinned(): Promise<void> {
    await this.until('all stores are pinned', () =>
      [...this.running.values()].every(({ replica }) => {
        const { membership, appliedIndex } = replica.status();
        const { members } = membership.membership;
        const isPinned = members.every(({ storeUuid }) => storeUuid !== null);
        return isPinned && appliedIndex >= membership.index;
      }),
    );
    await this.allApplied();
  }

  async allApplied(): Promise<void> {
    await this.until('everything is applied everywhere', () => {
      const all = [...this.running.values()].map((node) => node.replica.status());
      const last = Math.max(...all.map((status) => status.lastIndex));
      return all.every((status) => status.appliedIndex === last);
    });
  }
}

/** As a database on a disk: entries are applied to the new state while the old one is being closed. */
function closingSlowly(home: DerivedHome): DerivedHome {
  return {
    stage: async (source) => {
      const staged = await home.stage(source);
      const activate = async (state: SwitchableState): Promise<void> => {
        await staged.activate(state);
        await settledFor(TURNS_TO_CLOSE);
      };
      return { activate, discard: () => staged.discard() };
    },
  };
}

async function settledFor(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

export function topicProposal(): RecordsProposal {
  const records = encodeCommandRecord({
    kind: 'topicPut',
    topic: 't',
    queueCount: 4,
    permission: 6,
    messageTypes: [1],
    atMs: 1,
  });
  return { records, messageRecordAt: [] };
}

/** Messages of topic `t` from `firstOffset` on, as one proposal. */
export function messageProposal(
  firstOffset: number,
  options: { count?: number; bodySizeBytes?: number; queueId?: number; prefix?: string } = {},
): RecordsProposal {
  const { count = 1, bodySizeBytes = 10, queueId = 0, prefix = 'm' } = options;
  const messages: TestMessage[] = Array.from({ length: count }, (_, i) => ({
    topic: 't',
    queueId,
    queueOffset: firstOffset + i,
    messageId: `${prefix}-${queueId}-${firstOffset + i}`,
    body: new Uint8Array(bodySizeBytes).fill(firstOffset + i),
  }));
  const records = messages.map(messageRecord);
  const messageRecordAt: number[] = [];
  let at = 0;
  for (const record of records) {
    messageRecordAt.push(at);
    at += record.length;
  }
  return { records: concatBytes(records), messageRecordAt };
}

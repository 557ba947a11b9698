/** Replicas on restored directories: production code from the store up, on the disk the backup was restored to. */
import assert from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { LogIndex, type NodeId } from '../../src/base/units.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import type { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { type ReplicaEvent, type RunningReplica, startReplica } from '../../src/replica/driver.ts';
import type { PeerEvent } from '../../src/replica/peer-transport.ts';
import type { RestorePlan } from '../../src/store/backup/restore-plan.ts';
import { derivedHome } from '../../src/store/derived/derived-home.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import {
  type OpenDerivedStateOptions,
  openDerivedState,
} from '../../src/store/derived/open-derived-state.ts';
import { openCommitLog } from '../../src/store/open-commit-log.ts';
import { SnapshotFiles } from '../../src/store/snapshots/snapshot-files.ts';
import { MemoryNetwork, MemoryPeers } from './memory-peer-transport.ts';
import { MemorySnapshots } from './memory-snapshots.ts';

const STEP_MS = 10;
const DEADLINE_MS = 60_000;

export interface RestoredNode {
  readonly replica: RunningReplica;
  readonly kv: MemoryKvStore;
  readonly events: ReplicaEvent[];
  readonly peerEvents: PeerEvent[];
  readonly transport: MemoryPeers;
}

let bootCount = 0;

export class RestoredGroup {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly nodes = new Map<string, RestoredNode>();
  readonly #disk: MemoryDisk;
  readonly #plan: RestorePlan;
  readonly #snapshots: MemorySnapshots;

  constructor(disk: MemoryDisk, plan: RestorePlan, network = new MemoryNetwork()) {
    this.#disk = disk;
    this.#plan = plan;
    this.network = network;
    this.#snapshots = new MemorySnapshots(network);
  }

  async start(nodeId: NodeId, members = this.#plan.members): Promise<RestoredNode> {
    const { clusterId, manifest } = this.#plan;
    const { groupId, segmentSizeBytes } = manifest.identity;
    // One that was not restored begins with nothing, and joins.
    const directory = `/new/${nodeId}`;
    const failures: unknown[] = [];
    const onFatal = (error: unknown): void => void failures.push(error);
    const identity = { clusterId, groupId, nodeId, segmentSizeBytes };
    const { clock } = this;
    const log = await openCommitLog(this.#disk, {
      ...{ directory, identity, clock, onFatal },
      mintUuid: () => `store-${nodeId}`,
      mintBootId: () => (++bootCount).toString(16).padStart(16, '0'),
    });
    const kv = new MemoryKvStore();
    const { base, entries } = log.recovered;
    const stateOptions: OpenDerivedStateOptions = {
      kv,
      durableIndexMax: LogIndex(entries.at(-1)?.index ?? base.desc?.last.index ?? 0),
      onEvent: (event) => assert.fail(JSON.stringify(event)),
    };
    const state = await openDerivedState(stateOptions);
    const files = await SnapshotFiles.open({
      ...{ disk: this.#disk, replicaDirectory: directory },
      onEvent: (event) => assert.fail(JSON.stringify(event)),
    });
    const addresses = { raft: `${nodeId}:10912`, grpc: `${nodeId}:8081`, http: '' };
    const events: ReplicaEvent[] = [];
    const peerEvents: PeerEvent[] = [];
    const founders = members.map((each) => ({
      nodeId: each.nodeId,
      raftAddress: each.raftAddress,
    }));
    const transport = new MemoryPeers({
      ...{ network: this.network, log, members: founders, addresses, clock, onFatal },
      onEvent: (event) => peerEvents.push(event),
    });
    const replica = await startReplica({
      ...{ identity, members: founders, addresses, log, state, transport, clock, onFatal },
      snapshots: {
        ...{ files, home: derivedHome(stateOptions) },
        port: this.#snapshots.portOf(nodeId),
      },
      random: new Prng(1, nodeId),
      onEvent: (event) => events.push(event),
    });
    if (replica.snapshotAnswers !== null) this.#snapshots.join(nodeId, replica.snapshotAnswers);
    const node = { replica, kv, events, peerEvents, transport };
    this.nodes.set(nodeId, node);
    return node;
  }

  get serving(): RestoredNode | null {
    return [...this.nodes.values()].find(({ replica }) => replica.leadership() !== null) ?? null;
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    for (let passedMs = 0; passedMs < DEADLINE_MS; passedMs += STEP_MS) {
      if (condition()) return;
      await this.pass(STEP_MS);
    }
    const states = [...this.nodes.values()].map((node) => node.replica.status());
    assert.fail(`Never happened: ${what}: ${JSON.stringify(states)}`);
  }

  async pass(byMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < byMs; passedMs += STEP_MS) {
      this.clock.advance(STEP_MS);
      for (let quiet = 0; quiet < 3; ) {
        await new Promise((resolve) => setImmediate(resolve));
        this.clock.advance(0);
        quiet = this.network.deliver() === 0 ? quiet + 1 : 0;
      }
    }
  }

  async close(): Promise<void> {
    for (const { replica } of this.nodes.values()) await replica.close();
    this.nodes.clear();
  }
}

/**
 * One node of production code on a disk, a network and a clock in memory. It can be started, lose its
 * process or its power at any moment, start-up included, and be started again on what is left.
 */
import { FatalError } from '../../src/base/errors.ts';
import { Prng } from '../../src/base/prng.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import { type Broker, createBroker } from '../../src/broker/broker.ts';
import { createGateway, type Gateway } from '../../src/broker/gateway.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import type { Message } from '../../src/raft/messages.ts';
import { type RunningReplica, startReplica } from '../../src/replica/driver.ts';
import type { PeerTransport } from '../../src/replica/peer-transport.ts';
import type { CommitLog } from '../../src/store/commit-log.ts';
import type { DerivedState } from '../../src/store/derived/derived-state.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { openCommitLog } from '../../src/store/open-commit-log.ts';
import { MemoryPeers } from '../replica/memory-peer-transport.ts';
import { CrashKvStore } from './crash-kv-store.ts';
import { MemoryForwarder } from './memory-forwarder.ts';
import { NodeClock } from './node-clock.ts';
import type { StackWorld } from './stack-world.ts';

const DIRECTORY = '/store';
/** Small, so that applying and peers read from the disk as well. */
const TAIL_CACHE_SIZE_BYTES = 24 * 1024;
/** Elections in a few ticks: more of them in a run. */
const TIMING = { heartbeatTicks: 2, electionTimeoutTicksMin: 6, electionTimeoutTicksMax: 12 };
/** Clocks of different machines; the second one is ahead of whoever follows it. */
const CLOCK_SKEW_MS = [0, 700, -400];

/** A process from its start to its end. */
export interface Incarnation {
  readonly clock: NodeClock;
  readonly died: Promise<'died'>;
  readonly die: () => void;
  isAlive: boolean;
  log: CommitLog | null;
  state: DerivedState | null;
  peers: MemoryPeers | null;
  replica: RunningReplica | null;
  broker: Broker | null;
  gateway: Gateway | null;
  forwarder: MemoryForwarder | null;
}

export class StackNode {
  readonly nodeId: NodeId;
  readonly #world: StackWorld;
  readonly #number: number;
  readonly #random: Prng;
  /** Steps of the disk and the database that are due, in order. */
  #diskSteps: (() => void)[] = [];
  #disk: MemoryDisk;
  #kv: CrashKvStore | null = null;
  #running: Incarnation | null = null;
  #startCount = 0;
  /** The disk was told to fail: the process must end, and may. */
  #isDiskBad = false;
  /** Steps of the disk per round, at most; 0: the disk hangs. */
  diskSpeed = 6;

  constructor(world: StackWorld, number: number) {
    this.#world = world;
    this.#number = number;
    this.nodeId = NodeId(`n${number + 1}`);
    this.#random = new Prng(world.seed, `disk-${this.nodeId}`);
    this.#disk = new MemoryDisk({ later: this.#later });
  }

  get running(): Incarnation | null {
    return this.#running;
  }

  /** Ready to answer, as a leader or not. */
  get gateway(): Gateway | null {
    return this.#running?.gateway ?? null;
  }

  get kv(): CrashKvStore | null {
    return this.#kv;
  }

  runDisk(): void {
    if (this.diskSpeed === 0) return;
    for (let left = 1 + this.#random.below(this.diskSpeed); left > 0; left--) {
      this.#diskSteps.shift()?.();
    }
  }

  start(): void {
    if (this.#running !== null) return;
    let die = () => {};
    const died = new Promise<'died'>((resolve) => {
      die = () => resolve('died');
    });
    const skewMs = CLOCK_SKEW_MS[this.#number] ?? 0;
    const clock = new NodeClock(this.#world.clock, skewMs);
    const parts = { log: null, state: null, peers: null, replica: null, broker: null };
    const more = { gateway: null, forwarder: null, isAlive: true };
    const running: Incarnation = { clock, died, die, ...parts, ...more };
    this.#running = running;
    this.#startCount++;
    this.#boot(running).catch((error: unknown) => this.#onFatal(running, error));
  }

  /** One of the next operations of the log's disk fails; the page cache lies from then on. */
  failDisk(operation: 'sync' | 'write'): void {
    if (this.#running === null) return;
    this.#isDiskBad = true;
    this.#disk.failNext({ operation, code: 'EIO', after: this.#random.below(6) });
  }

  /** The process is gone, the machine lives. */
  async kill(): Promise<void> {
    if (this.#running === null) return;
    this.#end(this.#running);
    this.#disk = this.#disk.killed();
    this.#kv = (await this.#kv?.killed()) ?? null;
  }

  /** The machine is gone: of what was not synced, chance decides. */
  async powerCut(): Promise<void> {
    // Also without a process: what a killed one has left unsynced is still in memory.
    if (this.#running !== null) this.#end(this.#running);
    this.#disk = this.#disk.powerCut(this.#random);
    this.#kv = (await this.#kv?.powerCut(this.#random)) ?? null;
  }

  #end(running: Incarnation): void {
    this.#running = null;
    this.#isDiskBad = false;
    running.isAlive = false;
    running.clock.die();
    this.#diskSteps = [];
    void running.peers?.close(); // In memory: done when it returns.
    // Also those whose handshake was under way: their sockets are reset.
    for (const { running: other } of this.#world.nodes) other?.peers?.breakStreams(this.nodeId);
    running.forwarder?.close();
    running.die();
  }

  readonly #later = (step: () => void): void => {
    this.#diskSteps.push(step);
  };

  async #boot(running: Incarnation): Promise<void> {
    const { observer, segmentSizeBytes } = this.#world;
    const { nodeId } = this;
    const identity = { clusterId: 'c', groupId: 'g', nodeId, segmentSizeBytes };
    const onFatal = (error: unknown) => this.#onFatal(running, error);
    const log = await openCommitLog(this.#disk, {
      directory: DIRECTORY,
      identity,
      mintUuid: () => `store-${nodeId}`,
      clock: running.clock,
      tailCacheSizeBytes: TAIL_CACHE_SIZE_BYTES,
      onFatal,
    });
    running.log = log;
    observer.onBoot(nodeId, log.recovered);
    this.#kv ??= await CrashKvStore.open(this.#later);
    if (!running.isAlive) return;
    const state = await openDerivedState({
      kv: this.#kv,
      durableIndexMax: LogIndex(log.recovered.entries.length),
      onEvent: (event) => observer.violation(`${nodeId}: ${JSON.stringify(event)}`),
    });
    if (!running.isAlive) return;
    running.state = state;
    await this.#join(running, log, state, onFatal);
  }

  async #join(
    running: Incarnation,
    log: CommitLog,
    state: DerivedState,
    onFatal: (error: unknown) => void,
  ): Promise<void> {
    const { observer, network, nodeIds, seed } = this.#world;
    const { nodeId } = this;
    const { clock } = running;
    const members = nodeIds.map((id) => ({ nodeId: id, raftAddress: addressOf(id) }));
    const addresses = { raft: addressOf(nodeId), grpc: `${nodeId}:8081`, http: '' };
    const peers = new MemoryPeers({
      ...{ network, log, members, addresses, clock, onFatal },
      onEvent: (event) => {
        if (event.kind === 'refusedPeer') observer.violation(`${nodeId}: ${event.sentence}`);
      },
    });
    running.peers = peers;
    const replica = await startReplica({
      identity: log.identity,
      ...{ members, addresses, log, state, clock, onFatal },
      transport: this.#spied(peers),
      random: new Prng(seed, `raft-${nodeId}-${this.#startCount}`),
      timing: TIMING,
      onEvent: (event) => {
        if (event.kind === 'chainBroken' || event.kind === 'alarm') {
          observer.violation(`${nodeId}: ${JSON.stringify(event)}`);
        }
      },
    });
    if (!running.isAlive) return;
    running.replica = replica;
    replica.onApplied((entry) => observer.onApplied(nodeId, entry));
    replica.onRoleChange(({ role, term }) => {
      if (role === 'leader') observer.onLeader(nodeId, term);
    });
    this.#serve(running, replica, addresses);
  }

  #serve(
    running: Incarnation,
    replica: RunningReplica,
    ownAddresses: { readonly raft: string; readonly grpc: string; readonly http: string },
  ): void {
    const { clock } = running;
    const storeHost = `10.0.0.${this.#number + 1}:8081`;
    const broker = createBroker({ replica, clock, autoCreateTopics: true, storeHost });
    const forwarder = new MemoryForwarder(this.#world, this.nodeId);
    running.broker = broker;
    running.forwarder = forwarder;
    running.gateway = createGateway({
      ...{ replica, clock, broker, transport: forwarder, ownAddresses },
      memberRaftAddress: addressOf,
    });
  }

  #spied(peers: MemoryPeers): PeerTransport {
    return {
      start: (receiver) => peers.start(receiver),
      send: (to, message: Message, entryBytes) => {
        this.#world.observer.onSend(this.nodeId, to, message);
        peers.send(to, message, entryBytes);
      },
      linkOf: (peer) => peers.linkOf(peer),
      get counters() {
        return peers.counters;
      },
      close: () => peers.close(),
    };
  }

  #onFatal(running: Incarnation, error: unknown): void {
    if (!running.isAlive) return;
    if (this.#isDiskBad && error instanceof FatalError && error.reason === 'diskFailed') {
      void this.kill().then(() => this.start()); // Its failures are found by `start`.
      return;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.observer.violation(`${this.nodeId} gave up: ${text}`);
  }
}

export function addressOf(nodeId: NodeId): string {
  return `${nodeId}:10912`;
}

/**
 * One node of production code on a disk, a network and a clock in memory. It can be started, lose its
 * process or its power at any moment, start-up included, be started again on what is left, or on
 * another directory than its own.
 */
import { FatalError, type FatalReason } from '../../src/base/errors.ts';
import { Prng } from '../../src/base/prng.ts';
import { NodeId } from '../../src/base/units.ts';
import { DiskError } from '../../src/io/disk.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import type { RefusalCode } from '../../src/replica/handshake.ts';
import type { CommitLog } from '../../src/store/commit-log.ts';
import { keyedU32 } from '../sim/keyed-random.ts';
import { CrashKvStore } from './crash-kv-store.ts';
import type { Moment } from './fault-script.ts';
import { bootNode, type Incarnation } from './incarnation.ts';
import { MachineDisk } from './machine-disk.ts';
import { NodeClock } from './node-clock.ts';
import type { StoreName } from './observer.ts';
import type { StackWorld } from './stack-world.ts';

/** Clocks of different machines; the second one is ahead of whoever follows it. */
const CLOCK_SKEW_MS = [0, 700, -400];
/** How far they are ahead of the true time, and apart from each other, at most. */
export const CLOCK_AHEAD_MS_MAX = 700;
export const CLOCK_SKEW_MS_MAX = 1_100;
export const DISK_SPEED_DEFAULT = 6;

/** What the node must be when it is started on the directory it has now. */
export type Standing =
  | { readonly kind: 'member' }
  /** It starts, and its peers send it away for one of these reasons. */
  | { readonly kind: 'impostor'; readonly refusedAs: readonly RefusalCode[] }
  /** It says why and ends. */
  | { readonly kind: 'refusesToStart'; readonly reason: FatalReason };

export const MEMBER: Standing = { kind: 'member' };

/** What its operator has written into the command line of a new process. */
export interface JoinPlan {
  readonly addresses: readonly string[];
  readonly token: string;
}

/** A directory with its database, and how it has been continued. */
export interface NodeStore {
  readonly disk: MemoryDisk;
  /** null: no database. */
  readonly kv: CrashKvStore | null;
  readonly lineage: number;
}

export class StackNode {
  readonly nodeId: NodeId;
  readonly number: number;
  /** A second process with the name of a node: it can call, and cannot be called. */
  readonly isClone: boolean;
  readonly world: StackWorld;
  readonly machine: MachineDisk;
  /** Steps of the disk and the database that are due, in order. */
  #diskSteps: (() => void)[] = [];
  #disk: MemoryDisk;
  #kv: CrashKvStore | null = null;
  #running: Incarnation | null = null;
  #startCount = 0;
  #uuidCount = 0;
  #lineage = 0;
  /** The disk was told to fail: the process must end, and may. */
  #isDiskBad = false;
  standing: Standing = MEMBER;
  /** Of the configuration. */
  clusterId = 'c';
  /** It can never again be what it was: repair and replacement are the operator's. */
  isLost = false;
  /** Switched off, and nobody switches it on for now. */
  isHeld = false;
  /** An operator has taken it away. */
  isRetired = false;
  /** It has ended as its standing says. */
  hasRefused = false;
  /** Hears what the node does, for whoever lies in wait for it. */
  onMoment: ((moment: Moment) => void) | null = null;
  /** How a new node comes into the group; null: it is a founder. */
  joinPlan: JoinPlan | null = null;
  /** The log of the last process that had one: what it was at its end. */
  lastLog: CommitLog | null = null;
  /** When the last process ended; null: one runs, or none ever did. */
  downSinceMs: number | null = null;
  #clockRate = 1;
  /** Steps of the disk per round, at most; 0: the disk hangs. */
  diskSpeed = DISK_SPEED_DEFAULT;

  constructor(world: StackWorld, number: number, clonedFrom: NodeStore | null = null) {
    this.world = world;
    this.number = number;
    this.isClone = clonedFrom !== null;
    this.nodeId = NodeId(`n${number + 1}`);
    this.machine = new MachineDisk(world.bugs, this.later);
    this.#disk = clonedFrom?.disk.imageOn(this.machine.options) ?? this.emptyDisk();
    this.#kv = clonedFrom?.kv ?? null;
    this.#lineage = clonedFrom?.lineage ?? 0;
  }

  get running(): Incarnation | null {
    return this.#running;
  }

  get kv(): CrashKvStore | null {
    return this.#kv;
  }

  get disk(): MemoryDisk {
    return this.#disk;
  }

  get storeName(): StoreName {
    return { nodeId: this.nodeId, lineage: this.#lineage };
  }

  set clockRate(rate: number) {
    this.#clockRate = rate;
    if (this.#running !== null) this.#running.clock.rate = rate;
  }

  runDisk(round: number): void {
    if (this.diskSpeed === 0) return;
    const chance = keyedU32(this.world.seed, this.number, this.isClone ? 1 : 0, round);
    for (let left = 1 + (chance % this.diskSpeed); left > 0; left--) this.#diskSteps.shift()?.();
  }

  start(): void {
    if (this.#running !== null || this.isRetired || this.isHeld) return;
    let die = () => {};
    const died = new Promise<'died'>((resolve) => {
      die = () => resolve('died');
    });
    const skewMs = this.world.clocksAgree ? 0 : (CLOCK_SKEW_MS[this.number] ?? 0);
    const clock = new NodeClock(this.world.clock, skewMs, this.#clockRate);
    const parts = { log: null, state: null, files: null, peers: null, replica: null, broker: null };
    const more = { gateway: null, forwarder: null, admin: null, isAlive: true, isStopping: false };
    const running: Incarnation = { clock, died, die, ...parts, ...more };
    this.#running = running;
    this.downSinceMs = null;
    this.#startCount++;
    this.world.observer.note('start', this.nodeId, this.#startCount);
    this.onMoment?.('boots');
    bootNode(this, running).catch((error: unknown) => this.onFatal(running, error));
  }

  /** Of the process that runs now. */
  raftRandom(): Prng {
    const name = `raft-${this.nodeId}-${this.#startCount}${this.isClone ? '-clone' : ''}`;
    return new Prng(this.world.seed, name);
  }

  /** Of tokens. */
  adminRandom(): Prng {
    return new Prng(this.world.seed, `admin-${this.nodeId}-${this.#startCount}`);
  }

  mintUuid(): string {
    if (this.world.bugs.mintsUuidFromName) return `store-${this.nodeId}`;
    return `store-${this.nodeId}-${++this.#uuidCount}`;
  }

  mintBootId(): string {
    const digits = `${this.number}${this.isClone ? 1 : 0}${this.#startCount.toString(16)}`;
    return digits.padStart(16, '0');
  }

  /** One of the next operations of the disk fails; after a sync or a write the page cache lies. */
  failDisk(operation: 'read' | 'sync' | 'write', after: number): void {
    if (this.#running === null) return;
    this.#isDiskBad = true;
    this.machine.failLater(operation, after);
  }

  /** The process is gone, the machine lives. */
  async kill(): Promise<void> {
    if (this.#running === null) return;
    this.#end(this.#running);
    this.#disk = this.#disk.killed();
    this.#kv = (await this.#kv?.killed()) ?? null;
  }

  /** The machine is gone: of what was not synced, chance decides. */
  async powerCut(random: Prng): Promise<void> {
    // Also without a process: what a killed one has left unsynced is still in memory.
    if (this.#running !== null) this.#end(this.#running);
    this.#disk = this.#disk.powerCut(random);
    this.#kv = (await this.#kv?.powerCut(random)) ?? null;
  }

  /** The process ends in order, when its disk lets it. */
  get isStopping(): boolean {
    return this.#running?.isStopping ?? false;
  }

  /** Asks the process to end in order; it is gone when its disk has let it. */
  stop(): void {
    const running = this.#running;
    if (running?.replica == null || running.isStopping) return;
    running.isStopping = true;
    running.gateway?.close();
    running.broker?.close();
    running.replica.close().then(
      () => {
        if (running.isAlive) void this.kill(); // Only what is dead is left of it.
      },
      (error: unknown) => this.onFatal(running, error),
    );
  }

  emptyDisk(): MemoryDisk {
    return new MemoryDisk(this.machine.options);
  }

  async openKv(): Promise<CrashKvStore> {
    this.#kv ??= await CrashKvStore.open(this.later);
    return this.#kv;
  }

  /** Requires that no process runs. */
  get store(): NodeStore {
    return { disk: this.#disk, kv: this.#kv, lineage: this.#lineage };
  }

  /** Requires that no process runs. */
  mount({ disk, kv, lineage }: NodeStore): void {
    this.#disk = disk;
    this.#kv = kv;
    this.#lineage = lineage;
    this.hasRefused = false;
  }

  /** As it is at this moment, as if copied to another machine. */
  async imageFor(node: StackNode, lineage: number): Promise<NodeStore> {
    const disk = this.#disk.imageOn(node.machine.options);
    const kv = (await this.#kv?.imageOn(node.later)) ?? null;
    return { disk, kv, lineage };
  }

  readonly later = (step: () => void): void => {
    this.#diskSteps.push(step);
  };

  onFatal(running: Incarnation, error: unknown): void {
    if (!running.isAlive) return;
    const reason = error instanceof FatalError ? error.reason : null;
    const isDiskError = reason === 'diskFailed' || error instanceof DiskError;
    if (this.#isDiskBad && isDiskError) {
      void this.kill().then(() => this.start()); // Its failures are found by `start`.
      return;
    }
    const { standing } = this;
    if (standing.kind === 'refusesToStart' && reason === standing.reason) {
      this.world.observer.note('refuses', this.nodeId, reason);
      this.hasRefused = true;
      void this.kill(); // In memory: done when it returns.
      return;
    }
    if (reason !== null && this.world.group?.mayEnd(this, reason) === true) {
      this.world.observer.note('ends', this.nodeId, reason);
      this.hasRefused = true;
      void this.kill(); // In memory: done when it returns.
      return;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.world.observer.violation('F1', `${this.nodeId} gave up: ${text}`);
  }

  #end(running: Incarnation): void {
    this.world.observer.note('end', this.nodeId);
    this.#running = null;
    this.downSinceMs = this.world.clock.monotonicMs();
    if (running.log !== null && this.world.group !== null) this.lastLog = running.log;
    this.#isDiskBad = false;
    this.machine.forget();
    running.isAlive = false;
    running.clock.die();
    this.#diskSteps = [];
    void running.peers?.close(); // In memory: done when it returns.
    // Also those whose handshake was under way: their sockets are reset.
    if (!this.isClone) {
      for (const { running: other } of this.world.nodes) other?.peers?.breakStreams(this.nodeId);
    }
    running.forwarder?.close();
    running.admin?.close();
    if (!this.isClone) this.world.snapshots.leave(this.nodeId);
    running.die();
  }
}

export function addressOf(nodeId: NodeId): string {
  return `${nodeId}:10912`;
}

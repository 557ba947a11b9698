/** Carries out the fault script: who is down, cut off, stalled, paused or not himself, and until when. */
import type { NodeId } from '../../src/base/units.ts';
import type { CoreStart } from '../../src/raft/core-types.ts';
import type { Effect } from '../../src/raft/effects.ts';
import type { LoggedMembership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { Checker, Step } from './checkers/observers.ts';
import type { Directories } from './directories.ts';
import { nodeOf, type WorldEvent } from './event.ts';
import type { CrashDetails, Edge, Fault, Target, Trap } from './fault-script.ts';
import { bootsSeenByOthers } from './identity.ts';
import { decidingSetsOf, leaderOf } from './members.ts';
import type { SimNode } from './node.ts';
import { PAUSE_NOTICED_MS } from './timing.ts';
import type { World } from './world.ts';

interface ArmedTrap {
  readonly trap: Trap;
  readonly crash: CrashDetails;
}

/** Why a node's events wait. */
interface Hold {
  untilMs: number;
  sinceMs: number;
  readonly parked: WorldEvent[];
  hasSwallowedTick: boolean;
}

type SpellFault = Extract<Fault, { kind: 'partition' | 'isolate' | 'storm' | 'clog' | 'narrow' }>;
type DirectoryFault = Extract<Fault, { kind: 'wipe' | 'restore' | 'clone' }>;

const LAST_RESTART_REMEMBERS = 'applied';
const SUDDEN_DEATH: Omit<CrashDetails, 'downMs'> = {
  keepPersists: 0,
  keepParts: 0,
  memory: 'nothing',
  losesSent: true,
};

export class FaultEngine implements Checker {
  readonly #world: World;
  readonly #directories: Directories;
  readonly #counts = new Map<string, number>();
  readonly #traps = new Map<SimNode, ArmedTrap>();
  readonly #sprung: { readonly node: SimNode; readonly crash: CrashDetails }[] = [];
  readonly #pauses = new Map<SimNode, Hold>();
  readonly #stalls = new Map<SimNode, Hold>();
  /** Messages of this life and earlier ones were lost in a crash. */
  readonly #lostLives = new Map<SimNode, number>();
  /** What an isolation cut when it struck: its target was resolved then. */
  readonly #isolated = new Map<Fault, readonly Edge[]>();
  /** Nodes for which all is well while the others stay as they are; null: not that phase. */
  #core: ReadonlySet<SimNode> | null = null;
  #isHealed = false;
  /** Of all sets of voters that ever decided: the budget for lost directories. */
  #smallestSetSize = Number.POSITIVE_INFINITY;

  constructor(world: World, directories: Directories) {
    this.#world = world;
    this.#directories = directories;
  }

  /** How many faults struck, by kind. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  strike(fault: Fault): void {
    if (this.#isHealed || this.#core !== null) return;
    switch (fault.kind) {
      case 'crash':
        this.#onTarget(fault.target, (node) => {
          this.#crash(node, fault.crash, fault.target === 'leader' ? 'crashLeader' : 'crash');
        });
        return;
      case 'trap':
        this.#onTarget(fault.target, (node) => this.#traps.set(node, fault));
        return;
      case 'stall':
        this.#onTarget(fault.target, (node) => this.#hold(this.#stalls, node, fault));
        return;
      case 'pause':
        this.#onTarget(fault.target, (node) => this.#hold(this.#pauses, node, fault));
        return;
      case 'replay':
        this.#count('replay', this.#world.replay(fault));
        return;
      case 'wipe':
      case 'restore':
      case 'clone':
        this.#strikeDirectory(fault);
        return;
      default:
        this.#begin(fault);
    }
  }

  end(fault: Fault): void {
    if (fault.kind === 'clone') {
      this.#directories.stopClone();
      return;
    }
    // What lasts beyond the chaos is permanent.
    if (this.#isHealed || this.#core !== null) return;
    switch (fault.kind) {
      case 'partition':
        this.#world.network.mend(fault.cut);
        return;
      case 'isolate':
        this.#world.network.mend(this.#isolated.get(fault) ?? []);
        this.#isolated.delete(fault);
        return;
      case 'storm':
        this.#world.network.endStorm(fault.network);
        return;
      case 'narrow':
        this.#world.network.widen(fault.capacity);
        return;
      default:
        return;
    }
  }

  /** From now on all is well among these nodes, and nothing changes for the others. */
  freeze(core: ReadonlySet<SimNode>): void {
    this.#core = core;
    this.#traps.clear();
    this.#directories.stopClone();
    this.#world.network.freeze(new Set([...core].map(({ place }) => place)));
    for (const holds of [this.#pauses, this.#stalls]) {
      for (const [node, hold] of holds) {
        if (core.has(node)) this.#release(holds, node);
        else if (this.#isHolding(hold)) hold.untilMs = Number.POSITIVE_INFINITY;
      }
    }
    for (const node of core) if (!node.isUp) this.#world.restart(node, LAST_RESTART_REMEMBERS);
  }

  /** Everybody is up and connected, and nothing is wrong any more. */
  healAll(): void {
    this.#isHealed = true;
    this.#core = null;
    this.#traps.clear();
    this.#directories.stopClone();
    this.#world.network.heal();
    for (const node of this.#world.nodes) {
      this.#release(this.#pauses, node);
      this.#release(this.#stalls, node);
      if (!node.isUp) this.#world.restart(node, LAST_RESTART_REMEMBERS);
    }
  }

  /** All nodes die at once: a power cut. */
  crashAll(crash: CrashDetails): void {
    for (const node of this.#world.nodes) if (node.isUp) this.#crash(node, crash, 'powerCut');
  }

  /** A node that was left dead stays dead. */
  mayRestart(node: SimNode): boolean {
    return this.#core === null || this.#core.has(node);
  }

  /** Whether what `from` sent in that life died with it. */
  isLost(from: SimNode, life: number): boolean {
    return life <= (this.#lostLives.get(from) ?? 0);
  }

  isPaused(node: SimNode): boolean {
    return this.#isHolding(this.#pauses.get(node));
  }

  /** Keeps the event back when its node is paused, or when its disk finishes nothing. */
  holdsBack(event: WorldEvent): boolean {
    if (this.#pauses.size === 0 && this.#stalls.size === 0) return false;
    const node = nodeOf(event);
    if (node === null) return false;
    const pause = this.#pauses.get(node);
    if (pause !== undefined && this.#isHolding(pause)) {
      if (event.kind === 'tick') pause.hasSwallowedTick = true;
      else pause.parked.push(event);
      return true;
    }
    if (event.kind !== 'persisted') return false;
    const stall = this.#stalls.get(node);
    if (stall === undefined || !this.#isHolding(stall)) return false;
    stall.parked.push(event);
    return true;
  }

  /** The end of a pause or of a stall, unless a later one has begun. */
  releaseIfDue(node: SimNode): void {
    for (const holds of [this.#pauses, this.#stalls]) {
      const hold = holds.get(node);
      if (hold !== undefined && !this.#isHolding(hold)) this.#release(holds, node);
    }
  }

  /** Crashes whoever stepped into a trap during the last event. */
  springTraps(): void {
    if (this.#sprung.length === 0) return;
    for (const { node, crash } of this.#sprung.splice(0)) {
      if (node.isUp) this.#crash(node, crash, 'trap');
    }
  }

  released(node: SimNode, _to: NodeId, message: Message): void {
    if (this.#traps.size === 0) return;
    switch (message.kind) {
      case 'voteReply':
        if (message.granted) this.#maybeSpring(node, 'voteGranted');
        return;
      case 'voteRequest':
        this.#maybeSpring(node, 'voteRequested');
        return;
      case 'appendAccepted':
        this.#maybeSpring(node, 'appendAccepted');
        return;
      case 'campaignNow':
        this.#maybeSpring(node, 'handingOver');
        return;
      default:
        return;
    }
  }

  started(_node: SimNode, { base }: CoreStart): void {
    this.#noteSets(base.membership);
  }

  membershipChanged(_node: SimNode, current: LoggedMembership): void {
    this.#noteSets(current);
  }

  #noteSets({ membership }: LoggedMembership): void {
    for (const set of decidingSetsOf(membership)) {
      this.#smallestSetSize = Math.min(this.#smallestSetSize, set.length);
    }
  }

  emitted(node: SimNode, effect: Effect): void {
    if (this.#traps.size === 0) return;
    if (effect.kind === 'membership') this.#maybeSpring(node, 'membershipChanged');
    if (effect.kind === 'persist' && effect.snapshot !== null) {
      this.#maybeSpring(node, 'installing');
    }
  }

  stepped({ node, before, after }: Step): void {
    if (this.#traps.size === 0 || after.role !== 'leader') return;
    if (after.commitIndex > before.commitIndex) this.#maybeSpring(node, 'leaderCommits');
  }

  elected(node: SimNode): void {
    this.#maybeSpring(node, 'becameLeader');
  }

  #begin(fault: SpellFault): void {
    const { network } = this.#world;
    switch (fault.kind) {
      case 'partition':
        network.cut(fault.cut);
        break;
      case 'isolate': {
        const node = this.#nodeAt(fault.target);
        if (!node?.isUp) return;
        const cut = this.#edgesOf(node, fault.direction);
        this.#isolated.set(fault, cut);
        network.cut(cut);
        break;
      }
      case 'storm':
        network.startStorm(fault.network);
        break;
      case 'clog':
        network.clog(fault.cut, this.#world.nowMs + fault.durationMs);
        break;
      case 'narrow':
        network.narrow(fault.capacity);
        break;
    }
    this.#count(fault.kind);
    this.#world.schedule(this.#world.nowMs + fault.durationMs, { kind: 'faultEnd', fault });
  }

  #strikeDirectory(fault: DirectoryFault): void {
    const node = this.#nodeAt(fault.target);
    if (node === undefined) return;
    const { nowMs, nodes } = this.#world;
    const { cloned } = this.#directories;
    const bootsSeen = bootsSeenByOthers(node, nodes, this.#smallestSetSize, cloned);
    if (bootsSeen === null) return;
    if (fault.kind === 'clone') {
      if (!this.#directories.startClone(node, fault.pick, bootsSeen)) return;
      this.#count('clone');
      this.#world.schedule(nowMs + fault.durationMs, { kind: 'faultEnd', fault });
      return;
    }
    const isRestore = fault.kind === 'restore';
    const image = isRestore ? this.#directories.oldImageOf(node, fault.pick, bootsSeen) : null;
    if (isRestore && image === null) return;
    if (node.isUp) this.#crash(node, { ...SUDDEN_DEATH, downMs: fault.downMs }, fault.kind);
    else this.#count(fault.kind);
    if (image === null) node.wipe();
    else node.rollBack(image);
  }

  #maybeSpring(node: SimNode, trap: Trap): void {
    const armed = this.#traps.get(node);
    if (armed?.trap !== trap) return;
    this.#traps.delete(node);
    this.#sprung.push({ node, crash: armed.crash });
  }

  #crash(node: SimNode, crash: CrashDetails, name: string): void {
    this.#count(name);
    node.crash(crash);
    if (crash.losesSent) this.#lostLives.set(node, node.life);
    this.#release(this.#pauses, node);
    const restart = { kind: 'restart', node, memory: crash.memory } as const;
    this.#world.schedule(this.#world.nowMs + crash.downMs, restart);
  }

  #hold(
    holds: Map<SimNode, Hold>,
    node: SimNode,
    fault: Extract<Fault, { kind: 'stall' | 'pause' }>,
  ): void {
    this.#count(fault.kind);
    const { nowMs } = this.#world;
    const untilMs = nowMs + fault.durationMs;
    const hold = holds.get(node);
    if (hold === undefined) {
      holds.set(node, { untilMs, sinceMs: nowMs, parked: [], hasSwallowedTick: false });
    } else {
      hold.untilMs = Math.max(hold.untilMs, untilMs);
    }
    // In the queue before anything that will arrive meanwhile.
    this.#world.schedule(untilMs, { kind: 'release', node });
  }

  #isHolding(hold: Hold | undefined): boolean {
    return hold !== undefined && hold.untilMs > this.#world.nowMs;
  }

  /** First the timer, as a process that wakes up runs it (H26), then what waited in the sockets. */
  #release(holds: Map<SimNode, Hold>, node: SimNode): void {
    const hold = holds.get(node);
    if (hold === undefined) return;
    holds.delete(node);
    const { nowMs } = this.#world;
    if (hold.hasSwallowedTick && node.isUp) {
      const isNoticed = nowMs - hold.sinceMs > PAUSE_NOTICED_MS;
      this.#world.wake(node, isNoticed ? 'resumed' : 'tick');
    }
    for (const event of hold.parked) this.#world.schedule(nowMs, event);
  }

  #onTarget(target: Target, strike: (node: SimNode) => void): void {
    const node = this.#nodeAt(target);
    if (node?.isUp) strike(node);
  }

  #nodeAt(target: Target): SimNode | undefined {
    const { nodes } = this.#world;
    return target === 'leader' ? leaderOf(nodes) : nodes[target];
  }

  #edgesOf(node: SimNode, direction: 'both' | 'out' | 'in'): readonly Edge[] {
    const others = this.#world.nodes.filter((other) => other !== node);
    const out = others.map((other): Edge => [node.place, other.place]);
    const into = others.map((other): Edge => [other.place, node.place]);
    if (direction === 'out') return out;
    return direction === 'in' ? into : [...out, ...into];
  }

  #count(kind: string, by = 1): void {
    if (by > 0) this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + by);
  }
}

/** Carries out the fault script: who is down, cut off, stalled or paused, and until when. */
import type { NodeId } from '../../src/base/units.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { Checker, Step } from './checkers/observers.ts';
import { nodeOf, type WorldEvent } from './event.ts';
import type { CrashDetails, Edge, Fault, Target, Trap } from './fault-script.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

interface ArmedTrap {
  readonly trap: Trap;
  readonly crash: CrashDetails;
}

const LAST_RESTART_REMEMBERS = 'applied';

export class FaultEngine implements Checker {
  readonly #world: World;
  readonly #counts = new Map<string, number>();
  readonly #traps = new Map<SimNode, ArmedTrap>();
  readonly #sprung: { readonly node: SimNode; readonly crash: CrashDetails }[] = [];
  readonly #pausedUntilMs = new Map<SimNode, number>();
  readonly #stalledUntilMs = new Map<SimNode, number>();
  /** Messages of this life and earlier ones were lost in a crash. */
  readonly #lostLives = new Map<SimNode, number>();
  /** What an isolation cut when it struck: its target was resolved then. */
  readonly #isolated = new Map<Fault, readonly Edge[]>();
  #isHealed = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** How many faults struck, by kind. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  strike(fault: Fault): void {
    if (this.#isHealed) return;
    switch (fault.kind) {
      case 'crash':
        this.#onTarget(fault.target, (node) => {
          this.#crash(node, fault.crash, fault.target === 'leader' ? 'crashLeader' : 'crash');
        });
        return;
      case 'trap':
        this.#onTarget(fault.target, (node) => this.#traps.set(node, fault));
        return;
      case 'partition':
        this.#count('partition');
        this.#world.network.cut(fault.cut);
        this.#endLater(fault, fault.durationMs);
        return;
      case 'isolate':
        this.#onTarget(fault.target, (node) => {
          this.#count('isolate');
          const cut = this.#edgesOf(node, fault.direction);
          this.#isolated.set(fault, cut);
          this.#world.network.cut(cut);
          this.#endLater(fault, fault.durationMs);
        });
        return;
      case 'storm':
        this.#count('storm');
        this.#world.network.startStorm(fault.network);
        this.#endLater(fault, fault.durationMs);
        return;
      case 'stall':
        this.#onTarget(fault.target, (node) => {
          this.#count('stall');
          this.#stalledUntilMs.set(node, this.#world.nowMs + fault.durationMs);
        });
        return;
      case 'pause':
        this.#onTarget(fault.target, (node) => {
          this.#count('pause');
          this.#pausedUntilMs.set(node, this.#world.nowMs + fault.durationMs);
        });
        return;
    }
  }

  end(fault: Fault): void {
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
      default:
        return;
    }
  }

  /** Ends the chaos: everybody is up and connected; pauses and stalls run out by themselves. */
  healAll(): void {
    this.#isHealed = true;
    this.#traps.clear();
    this.#world.network.heal();
    for (const node of this.#world.nodes) {
      if (!node.isUp) this.#world.restart(node, LAST_RESTART_REMEMBERS);
    }
  }

  /** Whether what `from` sent in that life died with it. */
  isLost(from: SimNode, life: number): boolean {
    return life <= (this.#lostLives.get(from) ?? 0);
  }

  isPaused(node: SimNode): boolean {
    return (this.#pausedUntilMs.get(node) ?? 0) > this.#world.nowMs;
  }

  /** When the event may happen: a paused process does nothing, a stalled disk finishes nothing. */
  heldUntilMs(event: WorldEvent): number {
    const node = nodeOf(event);
    if (node === null) return 0;
    const pausedUntilMs = this.#pausedUntilMs.get(node) ?? 0;
    if (event.kind !== 'persisted') return pausedUntilMs;
    return Math.max(pausedUntilMs, this.#stalledUntilMs.get(node) ?? 0);
  }

  /** Crashes whoever stepped into a trap during the last event. */
  springTraps(): void {
    for (const { node, crash } of this.#sprung.splice(0)) {
      if (node.isUp) this.#crash(node, crash, 'trap');
    }
  }

  released(node: SimNode, _to: NodeId, message: Message): void {
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
      default:
        return;
    }
  }

  stepped({ node, before, after }: Step): void {
    if (this.#traps.size === 0 || after.role !== 'leader') return;
    if (after.commitIndex > before.commitIndex) this.#maybeSpring(node, 'leaderCommits');
  }

  elected(node: SimNode): void {
    this.#maybeSpring(node, 'becameLeader');
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
    this.#pausedUntilMs.delete(node);
    const restart = { kind: 'restart', node, memory: crash.memory } as const;
    this.#world.schedule(this.#world.nowMs + crash.downMs, restart);
  }

  #onTarget(target: Target, strike: (node: SimNode) => void): void {
    const node = target === 'leader' ? this.#leader() : this.#world.nodes[target];
    if (node?.isUp) strike(node);
  }

  #leader(): SimNode | undefined {
    const leaders = this.#world.nodes.filter((node) => node.isUp && node.isLeader);
    return leaders.sort((a, b) => b.status.term - a.status.term)[0];
  }

  #edgesOf(node: SimNode, direction: 'both' | 'out' | 'in'): readonly Edge[] {
    const others = this.#world.nodes.filter((other) => other !== node);
    const out = others.map((other): Edge => [node.place, other.place]);
    const into = others.map((other): Edge => [other.place, node.place]);
    if (direction === 'out') return out;
    return direction === 'in' ? into : [...out, ...into];
  }

  #endLater(fault: Fault, durationMs: number): void {
    this.#world.schedule(this.#world.nowMs + durationMs, { kind: 'faultEnd', fault });
  }

  #count(kind: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }
}

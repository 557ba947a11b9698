/**
 * Runs a scenario text: lines that start with `> ` are commands, what follows is the full expected
 * trace. Time stands still; nothing is delivered, persisted or lost unless a command says so.
 * `quietly` before a command leaves its trace out. All checkers watch. Commands are in COMMANDS below and in docs/TESTING.md.
 */
import { assert } from '../../src/base/assert.ts';
import { KIB } from '../../src/base/sizes.ts';
import type { NodeId } from '../../src/base/units.ts';
import type { CoreConfig } from '../../src/raft/core-types.ts';
import type { Message } from '../../src/raft/messages.ts';
import { addAllCheckers } from './checkers/all-checkers.ts';
import { show } from './checkers/entry-registry.ts';
import { type Observers, Switchboard } from './checkers/observers.ts';
import { Judge } from './checkers/violation.ts';
import { type Host, nodeIdAt, SimNode } from './node.ts';
import { NO_BUGS } from './planted-bugs.ts';
import { formatEffect, formatMessage, formatNode, formatPersist } from './scenario-format.ts';
import { ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, HEARTBEAT_TICKS } from './timing.ts';

interface InFlight {
  readonly from: SimNode;
  readonly to: SimNode;
  readonly message: Message;
}

const SEGMENT_SIZE_BYTES = 64 * KIB;
const PAYLOAD_SIZE_BYTES = 8;
const SEED = 1;
/** Rounds after which `settle` gives up: heartbeats need ticks, so quiet comes soon. */
const SETTLE_ROUNDS_MAX = 100;

type Command = (scenario: Scenario, args: readonly string[]) => void;

const COMMANDS: Readonly<Record<string, Command>> = {
  /** nodes 3: starts a group with empty disks. */
  nodes: (scenario, [count]) => scenario.begin(Number(count)),
  /** campaign n1: lets the node's election timer run out. */
  campaign: (scenario, [id]) => scenario.campaign(id),
  /** tick n1 20: ticks one node; `tick n1`: once. */
  tick: (scenario, [id, count]) => scenario.tick(id, Number(count ?? 1)),
  /** deliver, deliver n1, deliver n1 n2: what is in flight now, to n1, from n1 to n2. */
  deliver: (scenario, route) => scenario.deliver(route),
  /** drop, drop n1, drop n1 n2: the same choice, lost. */
  drop: (scenario, route) => scenario.drop(route),
  /** persist, persist n2: completes what is queued on the disks now. */
  persist: (scenario, [id]) => scenario.persist(id),
  /** settle: persists and delivers until nothing is left to do. */
  settle: (scenario) => scenario.settle(),
  /** propose n1 5: value 5 to n1. */
  propose: (scenario, [id, value]) => {
    scenario.node(id).propose([Number(value)], PAYLOAD_SIZE_BYTES);
  },
  /** cut n3: from now on what n3 sends and is sent is lost. heal: no more. */
  cut: (scenario, [id]) => scenario.cut(id),
  heal: (scenario) => scenario.heal(),
  /** crash n3, crash n3 keeping 1: with so many of the queued persists on disk. */
  crash: (scenario, [id, _keeping, count]) => scenario.crash(id, Number(count ?? 0)),
  restart: (scenario, [id]) => scenario.node(id).start('nothing'),
  status: (scenario) => scenario.status(),
};

class Scenario implements Host {
  readonly observers: Observers;
  readonly nowMs = 0;
  readonly #switchboard = new Switchboard();
  #nodes: SimNode[] = [];
  #inFlight: InFlight[] = [];
  #toApply: { readonly node: SimNode; readonly life: number }[] = [];
  readonly #cut = new Set<SimNode>();
  #lines: string[] = [];

  constructor() {
    this.observers = this.#switchboard;
  }

  /** @returns the trace of the command. */
  run(line: string): readonly string[] {
    const words = line.split(' ');
    const isQuiet = words[0] === 'quietly';
    const [name = '', ...args] = isQuiet ? words.slice(1) : words;
    const command = COMMANDS[name];
    assert(command !== undefined, 'a scenario uses known commands', () => ({ line }));
    this.#lines = [];
    command(this, args);
    this.#apply();
    return isQuiet ? [] : this.#lines;
  }

  begin(count: number): void {
    this.#nodes = Array.from({ length: count }, (_, place) => {
      return new SimNode(this, {
        place,
        seed: SEED,
        config: configOf(place, count),
        bugs: NO_BUGS,
      });
    });
    this.#switchboard.add({
      persisting: (node, persist) => this.#print(`  ${node.id} persists ${formatPersist(persist)}`),
      applied: (node, entry) => this.#print(`  ${node.id} applies ${show(entry)}`),
      emitted: (node, effect) => {
        const text = formatEffect(effect);
        if (text !== null) this.#print(`  ${node.id} ${text}`);
      },
    });
    const judge = new Judge([]);
    addAllCheckers(this.#switchboard, {
      judge,
      nodes: this.#nodes,
      segmentSizeBytes: SEGMENT_SIZE_BYTES,
    });
    for (const node of this.#nodes) node.start('nothing');
  }

  node(id: string | undefined): SimNode {
    const node = this.#nodes.find((candidate) => candidate.id === id);
    assert(node !== undefined, 'a scenario names a node that exists', () => ({ id }));
    return node;
  }

  campaign(id: string | undefined): void {
    const node = this.node(id);
    const { role, term } = node.status;
    const hasStood = () => node.status.role !== role || node.status.term !== term;
    for (let i = 0; i <= ELECTION_TICKS_MAX && !hasStood(); i++) node.step({ kind: 'tick' });
    assert(hasStood(), 'an election timer runs out', () => ({ id }));
  }

  tick(id: string | undefined, count: number): void {
    for (let i = 0; i < count; i++) this.node(id).step({ kind: 'tick' });
  }

  deliver(route: readonly string[]): void {
    for (const { from, to, message } of this.#take(route)) {
      if (!to.isUp) continue;
      this.#print(`${from.id} -> ${to.id} ${formatMessage(message)}`);
      to.receive(from.id, message);
      this.#apply();
    }
  }

  drop(route: readonly string[]): void {
    for (const { from, to, message } of this.#take(route)) {
      this.#print(`lost: ${from.id} -> ${to.id} ${message.kind}`);
    }
  }

  persist(id: string | undefined): void {
    const nodes = id === undefined ? this.#nodes : [this.node(id)];
    for (const node of nodes) {
      // Only what is queued now: a completed persist may cause the next one.
      const count = node.disk.queue.length;
      for (let i = 0; i < count; i++) {
        this.#print(`${node.id} disk done`);
        node.completePersist();
        this.#apply();
      }
    }
  }

  settle(): void {
    for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
      if (this.#inFlight.length === 0 && this.#nodes.every((n) => n.disk.queue.length === 0))
        return;
      this.persist(undefined);
      this.deliver([]);
    }
    assert(false, 'a scenario settles');
  }

  cut(id: string | undefined): void {
    this.#cut.add(this.node(id));
  }

  heal(): void {
    this.#cut.clear();
  }

  crash(id: string | undefined, keepPersists: number): void {
    this.node(id).crash({
      downMs: 0,
      keepPersists,
      keepParts: 0,
      memory: 'nothing',
      losesSent: false,
    });
  }

  status(): void {
    for (const node of this.#nodes) this.#print(formatNode(node));
  }

  send(from: SimNode, to: NodeId, message: Message): void {
    const receiver = this.node(to);
    const isLost = this.#cut.has(from) || this.#cut.has(receiver);
    this.#print(`  ${from.id} sends ${to} ${formatMessage(message)}${isLost ? ' (lost)' : ''}`);
    if (!isLost) this.#inFlight.push({ from, to: receiver, message });
  }

  persistQueued(): void {
    // Persists complete when a command says so.
  }

  applyQueued(node: SimNode): void {
    this.#toApply.push({ node, life: node.life });
  }

  #apply(): void {
    for (;;) {
      // Ends: applying emits no new applies without new commits.
      const next = this.#toApply.shift();
      if (next === undefined) return;
      if (next.node.isUp && next.life === next.node.life) next.node.completeApply();
    }
  }

  #take([first, second]: readonly string[]): readonly InFlight[] {
    const isMeant = ({ from, to }: InFlight): boolean => {
      if (second !== undefined) return from.id === first && to.id === second;
      return first === undefined || to.id === first;
    };
    const taken = this.#inFlight.filter(isMeant);
    this.#inFlight = this.#inFlight.filter((message) => !isMeant(message));
    return taken;
  }

  #print(line: string): void {
    this.#lines.push(line);
  }
}

/** @returns the text with every trace replaced by what happens now. */
export function renderScenario(text: string): string {
  const scenario = new Scenario();
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('> ')) {
      lines.push(line, ...scenario.run(line.slice(2)).map((trace) => `  ${trace}`));
    } else if (line === '' || line.startsWith('#')) {
      lines.push(line);
    }
  }
  return lines.join('\n');
}

function configOf(place: number, nodeCount: number): CoreConfig {
  return {
    self: nodeIdAt(place),
    voters: Array.from({ length: nodeCount }, (_, i) => nodeIdAt(i)),
    segmentSizeBytes: SEGMENT_SIZE_BYTES,
    heartbeatTicks: HEARTBEAT_TICKS,
    electionTimeoutTicksMin: ELECTION_TICKS_MIN,
    electionTimeoutTicksMax: ELECTION_TICKS_MAX,
    appendSizeBytesMax: SEGMENT_SIZE_BYTES,
    inflightSizeBytesMax: 4 * SEGMENT_SIZE_BYTES,
    inflightCountMax: 16,
    uncommittedSizeBytesMax: SEGMENT_SIZE_BYTES,
  };
}

/**
 * One simulated replica: a real core, a modelled disk, and the driver's one rule (effects.ts).
 * The driver owns the volatile log: the core's entries as its effects told them, which is what the
 * checkers compare.
 */
import { assert, unreachable } from '../../src/base/assert.ts';
import { Prng, type RandomSource } from '../../src/base/prng.ts';
import { LogIndex, NodeId, type Term } from '../../src/base/units.ts';
import type { CoreConfig, CoreStart, CoreStatus } from '../../src/raft/core-types.ts';
import type { Effect, Input, PersistEffect, ProposeResult } from '../../src/raft/effects.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import type { Message } from '../../src/raft/messages.ts';
import { RaftCore } from '../../src/raft/raft-core.ts';
import { entryKey } from './checkers/entry-registry.ts';
import type { Observers } from './checkers/observers.ts';
import { SimDisk } from './disk.ts';
import type { CrashDetails } from './fault-script.ts';
import { keyedU32 } from './keyed-random.ts';
import { falsifyReceived, falsifySent, forgeVote, type PlantedBugs } from './planted-bugs.ts';

/** Draws within this time are equal; small shifts of a schedule leave most timeouts as they were. */
const RANDOM_BUCKET_MS = 500;

/** What a node needs of the world around it. */
export interface Host {
  readonly observers: Observers;
  readonly nowMs: number;
  send(from: SimNode, to: NodeId, message: Message): void;
  /** Another persist is first in the node's disk queue. */
  persistQueued(node: SimNode): void;
  /** Committed entries up to `to` wait for the node's state machine. */
  applyQueued(node: SimNode, to: LogIndex): void;
}

/** A proposal that has a place in the log and no outcome yet. */
export interface Accepted {
  readonly tag: number;
  readonly value: number;
  readonly index: LogIndex;
  readonly term: Term;
}

export interface NodeSetup {
  readonly place: number;
  readonly seed: number;
  readonly config: CoreConfig;
  readonly bugs: PlantedBugs;
}

export function nodeIdAt(place: number): NodeId {
  return NodeId(`n${place + 1}`);
}

export class SimNode {
  readonly id: NodeId;
  /** 0-based place in the cluster. */
  readonly place: number;
  readonly disk: SimDisk;
  /** Counts starts; events of an earlier life are void. */
  life = 0;
  /** The volatile log of this life. */
  log: EntryDesc[] = [];
  appliedIndex = LogIndex(0);
  readonly #host: Host;
  readonly #setup: NodeSetup;
  #core: RaftCore | null = null;
  #status: CoreStatus | null = null;
  /** Proposed in this life, outcome open: tag to value. */
  #openTags = new Map<number, number>();
  /** Accepted in this life, not applied here yet; by entry key. */
  #accepted = new Map<number, Accepted>();
  #unanswered = 0;
  /** Ends of the ranges that wait for the state machine, oldest first. */
  #applying: LogIndex[] = [];
  #nextTag = 1;

  constructor(host: Host, setup: NodeSetup) {
    this.#host = host;
    this.#setup = setup;
    this.place = setup.place;
    this.id = nodeIdAt(setup.place);
    this.disk = new SimDisk(setup.bugs.disk);
  }

  /** Timeouts depend on when they are drawn, not on how many were drawn before: see shrink.ts. */
  #randomSource(): RandomSource {
    const stream = new Prng(this.#setup.seed, `core:${this.id}`).nextU32();
    return {
      nextU32: () => keyedU32(stream, Math.floor(this.#host.nowMs / RANDOM_BUCKET_MS)),
    };
  }

  get isUp(): boolean {
    return this.#core !== null;
  }

  get isLeader(): boolean {
    return this.#status?.role === 'leader';
  }

  get status(): CoreStatus {
    assert(this.#status !== null, 'a node that is asked for its status is up');
    return this.#status;
  }

  get core(): RaftCore {
    assert(this.#core !== null, 'a node that is used is up');
    return this.#core;
  }

  start(memory: CrashDetails['memory']): void {
    assert(this.#core === null, 'a node starts when it is down');
    const { config, bugs } = this.#setup;
    const start: CoreStart = this.disk.recover(memory);
    this.life++;
    this.log = [...start.entries];
    this.appliedIndex = start.appliedIndex;
    this.#host.observers.started(this, start);
    this.#core =
      bugs.rules === null
        ? new RaftCore(config, start, this.#randomSource())
        : new RaftCore(config, start, this.#randomSource(), bugs.rules);
    this.#status = this.#core.status();
  }

  crash(keep: CrashDetails): void {
    assert(this.#core !== null, 'a node that crashes is up');
    this.#core = null;
    this.#status = null;
    this.#openTags = new Map();
    this.#accepted = new Map();
    this.#applying = [];
    this.disk.crash(keep);
    this.log = [];
    this.#host.observers.cut(this, this.disk.removed);
  }

  step(input: Input): void {
    const before = this.status;
    const effects = this.core.step(input);
    for (const effect of effects) this.#execute(effect, before);
    const after = this.core.status();
    this.#status = after;
    this.#host.observers.stepped({ node: this, input, effects, before, after });
  }

  receive(from: NodeId, message: Message): void {
    const forged = forgeVote(this.#setup.bugs.driver, this, message);
    if (forged !== null) this.#send(from, forged);
    const received = falsifyReceived(this.#setup.bugs.driver, this, message);
    this.step({ kind: 'receive', from, message: received });
  }

  propose(values: readonly number[], payloadSizeBytes: number): void {
    const proposals = values.map((value) => {
      const tag = this.#nextTag++;
      this.#openTags.set(tag, value);
      return { tag, type: 'data' as const, payloadSizeBytes, payloadCrc: value };
    });
    this.#unanswered = proposals.length;
    this.step({ kind: 'propose', proposals });
    assert(this.#unanswered === 0, 'every proposal is answered at once');
  }

  /** The oldest persist of the queue is on disk now. */
  completePersist(): void {
    const persist = this.disk.complete();
    if (this.disk.removed.length > 0) this.#host.observers.cut(this, this.disk.removed);
    if (this.disk.queue.length > 0) this.#host.persistQueued(this);
    if (this.#setup.bugs.driver !== 'repliesBeforeDurable') this.#release(persist);
    this.step({ kind: 'persisted', token: persist.token });
  }

  /** The state machine has finished the oldest range it was given. */
  completeApply(): void {
    const to = this.#applying.shift();
    assert(to !== undefined, 'a range that was applied was handed out');
    for (let index = this.appliedIndex + 1; index <= to; index++) {
      const entry = this.log[index - 1];
      assert(entry !== undefined, 'an applied entry is in the log', () => ({ index }));
      this.appliedIndex = entry.index;
      this.#host.observers.applied(this, entry);
      this.#settle(entry);
    }
    this.step({ kind: 'applied', index: to });
  }

  /** The derived state has flushed what it has applied. */
  flushApplied(): void {
    this.disk.image.appliedIndex = this.appliedIndex;
  }

  #execute(effect: Effect, before: CoreStatus): void {
    this.#host.observers.emitted(this, effect);
    switch (effect.kind) {
      case 'persist':
        this.#persist(effect, before);
        return;
      case 'send':
        this.#send(effect.to, effect.message);
        return;
      case 'apply':
        this.#applying.push(effect.to);
        this.#host.applyQueued(this, effect.to);
        return;
      case 'proposeResult':
        this.#answer(effect);
        return;
      case 'role':
        return;
      case 'alarm':
        this.#host.observers.alarmed(this, effect.id);
        return;
      default:
        unreachable(effect);
    }
  }

  #persist(persist: PersistEffect, before: CoreStatus): void {
    this.#host.observers.persisting(this, persist, before);
    if (persist.truncateFrom !== null) this.log.length = persist.truncateFrom - 1;
    for (const entry of persist.entries) this.log.push(entry);
    this.disk.submit(persist, before.commitIndex);
    if (this.#setup.bugs.driver === 'repliesBeforeDurable') this.#release(persist);
    if (this.disk.queue.length === 1) this.#host.persistQueued(this);
  }

  #release(persist: PersistEffect): void {
    for (const { to, message } of persist.after) this.#send(to, message);
  }

  #send(to: NodeId, message: Message): void {
    const sent = falsifySent(this.#setup.bugs.driver, this, message);
    this.#host.observers.released(this, to, sent);
    this.#host.send(this, to, sent);
  }

  #answer(result: ProposeResult): void {
    const value = this.#openTags.get(result.tag);
    assert(value !== undefined, 'an answer belongs to a proposal', () => ({ tag: result.tag }));
    switch (result.result) {
      case 'accepted':
        this.#unanswered--;
        this.#accept({ ...result, value });
        return;
      case 'rejected':
        this.#unanswered--;
        break;
      case 'overwritten':
        break;
      default:
        unreachable(result);
    }
    this.#openTags.delete(result.tag);
    this.#host.observers.refused(this, value);
  }

  #accept(accepted: Accepted): void {
    if (this.#setup.bugs.driver === 'acknowledgesUnapplied') {
      this.#host.observers.acknowledged(this, accepted);
    }
    this.#accepted.set(entryKey(accepted.index, accepted.term), accepted);
  }

  /** An entry was applied: whoever proposed it here learns of the success. */
  #settle(entry: EntryDesc): void {
    const key = entryKey(entry.index, entry.term);
    const accepted = this.#accepted.get(key);
    if (accepted === undefined) return;
    this.#accepted.delete(key);
    this.#openTags.delete(accepted.tag);
    if (this.#setup.bugs.driver !== 'acknowledgesUnapplied') {
      this.#host.observers.acknowledged(this, accepted);
    }
  }
}

/**
 * One node of the search: a real core, its disk, and the driver's one rule (effects.ts). Committed
 * entries are applied at once, so that acknowledgements come as early as they can.
 *
 * Also here: what a node must keep by itself, checked with nothing but its own inputs and outputs.
 */
import { assert, InvariantError, unreachable } from '../../../src/base/assert.ts';
import type { LogIndex, Term } from '../../../src/base/units.ts';
import type { CoreStatus } from '../../../src/raft/core-types.ts';
import type { Effect, Input, PersistEffect, ProposeResult } from '../../../src/raft/effects.ts';
import type { EntryDesc, EntryId, SnapshotDesc } from '../../../src/raft/entry.ts';
import type { LoggedMembership } from '../../../src/raft/membership.ts';
import type { Envelope, Message } from '../../../src/raft/messages.ts';
import { RaftCore } from '../../../src/raft/raft-core.ts';
import {
  BEAT_TICKS,
  configOf,
  FIRE_TICKS_MAX,
  type GroupSetup,
  LAPSE_TICKS,
  longestTimeouts,
  NODE_IDS,
  PAYLOAD_SIZE_BYTES,
  type Place,
} from './group.ts';
import type {
  Breach,
  LocalAction,
  LocalEvent,
  LocalFacts,
  LocalOutcome,
  Operation,
  ShortLog,
} from './local-action.ts';
import { type DiskImage, LocalDisk, startOf } from './local-disk.ts';
import { envelopesOf, Mirror } from './mirror.ts';
import { breachOfMessage, breachOfStep, mayCampaign } from './node-rules.ts';

export class LocalNode {
  readonly place: Place;
  readonly #core: RaftCore;
  readonly #disk: LocalDisk;
  readonly #mirror = new Mirror();
  #status: CoreStatus;
  #base: SnapshotDesc;
  #log: EntryDesc[];
  #memberships: LoggedMembership[];
  /** Proposals that were accepted in this life and have no outcome. */
  #accepted: { readonly tag: number; readonly id: EntryId }[] = [];
  #sends: Envelope[] = [];
  #events: LocalEvent[] = [];

  constructor(place: Place, setup: GroupSetup, image: DiskImage) {
    this.place = place;
    this.#disk = new LocalDisk(image);
    this.#base = image.base;
    this.#log = [...image.entries];
    this.#memberships = [image.base.membership, ...image.memberships];
    const config = configOf(NODE_IDS[place], setup);
    this.#core = new RaftCore(config, startOf(image), longestTimeouts, setup.rules);
    this.#status = this.#core.status();
  }

  imageAfterCrash(keptParts: number): DiskImage {
    return this.#disk.imageAfterCrash(keptParts);
  }

  /** After a breach the node must not be used any more. */
  perform(action: Exclude<LocalAction, { kind: 'crash' }>): LocalOutcome {
    this.#sends = [];
    this.#events = [];
    try {
      this.#perform(action);
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      this.#breach({ invariant: 'core', message: `${NODE_IDS[this.place]}: ${error.message}` });
    }
    return { sends: this.#sends, events: this.#events };
  }

  facts(): LocalFacts {
    const { role, term, commitIndex } = this.#status;
    const self = NODE_IDS[this.place];
    const { image, queue } = this.#disk;
    return {
      role,
      term,
      commitIndex,
      log: shortLogOf(this.#base, this.#log),
      durable: shortLogOf(image.base, image.entries),
      memberships: [...this.#memberships],
      mayFire: role !== 'leader' && mayCampaign(self, commitIndex, this.#memberships),
      queuedCount: queue.length,
      crashPlaces: this.#disk.partCount(),
    };
  }

  /** Equal for two nodes that will do the same from now on. */
  key(): string {
    const { endOffset: _, ...status } = this.#status;
    const { image, queue } = this.#disk;
    const writes = queue.map((persist) => ({ ...persist, token: 0 }));
    const { hardState, base, entries } = image;
    return JSON.stringify([
      status,
      this.#base.last,
      this.#log.map(idAndType),
      this.#memberships,
      hardState,
      base,
      entries.map(idAndType),
      image.memberships,
      writes,
      this.#accepted,
      this.#mirror.key(),
    ]);
  }

  #perform(action: Exclude<LocalAction, { kind: 'crash' }>): void {
    switch (action.kind) {
      case 'receive':
        this.#receive(action);
        return;
      case 'persist':
        this.#completePersist();
        return;
      case 'fire':
        this.#fire();
        return;
      case 'beat':
        for (let i = 0; i < BEAT_TICKS; i++) this.#step({ kind: 'tick' });
        return;
      case 'expire':
        for (let i = 0; i < FIRE_TICKS_MAX && this.#status.role === 'leader'; i++) {
          this.#step({ kind: 'tick' });
        }
        this.#sends = [];
        return;
      case 'operate':
        this.#operate(action.operation, action.tag);
        return;
      default:
        unreachable(action);
    }
  }

  /**
   * A node that heard its leader lately refuses to help another; that refusal differs from a lost
   * request only in the time it costs. So time passes first.
   */
  #receive({ from, message }: Extract<LocalAction, { kind: 'receive' }>): void {
    const isQuestion = message.kind === 'preVoteRequest' || message.kind === 'voteRequest';
    if (isQuestion && this.#mirror.hasHeardLeader) {
      for (let i = 0; i < LAPSE_TICKS; i++) this.#step({ kind: 'tick' });
      this.#mirror.hasHeardLeader = false;
    }
    this.#step({ kind: 'receive', from, message });
  }

  #completePersist(): void {
    const persist = this.#disk.completeOldest();
    for (const envelope of persist.after) this.#release(envelope);
    this.#step({ kind: 'persisted', token: persist.token });
  }

  #fire(): void {
    const { role, term } = this.#status;
    for (let i = 0; i < FIRE_TICKS_MAX; i++) {
      const effects = this.#step({ kind: 'tick' });
      const hasStood = this.#status.role !== role || this.#status.term !== term;
      if (hasStood || envelopesOf(effects).length > 0) return;
    }
  }

  #operate(operation: Operation, tag: number): void {
    switch (operation.kind) {
      case 'propose': {
        const proposal = { tag, type: 'data', payloadCrc: 0 } as const;
        const proposals = [{ ...proposal, payloadSizeBytes: PAYLOAD_SIZE_BYTES }];
        this.#step({ kind: 'propose', proposals });
        return;
      }
      case 'read':
        this.#events.push({ kind: 'readAsked', tag });
        this.#step({ kind: 'read', tag });
        return;
      case 'transfer':
        this.#step({ kind: 'transfer', tag, to: operation.to });
        return;
      case 'change': {
        const { steps } = operation;
        const ifMembershipIndex = this.#status.membership.index;
        this.#step({ kind: 'changeMembership', tag, steps, ifMembershipIndex });
        return;
      }
      case 'compact':
        this.#compact();
        return;
      default:
        unreachable(operation);
    }
  }

  #compact(): void {
    const { appliedIndex } = this.#status;
    const last = this.#log.find(({ index }) => index === appliedIndex);
    const membership = this.#memberships.findLast(({ index }) => index <= appliedIndex);
    if (last === undefined || membership === undefined) return;
    const { index, term, physicalOffset, sizeBytes } = last;
    const endOffset = this.#core.status().endOffset;
    const isEnd = index === this.#status.lastIndex;
    const next = this.#log.find((entry) => entry.index === index + 1);
    this.#base = {
      last: { index, term },
      endOffset: isEnd || next === undefined ? endOffset : next.physicalOffset,
      membership,
    };
    assert(physicalOffset + sizeBytes <= this.#base.endOffset, 'a snapshot covers its last entry');
    this.#log = this.#log.filter((entry) => entry.index > index);
    this.#memberships = [membership, ...this.#memberships.filter((one) => one.index > index)];
    this.#disk.compact(this.#base);
    this.#step({ kind: 'compacted', through: index });
  }

  #step(input: Input): readonly Effect[] {
    const before = this.#status;
    const effects = this.#core.step(input);
    const after = this.#core.status();
    this.#status = after;
    this.#mirror.observe({ input, before, effects, after });
    for (const effect of effects) this.#execute(effect, before);
    const memberships = this.#memberships;
    this.#breach(breachOfStep({ before, after, effects, log: this.#shortLog(), memberships }));
    // These are about the log as it is when all effects of the step are done.
    for (const effect of effects) this.#follow(effect);
    return effects;
  }

  #execute(effect: Effect, before: CoreStatus): void {
    switch (effect.kind) {
      case 'persist':
        this.#persist(effect, before);
        return;
      case 'send':
        this.#release(effect);
        return;
      case 'readResult': {
        const { tag } = effect;
        const isConfirmed = effect.result === 'confirmed';
        if (isConfirmed) this.#events.push({ kind: 'readConfirmed', tag, index: effect.index });
        else this.#events.push({ kind: 'readOver', tag });
        return;
      }
      case 'alarm':
        if (effect.id === 'followerLostLog') {
          this.#breach({ invariant: 'H23', message: 'a leader believes that an honest disk lied' });
        }
        return;
      case 'apply':
      case 'proposeResult':
      case 'sendSnapshot':
      case 'role':
      case 'membership':
      case 'transferResult':
      case 'changeResult':
        return;
      default:
        unreachable(effect);
    }
  }

  #follow(effect: Effect): void {
    if (effect.kind === 'proposeResult') this.#onProposeResult(effect);
    if (effect.kind === 'apply') {
      this.#apply(effect.from, effect.to);
      this.#step({ kind: 'applied', index: effect.to });
    }
    if (effect.kind === 'sendSnapshot') {
      const snapshot = this.#base;
      const message = { kind: 'installSnapshot', term: this.#status.term, snapshot } as const;
      this.#release({ to: effect.to, message });
      this.#step({ kind: 'snapshotSent', peer: effect.to, index: snapshot.last.index });
    }
  }

  #persist(persist: PersistEffect, before: CoreStatus): void {
    const { snapshot, truncateFrom, entries, memberships } = persist;
    const from = snapshot === null ? truncateFrom : null;
    if (snapshot !== null) {
      this.#base = snapshot;
      this.#log = [];
      this.#memberships = [snapshot.membership];
    } else if (from !== null) {
      if (from <= before.commitIndex) {
        const message = `cuts from ${from}, its commit index is ${before.commitIndex}`;
        this.#breach({ invariant: 'N3', message: `${NODE_IDS[this.place]} ${message}` });
      }
      this.#log = this.#log.filter(({ index }) => index < from);
      this.#memberships = this.#memberships.filter(({ index }) => index < from);
    }
    this.#log.push(...entries);
    this.#memberships.push(...memberships);
    this.#disk.submit(persist);
  }

  #release({ to, message }: { readonly to: Envelope['to']; readonly message: Message }): void {
    this.#sends.push({ to, message });
    const { image, lastIndex } = this.#disk;
    const { hardState } = image;
    const self = NODE_IDS[this.place];
    this.#breach(breachOfMessage(message, { self, to, hardState, lastIndex }));
  }

  #apply(from: LogIndex, to: LogIndex): void {
    for (let index: number = from; index <= to; index++) {
      const entry = this.#log.find((one) => one.index === index);
      assert(entry !== undefined, 'an applied entry is in the log', () => ({ index }));
      if (index > this.#disk.lastIndex) {
        const message = `${NODE_IDS[this.place]} applies ${index}, which is not on its disk`;
        this.#breach({ invariant: 'N2', message });
      }
      const isThis = ({ id }: { readonly id: EntryId }): boolean =>
        id.index === entry.index && id.term === entry.term;
      if (!this.#accepted.some(isThis)) continue;
      this.#accepted = this.#accepted.filter((one) => !isThis(one));
      this.#events.push({ kind: 'acknowledged', index: entry.index, term: entry.term });
    }
  }

  #onProposeResult(effect: ProposeResult): void {
    const { tag } = effect;
    if (effect.result === 'accepted') {
      this.#accepted.push({ tag, id: { index: effect.index, term: effect.term } });
      return;
    }
    if (effect.result === 'rejected') return;
    const waiting = this.#accepted.find((one) => one.tag === tag);
    const place = waiting?.id;
    const now = this.#log.find(({ index }) => index === place?.index);
    const isGone = place !== undefined && (now === undefined || now.term !== place.term);
    if (!isGone) {
      const message = `${NODE_IDS[this.place]} calls proposal ${tag} overwritten: it is not`;
      this.#breach({ invariant: 'O2', message });
    }
    this.#accepted = this.#accepted.filter((one) => one.tag !== tag);
  }

  #breach(breach: Breach | null): void {
    if (breach !== null) this.#events.push({ kind: 'breach', ...breach });
  }

  #shortLog(): ShortLog {
    return shortLogOf(this.#base, this.#log);
  }
}

function shortLogOf(base: SnapshotDesc, entries: readonly EntryDesc[]): ShortLog {
  return { base: base.last, terms: entries.map(({ term }): Term => term) };
}

function idAndType({ term, type }: EntryDesc): string {
  return `${term}${type}`;
}

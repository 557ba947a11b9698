/**
 * Collects what one step wants done. At most one write leaves a step, so that a term, a cut, the
 * entries after it and the replies that wait for all of them are one unit on disk.
 *
 * Not here: whether a promise is already kept, and the order of the effects (core-state.ts).
 */
import { assert } from '../base/assert.ts';
import { advance, type LogIndex, type NodeId } from '../base/units.ts';
import type { Effect, HardState } from './effects.ts';
import type { EntryDesc, SnapshotDesc } from './entry.ts';
import type { LoggedMembership } from './membership.ts';
import type { Envelope, Message } from './messages.ts';

/** Effects that depend on nothing and that nothing depends on. */
export type Notice = Exclude<Effect, { kind: 'persist' | 'send' | 'apply' | 'role' }>;

/** A message that says something about our disk, and may leave only once that is true. */
export interface DurablePromise extends Envelope {
  /** The log up to here, and the hard state as it was when the message was made. */
  readonly durableThrough: LogIndex;
}

/** Everything one step asked for. */
export interface StepOutput {
  readonly notices: Notice[];
  readonly sends: Envelope[];
  readonly promises: DurablePromise[];
  readonly entries: EntryDesc[];
  readonly memberships: LoggedMembership[];
  hardState: HardState | null;
  snapshot: SnapshotDesc | null;
  truncateFrom: LogIndex | null;
}

export class Outbox {
  #output = emptyOutput();

  notify(notice: Notice): void {
    this.#output.notices.push(notice);
  }

  /** At once: the message promises nothing about our disk. */
  send(to: NodeId, message: Message): void {
    this.#output.sends.push({ to, message });
  }

  promise(promise: DurablePromise): void {
    this.#output.promises.push(promise);
  }

  writeHardState(hardState: HardState): void {
    this.#output.hardState = hardState;
  }

  writeCut(truncateFrom: LogIndex): void {
    assert(this.#output.truncateFrom === null, 'a step cuts once');
    assert(this.#output.entries.length === 0, 'a step cuts before it appends');
    this.#output.truncateFrom = truncateFrom;
  }

  /** @param keptThrough what of the old log may still be counted on until the write is done */
  writeSnapshot(snapshot: SnapshotDesc, keptThrough: LogIndex): void {
    assert(this.#output.entries.length === 0, 'a snapshot comes before the entries after it');
    this.#output.snapshot = snapshot;
    this.#output.truncateFrom = advance(keptThrough, 1);
  }

  writeEntry(entry: EntryDesc, membership: LoggedMembership | null): void {
    this.#output.entries.push(entry);
    if (membership !== null) this.#output.memberships.push(membership);
  }

  /** @returns what was collected since the last call. */
  drain(): StepOutput {
    const output = this.#output;
    this.#output = emptyOutput();
    return output;
  }
}

export function hasWrite(output: StepOutput): boolean {
  return output.hardState !== null || output.truncateFrom !== null || output.entries.length > 0;
}

function emptyOutput(): StepOutput {
  return {
    notices: [],
    sends: [],
    promises: [],
    entries: [],
    memberships: [],
    hardState: null,
    snapshot: null,
    truncateFrom: null,
  };
}

/**
 * I3 LogMatching and N4: the first appearance of an (index, term) fixes its content and the term
 * before it; each later appearance anywhere must agree. By induction equal ids mean equal prefixes.
 */
import type { LogIndex, Term } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import { skipSegmentHeader } from '../../../src/raft/entry.ts';
import type { LoggedMembership, Membership } from '../../../src/raft/membership.ts';
import type { LogBook } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker } from './observers.ts';
import type { Judge } from './violation.ts';

const TERM_LIMIT = 2 ** 20;

/** One number per (index, term), for maps. */
export function entryKey(index: LogIndex, term: Term): number {
  return index * TERM_LIMIT + term;
}

interface KnownEntry {
  readonly entry: EntryDesc;
  readonly prevTerm: number;
  /** What it says; null when it is no config entry. */
  readonly membership: Membership | null;
}

/** The place in a log that an entry follows. */
interface Place {
  readonly term: number;
  readonly endOffset: number;
}

export function logMatchingChecker(judge: Judge, book: LogBook, segmentSizeBytes: number): Checker {
  const known = new Map<number, KnownEntry>();

  function checkEntry(
    node: NodeView,
    entry: EntryDesc,
    prev: Place,
    membership: Membership | null,
  ): void {
    judge.require(entry.term >= prev.term, 'N4', () => `${node.id} terms fall at ${show(entry)}`);
    judge.require((entry.type === 'config') === (membership !== null), 'N4', () => {
      return `${node.id} has ${show(entry)} and ${membership === null ? 'no' : 'a'} membership`;
    });
    const key = entryKey(entry.index, entry.term);
    const first = known.get(key);
    if (first === undefined) {
      known.set(key, { entry, prevTerm: prev.term, membership });
      checkPlace(node, entry, prev.endOffset);
      return;
    }
    const isSame =
      first.prevTerm === prev.term &&
      isSameEntry(first.entry, entry) &&
      isSameMembership(first.membership, membership);
    judge.require(isSame, 'I3', () => {
      const was = `${show(first.entry)} after term ${first.prevTerm}`;
      return `${node.id} has ${show(entry)} after term ${prev.term}, elsewhere it is ${was}`;
    });
  }

  function checkPlace(node: NodeView, entry: EntryDesc, end: number): void {
    const want = skipSegmentHeader(end as EntryDesc['physicalOffset'], segmentSizeBytes);
    judge.require(entry.physicalOffset === want, 'N4', () => {
      return `${node.id} places ${show(entry)} at ${entry.physicalOffset}, the log ends at ${end}`;
    });
    const first = Math.floor(entry.physicalOffset / segmentSizeBytes);
    const last = Math.floor((entry.physicalOffset + entry.sizeBytes - 1) / segmentSizeBytes);
    judge.require(first === last, 'N4', () => `${show(entry)} straddles segments`);
  }

  function checkRun(
    node: NodeView,
    first: number,
    start: Place,
    { entries, memberships }: Pick<CoreStart, 'entries' | 'memberships'>,
  ): void {
    let prev = start;
    for (const [i, entry] of entries.entries()) {
      judge.require(entry.index === first + i, 'N4', () => {
        return `${node.id} has index ${entry.index} at ${first + i}`;
      });
      checkEntry(node, entry, prev, contentOf(memberships, entry));
      prev = { term: entry.term, endOffset: entry.physicalOffset + entry.sizeBytes };
    }
  }

  return {
    started(node: NodeView, start: CoreStart): void {
      const { last, endOffset } = start.base;
      checkRun(node, last.index + 1, { term: last.term, endOffset }, start);
    },
    persisting(node: NodeView, persist: PersistEffect): void {
      const log = book.of(node);
      if (persist.snapshot !== null) {
        const { last, endOffset } = persist.snapshot;
        checkRun(node, last.index + 1, { term: last.term, endOffset }, persist);
        return;
      }
      const first = persist.truncateFrom ?? log.lastIndex + 1;
      const term = log.termAt(first - 1);
      judge.require(typeof term === 'number', 'N4', () => {
        return `${node.id} appends at ${first}, its log is from ${log.base.last.index} to ${log.lastIndex}`;
      });
      if (typeof term !== 'number') return; // the invariant was muted
      checkRun(node, first, { term, endOffset: log.endOffsetAt(first - 1) }, persist);
    },
  };
}

function contentOf(memberships: readonly LoggedMembership[], entry: EntryDesc): Membership | null {
  return memberships.find(({ index }) => index === entry.index)?.membership ?? null;
}

export function isSameMembership(a: Membership | null, b: Membership | null): boolean {
  // Both come from the same code, so equal values have equal texts.
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

export function isSameEntry(a: EntryDesc, b: EntryDesc): boolean {
  if (a === b) return true;
  return (
    a.index === b.index &&
    a.term === b.term &&
    a.type === b.type &&
    a.physicalOffset === b.physicalOffset &&
    a.sizeBytes === b.sizeBytes &&
    a.payloadSizeBytes === b.payloadSizeBytes &&
    a.payloadCrc === b.payloadCrc
  );
}

export function show(entry: EntryDesc | undefined): string {
  if (entry === undefined) return 'nothing';
  return `${entry.index}/${entry.term}:${entry.type}${entry.type === 'data' ? entry.payloadCrc : ''}`;
}

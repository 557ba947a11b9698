/**
 * I3 LogMatching and N4: the first appearance of an (index, term) fixes its content and the term
 * before it; each later appearance anywhere must agree. By induction equal ids mean equal prefixes.
 */
import type { LogIndex, Term } from '../../../src/base/units.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import { skipSegmentHeader } from '../../../src/raft/entry.ts';
import type { SimNode } from '../node.ts';
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
}

export function logMatchingChecker(judge: Judge, segmentSizeBytes: number): Checker {
  const known = new Map<number, KnownEntry>();

  function checkEntry(node: SimNode, entry: EntryDesc, prev: EntryDesc | undefined): void {
    const prevTerm = prev?.term ?? 0;
    judge.require(entry.term >= prevTerm, 'N4', () => `${node.id} terms fall at ${show(entry)}`);
    const key = entryKey(entry.index, entry.term);
    const first = known.get(key);
    if (first === undefined) {
      known.set(key, { entry, prevTerm });
      checkPlace(node, entry, prev);
      return;
    }
    const isSame = first.prevTerm === prevTerm && isSameEntry(first.entry, entry);
    judge.require(isSame, 'I3', () => {
      const was = `${show(first.entry)} after term ${first.prevTerm}`;
      return `${node.id} has ${show(entry)} after term ${prevTerm}, elsewhere it is ${was}`;
    });
  }

  function checkPlace(node: SimNode, entry: EntryDesc, prev: EntryDesc | undefined): void {
    const end = prev === undefined ? 0 : prev.physicalOffset + prev.sizeBytes;
    const want = skipSegmentHeader(end as EntryDesc['physicalOffset'], segmentSizeBytes);
    judge.require(entry.physicalOffset === want, 'N4', () => {
      return `${node.id} places ${show(entry)} at ${entry.physicalOffset}, the log ends at ${end}`;
    });
    const first = Math.floor(entry.physicalOffset / segmentSizeBytes);
    const last = Math.floor((entry.physicalOffset + entry.sizeBytes - 1) / segmentSizeBytes);
    judge.require(first === last, 'N4', () => `${show(entry)} straddles segments`);
  }

  return {
    persisting(node: SimNode, persist: PersistEffect): void {
      if (persist.entries.length === 0) return;
      const start = persist.truncateFrom ?? node.log.length + 1;
      let prev = node.log[start - 2];
      for (const [i, entry] of persist.entries.entries()) {
        judge.require(entry.index === start + i, 'N4', () => {
          return `${node.id} appends index ${entry.index} at ${start + i}`;
        });
        checkEntry(node, entry, prev);
        prev = entry;
      }
    },
  };
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

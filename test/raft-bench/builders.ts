/** Cores in a chosen state, and words to read their effects with. */
import { equal, ok } from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import {
  type CoreConfig,
  type Effect,
  type EntryDesc,
  type EntryId,
  entrySizeBytes,
  type Message,
  type PersistEffect,
  placeEntry,
  RaftCore,
  type SafetyRules,
  standardRules,
} from '../../src/raft/index.ts';
import { benchConfig } from './bench.ts';

export const N1 = NodeId('n1');
export const N2 = NodeId('n2');
export const N3 = NodeId('n3');

/** Every entry that the builders make has this payload. */
export const PAYLOAD_SIZE_BYTES = 8;
export const ENTRY_SIZE_BYTES = entrySizeBytes(PAYLOAD_SIZE_BYTES);

export interface CoreOptions {
  readonly voters?: readonly NodeId[];
  readonly term?: number;
  readonly votedFor?: NodeId | null;
  /** The term of each entry of the log, from index 1. */
  readonly log?: readonly number[];
  readonly commitIndex?: number;
  readonly appliedIndex?: number;
  readonly config?: Partial<CoreConfig>;
  readonly rules?: SafetyRules;
}

/** `n1`; in term 1 or the term of its last entry, with everything in its log durable. */
export function aCore(options: CoreOptions = {}): RaftCore {
  const log = options.log ?? [];
  const term = Term(options.term ?? log.at(-1) ?? 1);
  const config = { ...benchConfig(N1, options.voters ?? [N1, N2, N3]), ...options.config };
  const start = {
    hardState: { term, votedFor: options.votedFor ?? null },
    entries: entriesOf(log, config.segmentSizeBytes),
    commitIndex: LogIndex(options.commitIndex ?? options.appliedIndex ?? 0),
    appliedIndex: LogIndex(options.appliedIndex ?? 0),
  };
  return new RaftCore(config, start, new Prng(7, 'builder'), options.rules ?? standardRules);
}

/** `n1` leading the term after the one given, its no-op in the log, nothing of it durable yet. */
export function aLeader(options: CoreOptions = {}): { core: RaftCore; effects: readonly Effect[] } {
  const core = aCore(options);
  const voters = options.voters ?? [N1, N2, N3];
  const others = voters.slice(1);
  while (core.status().role === 'follower') core.step({ kind: 'tick' });
  let effects: readonly Effect[] = [];
  const term = core.status().term + 1;
  for (const peer of others) {
    effects = receive(core, peer, { kind: 'preVoteReply', term: Term(term), granted: true });
    if (core.status().role === 'candidate') break;
  }
  effects = core.step({ kind: 'persisted', token: thePersist(effects).token });
  for (const peer of others) {
    if (core.status().role === 'leader') break;
    effects = receive(core, peer, { kind: 'voteReply', term: Term(term), granted: true });
  }
  equal(core.status().role, 'leader');
  return { core, effects };
}

export function entriesOf(terms: readonly number[], segmentSizeBytes: number): EntryDesc[] {
  let end = PhysicalOffset(0);
  return terms.map((term, i) => {
    const place = placeEntry(end, PAYLOAD_SIZE_BYTES, segmentSizeBytes);
    ok(place.fillerSizeBytes === 0, 'the log of a builder lies in one segment');
    end = PhysicalOffset(place.physicalOffset + place.sizeBytes);
    return {
      index: LogIndex(i + 1),
      term: Term(term),
      type: 'data',
      physicalOffset: place.physicalOffset,
      sizeBytes: place.sizeBytes,
      payloadSizeBytes: PAYLOAD_SIZE_BYTES,
      payloadCrc: i + 1,
    };
  });
}

/** An append of the entries of `log` after `prevIndex`. */
export function anAppend(options: {
  readonly term: number;
  readonly log: readonly number[];
  readonly prevIndex: number;
  readonly commitIndex?: number;
}): Extract<Message, { kind: 'appendRequest' }> {
  const entries = entriesOf(options.log, 2 ** 20);
  return {
    kind: 'appendRequest',
    term: Term(options.term),
    prev: anId(options.log[options.prevIndex - 1] ?? 0, options.prevIndex),
    entries: entries.slice(options.prevIndex),
    commitIndex: LogIndex(options.commitIndex ?? 0),
  };
}

export function anId(term: number, index: number): EntryId {
  return { term: Term(term), index: LogIndex(index) };
}

export function receive(core: RaftCore, from: NodeId, message: Message): readonly Effect[] {
  return core.step({ kind: 'receive', from, message });
}

export function propose(core: RaftCore, tag = 1, payloadSizeBytes = 8): readonly Effect[] {
  const proposal = { tag, type: 'data', payloadSizeBytes, payloadCrc: tag } as const;
  return core.step({ kind: 'propose', proposals: [proposal] });
}

export function ticks(core: RaftCore, count: number): readonly Effect[] {
  return Array.from({ length: count }, () => core.step({ kind: 'tick' })).flat();
}

/** Messages that leave at once, and those that wait for a write. */
export function sent<K extends Message['kind']>(
  effects: readonly Effect[],
  kind: K,
): { to: NodeId; message: Extract<Message, { kind: K }> }[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'send' || effect.message.kind !== kind) return [];
    return [{ to: effect.to, message: effect.message as Extract<Message, { kind: K }> }];
  });
}

export function waiting<K extends Message['kind']>(
  effects: readonly Effect[],
  kind: K,
): { to: NodeId; message: Extract<Message, { kind: K }> }[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'persist') return [];
    return effect.after
      .filter(({ message }) => message.kind === kind)
      .map(({ to, message }) => ({ to, message: message as Extract<Message, { kind: K }> }));
  });
}

export function thePersist(effects: readonly Effect[]): PersistEffect {
  const persists = effects.filter((effect) => effect.kind === 'persist');
  equal(persists.length, 1, 'one persist');
  return persists[0]!; // counted above
}

export function effectsOf<K extends Effect['kind']>(
  effects: readonly Effect[],
  kind: K,
): Extract<Effect, { kind: K }>[] {
  return effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);
}

export function termsOf(core: RaftCore): number[] {
  const { lastIndex } = core.status();
  return Array.from({ length: lastIndex }, (_, i) => Number(core.termAt(LogIndex(i + 1))));
}

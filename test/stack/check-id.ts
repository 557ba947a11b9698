/**
 * What a run is checked for. A failure is known by its check, so that a shrinker can keep it and a
 * planted bug must be found by the right one. Letters and numbers as in the list of invariants that
 * every Raft group must keep, where there is one.
 */

export const CHECKS = {
  I1: 'at most one leader per term',
  I3: 'equal entries have equal bytes on every node',
  I7: 'what is applied is durable with a majority of every set that decides',
  I9: 'nobody applies another entry at an index',
  N1: 'a node remembers its term and its vote',
  N6: 'a node remembers what it has acknowledged',
  D2: 'derived state is a function of the log, the same on every node',
  A1: 'what was acknowledged to a client is in the log',
  A2: 'a message has one place, and queues have no gaps',
  A3: 'consumers get what was sent, and not again after it was done',
  A4: 'what failed for sure is not in the log',
  A5: 'clients see only what is committed',
  C1: 'a good request does not fail in an unexpected way',
  F1: 'no node gives up, unless its disk or its directory is bad',
  F2: 'a node that must not start does not start',
  F3: 'no node raises an alarm',
  H21: 'who comes with a wrong directory is refused, and nobody else is',
  H28: 'no damaged frame is taken for a message',
  M1: 'members change by the operation that holds the lock, and only as far as it was allowed',
  M2: 'one change of members at a time, each made of the one before',
  M3: 'what was removed, node or store, is never heard or taken in again',
  M4: 'what an operator was told is so',
  M5: 'the trail says what was done, and nothing else',
  M6: 'voters change only when a majority of those afterwards is not known to be dead',
  M7: 'a node leads with votes of a majority of every set that decides',
  Q1: 'what survivors prove committed is so, and they can be recovered',
  Q2: 'a recovery keeps all that it says it keeps, as it was',
  Q3: 'whatever is lost was stored in the time that the bound names, and is no more than the bound at its rate',
  Q4: 'a recovered node leads alone, also when its recovery was interrupted, and serves',
  Q5: 'nobody of the old group has a part in the new one',
  R1: 'retention takes nothing that a member needs who is heard',
  L1: 'with a healed majority every request is answered',
  L2: 'after everything has healed all nodes agree',
  L3: 'after everything has healed a command that is typed again ends, and the group can be changed',
  T1: 'nothing asks for real time or real chance',
} as const;

export type CheckId = keyof typeof CHECKS;

export interface Violation {
  readonly check: CheckId;
  readonly atMs: number;
  /** How much had been seen by then. */
  readonly eventCount: number;
  readonly sentence: string;
}

/**
 * Branded numbers: a brand costs nothing at run time and stops the mistakes this domain is made of,
 * such as reading a physical offset at a queue offset.
 *
 * All are safe integers (below 2^53): as bytes of log that is 8 PiB, as entries 285 years at one
 * million per second. The constructors below and the byte decoders are the only ways in.
 */
import { assert } from './assert.ts';

declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]: Name };

/** Raft epoch with at most one leader. 0 is "before the first election". */
export type Term = Unit<'Term'>;
/** Place of an entry in the Raft log; the first is 1, 0 is "before the first". */
export type LogIndex = Unit<'LogIndex'>;
/** Byte place in the whole commit log, segment headers included. */
export type PhysicalOffset = Unit<'PhysicalOffset'>;
/** Number of a message in its queue; the first is 0. */
export type QueueOffset = Unit<'QueueOffset'>;

/** Name of one replica, unique in its group for ever: `n1`. */
export type NodeId = string & { readonly [unit]: 'NodeId' };

function checked(value: number): number {
  assert(Number.isSafeInteger(value), 'a unit is a safe integer', () => ({ value }));
  assert(value >= 0, 'a unit is not negative', () => ({ value }));
  return value;
}

export const Term = (value: number): Term => checked(value) as Term;
export const LogIndex = (value: number): LogIndex => checked(value) as LogIndex;
export const PhysicalOffset = (value: number): PhysicalOffset => checked(value) as PhysicalOffset;
export const QueueOffset = (value: number): QueueOffset => checked(value) as QueueOffset;

export function NodeId(value: string): NodeId {
  assert(/^[A-Za-z0-9_-]{1,64}$/.test(value), 'a node id is a short plain word', () => ({ value }));
  return value as NodeId;
}

/** Moves a value by a distance, keeping its unit. */
export function advance<U extends Unit<string>>(from: U, by: number): U {
  return checked(from + by) as U;
}

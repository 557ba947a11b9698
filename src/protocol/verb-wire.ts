/** Small pieces that the two halves of the verb codec share. */
import { NodeId } from '../base/units.ts';
import { CodecError } from './schema.ts';

export interface WireProperty {
  readonly key: string;
  readonly value: string;
}

/** A list keeps keys like `__proto__` harmless, which a protobuf map does not promise. */
export function propertiesOf(record: Readonly<Record<string, string>>): WireProperty[] {
  return Object.entries(record).map(([key, value]) => ({ key, value }));
}

export function recordOf(properties: readonly WireProperty[]): Readonly<Record<string, string>> {
  return Object.fromEntries(properties.map(({ key, value }) => [key, value]));
}

/** Refuses what cannot become a branded number. */
export function checkedInteger(value: number, field: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new CodecError(`${field} is ${value}, expected an integer from 0 to 2^53 - 1`);
}

export function checkedNodeId(value: string, field: string): NodeId {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(value)) return NodeId(value);
  throw new CodecError(`${field} is not a node id`);
}

export function required<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined) throw new CodecError(`${field} is missing`);
  return value;
}

/** The word as a member of the list, which is the only place where the members are spelled. */
export function checkedWord<const W extends string>(
  value: string,
  words: readonly W[],
  field: string,
): W {
  const found = words.find((word) => word === value);
  if (found === undefined) throw new CodecError(`${field} is a word this version does not know`);
  return found;
}

/** The value when the message carries the field; its prototype would give a default otherwise. */
export function optionalOf<T extends object, K extends keyof T>(
  message: T,
  field: K,
): Exclude<T[K], undefined> | null {
  return Object.hasOwn(message, field)
    ? ((message[field] ?? null) as Exclude<T[K], undefined>)
    : null;
}

/**
 * Reads decoded protobuf messages field by field: a decoded message has its defaults on the prototype
 * only, and what another process says is checked before it becomes a value of ours. A reader of a record
 * names a reader for each of its fields, so that a forgotten field does not compile.
 */
import { LogIndex, type NodeId, Term } from '../base/units.ts';
import { CodecError } from './schema.ts';
import { checkedInteger, checkedNodeId, checkedWord } from './verb-wire.ts';

/** Takes the field `name` of a message. */
export type FieldReader<T> = (wire: object, name: string) => T;

function fieldOf(wire: object, name: string): unknown {
  // The one place where a decoded field becomes a value; whoever asks looks at its type.
  return (wire as Readonly<Record<string, unknown>>)[name];
}

export const text: FieldReader<string> = (wire, name) => {
  const value = fieldOf(wire, name);
  if (typeof value === 'string') return value;
  throw new CodecError(`${name} is not a text`);
};

export const flag: FieldReader<boolean> = (wire, name) => fieldOf(wire, name) === true;

/** From 0 to 2^53 - 1. */
export const count: FieldReader<number> = (wire, name) =>
  checkedInteger(numberOf(wire, name), name);

export const logIndex: FieldReader<LogIndex> = (wire, name) => LogIndex(count(wire, name));
export const term: FieldReader<Term> = (wire, name) => Term(count(wire, name));

/** Of any sign. */
export const integer: FieldReader<number> = (wire, name) => {
  const value = numberOf(wire, name);
  if (Number.isSafeInteger(value)) return value;
  throw new CodecError(`${name} is ${value}, expected an integer`);
};

export const decimal: FieldReader<number> = (wire, name) => {
  const value = numberOf(wire, name);
  if (Number.isFinite(value)) return value;
  throw new CodecError(`${name} is ${value}, expected a number`);
};

export const nodeId: FieldReader<NodeId> = (wire, name) => checkedNodeId(text(wire, name), name);

export function word<const W extends string>(words: readonly W[]): FieldReader<W> {
  return (wire, name) => checkedWord(text(wire, name), words, name);
}

/** null when the field is absent. */
export function optional<T>(reader: FieldReader<T>): FieldReader<T | null> {
  return (wire, name) => {
    const isThere = Object.hasOwn(wire, name) && fieldOf(wire, name) !== null;
    return isThere ? reader(wire, name) : null;
  };
}

export function listOf<T>(reader: FieldReader<T>): FieldReader<readonly T[]> {
  return (wire, name) => {
    const value = fieldOf(wire, name);
    if (!Array.isArray(value)) throw new CodecError(`${name} is not a list`);
    return value.map((_, i) => reader(value, String(i)));
  };
}

/** A message inside a message. */
export function record<T extends object>(
  readers: {
    readonly [Name in keyof T]: FieldReader<T[Name]>;
  },
): FieldReader<T> {
  const fields = Object.entries<FieldReader<unknown>>(readers);
  return (wire, name) => {
    const value = fieldOf(wire, name);
    if (typeof value !== 'object' || value === null) throw new CodecError(`${name} is missing`);
    const read = fields.map(([field, reader]) => [field, reader(value, field)]);
    // Each field of T was read by its reader.
    return Object.fromEntries(read) as T;
  };
}

function numberOf(wire: object, name: string): number {
  const value = fieldOf(wire, name);
  if (typeof value === 'number') return value;
  throw new CodecError(`${name} is not a number`);
}

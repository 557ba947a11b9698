/** Values out of JSON that somebody else may have written: each one checked, or a CorruptionError. */
import { CorruptionError } from '../../base/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function refuse(what: string): never {
  throw new CorruptionError(`Not what a backup says of itself: ${what}`);
}

/** @throws CorruptionError */
export function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    // Of JSON.parse, and of bytes that are no text.
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    return refuse(`it is no JSON (${error.message})`);
  }
}

export function object(value: unknown, name: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(`${name} is no object`);
  }
  return value as JsonObject; // just checked
}

export function list(value: unknown, name: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(`${name} is no list`);
}

export function text(value: unknown, name: string): string {
  return typeof value === 'string' ? value : refuse(`${name} is no text`);
}

export function count(value: unknown, name: string): number {
  const isCount = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return isCount ? value : refuse(`${name} is no whole number`);
}

export function digest(value: unknown, name: string): string {
  const digits = text(value, name);
  return /^[0-9a-f]{64}$/.test(digits) ? digits : refuse(`${name} is no SHA-256`);
}

/**
 * The command that carries what operators do: a line of the audit trail together with the deed, in one
 * record, so that nothing is done that the trail does not know.
 */
import { unreachable } from '../base/assert.ts';
import type { LogIndex, NodeId } from '../base/units.ts';
import { CodecError } from './schema.ts';
import { count, type FieldReader, flag, logIndex, nodeId, record, text } from './wire-reader.ts';

export interface AdminCommand {
  readonly kind: 'admin';
  readonly line: AuditLine;
  readonly deed: AdminDeed;
}

export interface AuditLine {
  /** Clock of the leader. */
  readonly atMs: number;
  readonly actor: string;
  /** `replace n3 n4`. */
  readonly action: string;
  readonly phase: string;
  readonly planHash: string;
  readonly configIndex: LogIndex;
  readonly details: string;
}

export type AdminDeed =
  /** Only the line. */
  | { readonly kind: 'note' }
  | { readonly kind: 'takeLock'; readonly operationId: string; readonly steal: boolean }
  | { readonly kind: 'releaseLock'; readonly operationId: string }
  | { readonly kind: 'drain'; readonly nodeId: NodeId }
  | { readonly kind: 'undrain'; readonly nodeId: NodeId }
  | {
      readonly kind: 'issueToken';
      readonly nodeId: NodeId;
      readonly tokenHash: Uint8Array;
      readonly expiresAtMs: number;
    }
  /** Expired or not is decided by the time of the line. */
  | {
      readonly kind: 'useToken';
      readonly nodeId: NodeId;
      readonly tokenHash: Uint8Array;
      readonly storeUuid: string;
    }
  | {
      readonly kind: 'retire';
      readonly nodeId: NodeId;
      /** Empty: it had none yet. */
      readonly storeUuid: string;
      readonly raftAddress: string;
    }
  | { readonly kind: 'setFeatureLevel'; readonly level: number };

/** `mqraft.AdminRecord` as protobufjs takes it: one field beside the line. */
export type WireAdmin = object;

export function wireAdminOf({ line, deed }: AdminCommand): WireAdmin {
  return { line, [deed.kind]: deed };
}

/** @throws CodecError for what is no deed that this program knows */
export function adminCommandOf(wire: WireAdmin): AdminCommand {
  return { kind: 'admin', line: line(wire, 'line'), deed: deedOf(wire) };
}

/** A copy: the bytes of the record are those of the entry. */
const bytes: FieldReader<Uint8Array> = (wire, name) => {
  const value: unknown = (wire as Readonly<Record<string, unknown>>)[name];
  if (value instanceof Uint8Array) return new Uint8Array(value);
  throw new CodecError(`${name} is not bytes`);
};

const line = record<AuditLine>({
  atMs: count,
  actor: text,
  action: text,
  phase: text,
  planHash: text,
  configIndex: logIndex,
  details: text,
});
const takeLock = record({ operationId: text, steal: flag });
const releaseLock = record({ operationId: text });
const byNode = record({ nodeId });
const issueToken = record({ nodeId, tokenHash: bytes, expiresAtMs: count });
const useToken = record({ nodeId, tokenHash: bytes, storeUuid: text });
const retire = record({ nodeId, storeUuid: text, raftAddress: text });
const setFeatureLevel = record({ level: count });

const DEEDS = [
  'note',
  'takeLock',
  'releaseLock',
  'drain',
  'undrain',
  'issueToken',
  'useToken',
  'retire',
  'setFeatureLevel',
] as const satisfies readonly AdminDeed['kind'][];

function deedOf(wire: WireAdmin): AdminDeed {
  const kind = DEEDS.find((deed) => Object.hasOwn(wire, deed));
  switch (kind) {
    case 'note':
      return { kind };
    case 'takeLock':
      return { kind, ...takeLock(wire, kind) };
    case 'releaseLock':
      return { kind, ...releaseLock(wire, kind) };
    case 'drain':
    case 'undrain':
      return { kind, ...byNode(wire, kind) };
    case 'issueToken':
      return { kind, ...issueToken(wire, kind) };
    case 'useToken':
      return { kind, ...useToken(wire, kind) };
    case 'retire':
      return { kind, ...retire(wire, kind) };
    case 'setFeatureLevel':
      return { kind, ...setFeatureLevel(wire, kind) };
    case undefined:
      throw new CodecError('An admin record does nothing that this program knows');
    default:
      return unreachable(kind);
  }
}

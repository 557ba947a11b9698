/**
 * `dev.json`, what a local cluster leaves in its directory: where it listens (or listened), so that
 * commands find it without options, and that a restart keeps its ports.
 */
import { API_VERSION } from './render/json.ts';

export interface DevNodeRecord {
  readonly id: string;
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
  readonly dir: string;
}

export interface DevRecord {
  readonly clusterId: string;
  /** Process id of the supervisor; null when it has stopped cleanly. */
  readonly pid: number | null;
  readonly nodes: readonly DevNodeRecord[];
  readonly nameServers: readonly string[];
}

export const DEV_RECORD_FILE = 'dev.json';

export function formatDevRecord(record: DevRecord): string {
  return `${JSON.stringify({ apiVersion: API_VERSION, ...record }, null, 2)}\n`;
}

/** @returns null when the text is not a record of this version. */
export function parseDevRecord(text: string): DevRecord | null {
  const value = parsedJson(text);
  if (!isObject(value) || value['apiVersion'] !== API_VERSION) return null;
  const { clusterId, pid, nodes, nameServers } = value;
  if (typeof clusterId !== 'string' || !(pid === null || typeof pid === 'number')) return null;
  if (!Array.isArray(nodes) || !nodes.every(isNode)) return null;
  if (!Array.isArray(nameServers) || !nameServers.every(isString)) return null;
  return { clusterId, pid, nodes, nameServers };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

const isString = (value: unknown): value is string => typeof value === 'string';

function isNode(value: unknown): value is DevNodeRecord {
  if (!isObject(value)) return false;
  return ['id', 'grpc', 'raft', 'http', 'dir'].every((field) => isString(value[field]));
}

/** Everything that a run leaves in its folder, and how it is read again. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunPlan } from '../plan.ts';
import type { Operation } from './operation.ts';

/** Names in the folder of a run. */
export const EVIDENCE_FILES = {
  plan: 'plan.json',
  operations: 'history.jsonl',
  faults: 'faults.jsonl',
  nodes: 'nodes.jsonl',
  statuses: 'status.jsonl',
  replicas: 'replicas.json',
  places: 'places.jsonl',
  summary: 'summary.json',
  verdicts: 'verdicts.json',
  numbers: 'numbers.json',
  report: 'report.html',
} as const;

/** One fault from begin to end, or why it did not take place. */
export interface FaultLine {
  readonly row: string;
  readonly kind: string;
  readonly targets: readonly string[];
  readonly beginMs: number;
  /** When it was undone; with restarts and repairs, when the node was back. */
  readonly endMs: number;
  readonly skipped: string | null;
  readonly note: string;
}

export type NodeLine =
  | { readonly kind: 'started'; readonly node: string; readonly atMs: number; readonly pid: number }
  | { readonly kind: 'ready'; readonly node: string; readonly atMs: number }
  | {
      readonly kind: 'ended';
      readonly node: string;
      readonly atMs: number;
      readonly how: number | string;
      /** Why this end is no surprise; null: nobody asked for it. */
      readonly because: string | null;
      /** The last words, when nobody asked. */
      readonly lastWords: string;
    };

export interface StatusLine {
  readonly atMs: number;
  readonly node: string;
  readonly storeUuid: string;
  readonly role: string;
  readonly term: number;
  readonly serving: boolean;
  readonly commitIndex: number;
  readonly appliedIndex: number;
}

/** What the log of one replica holds at the end, read from its files by another program. */
export interface ReplicaLog {
  readonly node: string;
  readonly verdict: 'intact' | 'damaged';
  readonly damages: readonly string[];
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly appliedIndex: number | null;
  /** Where the group has decided that the log begins: this much may be gone, and no more. */
  readonly logStart: { readonly index: number; readonly physicalOffset: number };
  /**
   * Of every hundredth entry and the last: a CRC over the checksums of the headers behind the hundredth entry
   * before. Of a hundred whose beginning is gone there is none.
   */
  readonly digests: readonly { readonly index: number; readonly digest: number }[];
}

/** A message on one disk. */
export interface StoredPlace {
  readonly node: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly id: string;
  readonly bodyCrc: number | null;
}

export interface RunSummary {
  readonly seconds: number;
  readonly healMs: number | null;
  readonly problems: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  readonly network: string;
  readonly skippedFeatures: readonly string[];
}

export interface Evidence {
  readonly folder: string;
  readonly plan: RunPlan;
  readonly operations: readonly Operation[];
  readonly faults: readonly FaultLine[];
  readonly nodes: readonly NodeLine[];
  readonly statuses: readonly StatusLine[];
  readonly replicas: readonly ReplicaLog[];
  readonly places: readonly StoredPlace[];
  readonly summary: RunSummary;
}

export function readEvidence(folder: string): Evidence {
  const { plan, operations, faults, nodes, statuses, replicas, places, summary } = EVIDENCE_FILES;
  return {
    folder,
    plan: json<RunPlan>(join(folder, plan)),
    operations: jsonLines<Operation>(join(folder, operations)),
    faults: jsonLines<FaultLine>(join(folder, faults)),
    nodes: jsonLines<NodeLine>(join(folder, nodes)),
    statuses: jsonLines<StatusLine>(join(folder, statuses)),
    replicas: json<ReplicaLog[]>(join(folder, replicas)),
    places: jsonLines<StoredPlace>(join(folder, places)),
    summary: json<RunSummary>(join(folder, summary)),
  };
}

/** The suite reads what it wrote itself: bytes become values here, and nowhere else. */
export function json<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

function jsonLines<T>(path: string): readonly T[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

/**
 * What lies on the disk of each replica, read from its directory alone after its process has ended:
 * every acknowledged message is there once, with its body byte for byte, where it was acknowledged; and
 * the logs of all replicas are the same bytes.
 *
 * It trusts no replica and no answer of one. Shown to fail in replica-audit.test.ts.
 */
import { deepEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { LogIndex } from '../../src/base/units.ts';
import { NodeDisk } from '../../src/io/node/node-disk.ts';
import { isBodyCompressed, messageIdOf } from '../../src/protocol/message-record.ts';
import { recordsOf } from '../../src/protocol/records.ts';
import { dumpLog } from '../../src/store/inspect/dump-log.ts';
import { viewStore } from '../../src/store/inspect/store-view.ts';
import type { WalkedEntry } from '../../src/store/inspect/walk-options.ts';
import type { TestCluster } from './test-cluster.ts';

/** What a producer was told. */
export interface Acknowledged {
  readonly messageId: string;
  readonly body: string;
  /** In its queue; null: the producer was not told. */
  readonly offset: number | null;
}

export interface ReplicaDirectory {
  readonly nodeId: string;
  readonly directory: string;
}

/** What a replica has to hold that holds what `isThere` says: all of it by default, see retention-audit.ts. */
export type Expected = (isThere: (messageId: string) => boolean) => readonly Acknowledged[];

export interface Claim {
  readonly topic: string;
  readonly acknowledged: readonly Acknowledged[] | Expected;
  /** What all replicas had applied when nobody sent any more. */
  readonly lastIndex: LogIndex;
}

/** Enough to see what is wrong. */
const PROBLEMS_MAX = 20;

/**
 * The end of a test of faults: all nodes agree, are stopped, and each of them holds everything.
 *
 * @param nodeIds the healthy ones; all by default
 */
export async function everyReplicaHolds(
  cluster: TestCluster,
  topic: string,
  acknowledged: Claim['acknowledged'],
  nodeIds: readonly string[] = cluster.nodes.map(({ nodeId }) => nodeId),
): Promise<void> {
  const lastIndex = await cluster.converged(nodeIds);
  await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.kill(nodeId, 'SIGTERM')));
  const replicas = nodeIds.map((nodeId) => cluster.node(nodeId));
  deepEqual(await problemsOfReplicas(replicas, { topic, acknowledged, lastIndex }), []);
}

export async function problemsOfReplicas(
  replicas: readonly ReplicaDirectory[],
  claim: Claim,
): Promise<readonly string[]> {
  const problems: string[] = [];
  const ends: number[] = [];
  for (const replica of replicas) {
    const content = await contentOf(replica, claim);
    problems.push(...content.problems);
    if (content.end === null) {
      problems.push(`${replica.nodeId}: the log ends before entry ${claim.lastIndex}`);
    } else ends.push(content.end);
    const { acknowledged } = claim;
    const expected =
      typeof acknowledged === 'function'
        ? acknowledged((messageId) => content.places.has(messageId))
        : acknowledged;
    problems.push(...missingOf(replica, content.places, expected));
  }
  if (ends.length > 0) problems.push(...(await differencesOf(replicas, Math.min(...ends))));
  return problems.slice(0, PROBLEMS_MAX);
}

interface Place {
  readonly queueId: number;
  readonly queueOffset: number;
  readonly body: Uint8Array;
}

interface Content {
  /** By message id, of the claimed topic. */
  readonly places: ReadonlyMap<string, readonly Place[]>;
  /** Physical offset behind the last claimed entry; null: it is not there. */
  readonly end: number | null;
  readonly problems: readonly string[];
}

async function contentOf({ nodeId, directory }: ReplicaDirectory, claim: Claim): Promise<Content> {
  const problems: string[] = [];
  const places = new Map<string, Place[]>();
  let end: number | null = null;
  const take = (entry: WalkedEntry): void => {
    for (const [messageId, place] of messagesIn(entry, claim.topic)) {
      places.set(messageId, [...(places.get(messageId) ?? []), place]);
    }
    const { index, physicalOffset, sizeBytes } = entry.header.desc;
    if (index === claim.lastIndex) end = physicalOffset + sizeBytes;
  };
  const disk = new NodeDisk();
  try {
    await dumpLog({
      ...{ disk, directory, from: 1 as LogIndex, isLive: false },
      onEntry: (entry) => {
        take(entry);
        return 'goOn';
      },
      onDamage: ({ kind, path, position, expected, found, belowWatermark }) => {
        // The torn end of a last write, which nobody was promised, is no damage.
        if (belowWatermark === false) return;
        problems.push(`${nodeId}: ${kind} in ${path} at ${position}: ${found}, not ${expected}`);
      },
      signal: new AbortController().signal,
    });
  } finally {
    await disk.close();
  }
  return { places, end, problems };
}

function* messagesIn({ header, body }: WalkedEntry, topic: string): Generator<[string, Place]> {
  if (header.desc.type !== 'data' || body.kind === 'bad') return;
  for (const record of recordsOf(body.payload)) {
    if (record.kind !== 'message' || record.message.topic !== topic) continue;
    const { message } = record;
    const messageId = messageIdOf(message);
    if (messageId === null) continue;
    // The bytes of an entry are lent for the moment.
    const plain = isBodyCompressed(message) ? gunzipSync(message.body) : message.body.slice();
    yield [messageId, { queueId: message.queueId, queueOffset: message.queueOffset, body: plain }];
  }
}

function missingOf(
  { nodeId }: ReplicaDirectory,
  places: Content['places'],
  acknowledged: readonly Acknowledged[],
): readonly string[] {
  return acknowledged.flatMap(({ messageId, body, offset }) => {
    const [place, ...more] = places.get(messageId) ?? [];
    if (place === undefined) return [`${nodeId}: ${messageId} was acknowledged and is not there`];
    const where = `${messageId} in queue ${place.queueId} at ${place.queueOffset}`;
    if (more.length > 0) return [`${nodeId}: ${where} is there ${1 + more.length} times`];
    if (offset !== null && offset !== place.queueOffset) {
      return [`${nodeId}: ${where} was acknowledged at ${offset}`];
    }
    const isSame = Buffer.from(body).equals(place.body);
    return isSame ? [] : [`${nodeId}: ${where} has another body`];
  });
}

/** All segments, from where the last of the logs begins up to `end`. */
async function differencesOf(
  replicas: readonly ReplicaDirectory[],
  end: number,
): Promise<readonly string[]> {
  const logs = await Promise.all(replicas.map(segmentsOf));
  const from = Math.max(...logs.map(({ paths }) => Math.min(...paths.keys())));
  const [first, ...others] = logs;
  if (first === undefined) return ['there is no replica'];
  const wanted = [...first.paths.keys()].filter((start) => start >= from && start < end);
  return wanted.flatMap((start) => {
    const ours = readTo(first, start, end);
    return others.flatMap((other) => {
      const theirs = readTo(other, start, end);
      if (theirs === null) return [`${other.nodeId}: the segment from ${start} on is not there`];
      if (ours?.equals(theirs) === true) return [];
      const at = ours?.findIndex((byte, i) => byte !== theirs[i]);
      const differs = `is not that of ${first.nodeId}, from byte ${at} on`;
      return [`${other.nodeId}: the segment from ${start} on ${differs}`];
    });
  });
}

interface Segments {
  readonly nodeId: string;
  /** By first physical offset. */
  readonly paths: ReadonlyMap<number, string>;
}

async function segmentsOf({ nodeId, directory }: ReplicaDirectory): Promise<Segments> {
  const disk = new NodeDisk();
  try {
    const { segments } = await viewStore(disk, directory);
    return { nodeId, paths: new Map(segments.map((each) => [each.startOffset, each.path])) };
  } finally {
    await disk.close();
  }
}

function readTo({ paths }: Segments, start: number, end: number): Buffer | null {
  const path = paths.get(start);
  return path === undefined ? null : readFileSync(path).subarray(0, end - start);
}

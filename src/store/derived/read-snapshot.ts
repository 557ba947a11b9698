/** Reads a snapshot chunk by chunk, checking everything that a snapshot says of itself. */
import { createHash } from 'node:crypto';
import { concatBytes } from '../../base/bytes.ts';
import type { KvRow } from './kv-store.ts';
import {
  checkedChunk,
  decodeSnapshotHeader,
  refuseUnless,
  type SnapshotHeader,
} from './snapshot-format.ts';
import { RowParser } from './snapshot-rows.ts';

export type SnapshotPart =
  | { readonly kind: 'header'; readonly header: SnapshotHeader }
  | { readonly kind: 'rows'; readonly rows: readonly KvRow[] };

/**
 * The header first, then rows. What comes is true only if the iteration ends without an error: the last
 * chunk tells whether any was missing.
 *
 * @param chunks one chunk per item
 * @throws CorruptionError
 */
export async function* readSnapshot(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<SnapshotPart> {
  const digest = createHash('sha256');
  const parser = new RowParser();
  let head: Uint8Array | null = new Uint8Array(0);
  let number = 0;
  let rowCount = 0;
  let isEnded = false;
  for await (const bytes of chunks) {
    refuseUnless(!isEnded, 'something follows the last chunk');
    const chunk = checkedChunk(bytes, number++);
    if (chunk.kind === 'end') {
      isEnded = true;
      refuseUnless(head === null && parser.restSizeBytes === 0, 'the last row is cut short');
      refuseUnless(digest.digest().equals(chunk.sha256), 'the digest does not match');
      refuseUnless(chunk.rowCount === rowCount, 'another number of rows');
      continue;
    }
    digest.update(chunk.body);
    let body = chunk.body;
    if (head !== null) {
      head = concatBytes([head, body]);
      const found = decodeSnapshotHeader(head);
      if (found === null) continue;
      yield { kind: 'header', header: found.header };
      body = head.subarray(found.sizeBytes);
      head = null;
    }
    const rows = parser.push(body);
    rowCount += rows.length;
    if (rows.length > 0) yield { kind: 'rows', rows };
  }
  refuseUnless(isEnded, 'the last chunk is missing');
}

/**
 * Reads to the end and keeps nothing.
 * @throws CorruptionError
 */
export async function verifySnapshot(chunks: AsyncIterable<Uint8Array>): Promise<SnapshotHeader> {
  let header: SnapshotHeader | null = null;
  for await (const part of readSnapshot(chunks)) {
    if (part.kind === 'header') header = part.header;
  }
  refuseUnless(header !== null, 'no header');
  return header;
}

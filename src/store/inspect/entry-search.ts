/**
 * Where the log goes on behind bytes that are no entry: the next header that is good in itself and names
 * the place where it lies. Also the extent of what is not zero on the way: at the end of a log nothing is.
 */
import { advance, type LogIndex, type PhysicalOffset, type Term } from '../../base/units.ts';
import { decodeEntryHeader } from '../../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { SCAN_WINDOW_SIZE_BYTES } from '../limits.ts';
import { endOfNonZero, indexOfNonZero, placesOfMagic } from '../scan-remains.ts';
import { PAGE_SIZE_BYTES } from './limits.ts';
import type { WindowReader } from './window-reader.ts';

export interface SearchRequest {
  readonly reader: WindowReader;
  /** Of the segment. */
  readonly start: PhysicalOffset;
  /** Position, a multiple of 8. */
  readonly from: number;
  /** What the entry found has to come after. */
  readonly after: { readonly index: LogIndex; readonly term: Term };
  /** Called now and then with the position reached. */
  readonly onAdvance: (position: number) => void;
}

export interface SearchResult {
  /** Position of the entry; null: none up to the end of the segment. */
  readonly at: number | null;
  /** Positions around all that is not zero, or not readable, before the entry; null: only zeros. */
  readonly nonZero: { readonly from: number; readonly to: number } | null;
}

export async function searchEntry(request: SearchRequest): Promise<SearchResult> {
  const { reader, from, onAdvance } = request;
  let nonZero: { readonly from: number; readonly to: number } | null = null;
  const widen = (first: number, end: number): void => {
    nonZero = { from: nonZero?.from ?? first, to: end };
  };
  let position = from;
  while (position < reader.sizeBytes) {
    onAdvance(position);
    const rest = reader.sizeBytes - position;
    const window = await loadWindow(reader, position, rest);
    if (window === null) {
      const lost = Math.min(rest, PAGE_SIZE_BYTES - (position % PAGE_SIZE_BYTES));
      widen(position, position + lost);
      position += lost;
      continue;
    }
    const first = indexOfNonZero(window.bytes.subarray(0, window.stepSizeBytes));
    if (first !== null) {
      const at = goodHeaderIn(request, window, position);
      if (at === null || at > first) {
        const end = at ?? window.stepSizeBytes;
        widen(position + first, position + endOfNonZero(window.bytes.subarray(0, end)));
      }
      if (at !== null) return { at: position + at, nonZero };
    }
    position += window.stepSizeBytes;
  }
  return { at: null, nonZero };
}

interface Window {
  readonly bytes: Uint8Array;
  /** Headers that start in so much of it lie in it whole, unless the segment ends. */
  readonly stepSizeBytes: number;
}

async function loadWindow(
  reader: WindowReader,
  position: number,
  rest: number,
): Promise<Window | null> {
  for (const stepSizeBytes of [SCAN_WINDOW_SIZE_BYTES, PAGE_SIZE_BYTES]) {
    const inPage = stepSizeBytes - (position % PAGE_SIZE_BYTES);
    const sizeBytes = Math.min(rest, inPage + ENTRY_HEADER_SIZE_BYTES);
    if (await reader.load(position, sizeBytes)) {
      return { bytes: reader.bytes(position, sizeBytes), stepSizeBytes: Math.min(rest, inPage) };
    }
  }
  // The page after this one may be what cannot be read.
  const inPage = Math.min(rest, PAGE_SIZE_BYTES - (position % PAGE_SIZE_BYTES));
  if (!(await reader.load(position, inPage))) return null;
  return { bytes: reader.bytes(position, inPage), stepSizeBytes: inPage };
}

function goodHeaderIn(
  { reader, start, after }: SearchRequest,
  { bytes, stepSizeBytes }: Window,
  position: number,
): number | null {
  for (const at of placesOfMagic(bytes)) {
    if (at >= stepSizeBytes) return null;
    const decoded = decodeEntryHeader(bytes, at);
    if (decoded.kind !== 'header') continue;
    const { desc } = decoded.header;
    if (desc.physicalOffset !== advance(start, position + at)) continue;
    if (desc.sizeBytes > reader.sizeBytes - position - at) continue;
    if (desc.index > after.index && desc.term >= after.term) return at;
  }
  return null;
}

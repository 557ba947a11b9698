/**
 * Looks one row up in the file of an LMDB environment, without LMDB: the library opens its lock file for
 * writing, maps pages it trusts, and ends the process over a damaged one. Here every number is checked
 * and nothing is written.
 *
 * The part of the format that is needed, in the byte order of the machine that wrote it (little-endian
 * here): two meta pages, of which the one with the higher transaction counts; from the root that it
 * names, branch pages of (key, page) down to a leaf of (key, value).
 *
 *     page: | number 8 | txn 8 | pad 2 | flags 2 | lower 2 | upper 2 | places of the nodes, 2 each ...
 *     node: | size or page, 2 + 2 | flags, or the top of the page number, 2 | key size 2 | key | value
 *
 * Source: mdb.c of the package lmdb, data version 2.
 */
import { viewOf } from '../../base/bytes.ts';
import { DATABASE_DEPTH_MAX } from './limits.ts';
import type { ReadDisk } from './read-disk.ts';

const PAGE_HEADER_SIZE_BYTES = 24;
const PAGE_FLAGS_AT = 18;
const PAGE_LOWER_AT = 20;
const PAGE_BRANCH = 0x01;
const PAGE_LEAF = 0x02;
const NODE_HEADER_SIZE_BYTES = 8;
/** Values on pages of their own, and tables in tables: our row is neither. */
const NODE_FLAGS_PLAIN = 0;

/** Of the meta page, behind its page header. */
const META_MAGIC_AT = PAGE_HEADER_SIZE_BYTES;
const META_VERSION_AT = META_MAGIC_AT + 4;
const META_PAGE_SIZE_AT = META_MAGIC_AT + 24;
const META_ROOT_AT = META_MAGIC_AT + 112;
const META_TXN_AT = META_MAGIC_AT + 128;
const META_SIZE_BYTES = META_TXN_AT + 8;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const VERSION_MASK = 0xffff;

const PAGE_SIZES_BYTES = [4096, 8192, 16_384, 32_768, 65_536];
/** Nothing is in the tree. */
const NO_PAGE = 2n ** 64n - 1n;

export type DatabaseRow =
  | { readonly kind: 'row'; readonly value: Uint8Array }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly why: string };

export async function databaseRow(
  disk: ReadDisk,
  path: string,
  key: Uint8Array,
): Promise<DatabaseRow> {
  const meta = await newestMeta(disk, path);
  if (meta === null) return { kind: 'unreadable', why: 'its meta pages are not those of LMDB' };
  if (meta.root === NO_PAGE) return { kind: 'absent' };
  let pageNumber = meta.root;
  for (let depth = 0; depth < DATABASE_DEPTH_MAX; depth++) {
    const at = Number(pageNumber) * meta.pageSizeBytes;
    const page = Number.isSafeInteger(at) ? await disk.read(path, at, meta.pageSizeBytes) : null;
    const view = page === null || page.length < meta.pageSizeBytes ? null : viewOf(page);
    const nodes = page === null || view === null ? null : nodesOf(page, view);
    if (page === null || view === null || nodes === null) {
      return { kind: 'unreadable', why: `its page ${pageNumber} makes no sense` };
    }
    const flags = view.getUint16(PAGE_FLAGS_AT, true);
    if ((flags & PAGE_LEAF) !== 0) return leafRow(page, view, nodes, key);
    if ((flags & PAGE_BRANCH) === 0 || nodes.length === 0) {
      return { kind: 'unreadable', why: `its page ${pageNumber} is not part of the tree` };
    }
    pageNumber = childFor(view, nodes, key);
  }
  return { kind: 'unreadable', why: 'its tree has no leaf' };
}

interface Meta {
  readonly pageSizeBytes: number;
  readonly root: bigint;
  readonly txn: bigint;
}

async function newestMeta(disk: ReadDisk, path: string): Promise<Meta | null> {
  let newest: Meta | null = null;
  // The second meta page lies one page behind the first, whatever size a page has.
  for (const at of [0, ...PAGE_SIZES_BYTES]) {
    const bytes = await disk.read(path, at, META_SIZE_BYTES);
    const meta = bytes.length < META_SIZE_BYTES ? null : metaOf(viewOf(bytes));
    if (meta === null || (at !== 0 && at !== meta.pageSizeBytes)) continue;
    if (newest === null || meta.txn > newest.txn) newest = meta;
  }
  return newest;
}

function metaOf(view: DataView): Meta | null {
  if (view.getUint32(META_MAGIC_AT, true) !== MAGIC) return null;
  if ((view.getUint32(META_VERSION_AT, true) & VERSION_MASK) !== DATA_VERSION) return null;
  const pageSizeBytes = view.getUint32(META_PAGE_SIZE_AT, true);
  if (!PAGE_SIZES_BYTES.includes(pageSizeBytes)) return null;
  const root = view.getBigUint64(META_ROOT_AT, true);
  return { pageSizeBytes, root, txn: view.getBigUint64(META_TXN_AT, true) };
}

interface Node {
  readonly at: number;
  readonly key: Uint8Array;
}

/** In order of keys; null when a number points out of the page. */
function nodesOf(page: Uint8Array, view: DataView): readonly Node[] | null {
  const count = view.getUint16(PAGE_LOWER_AT, true) >> 1;
  const nodes: Node[] = [];
  for (let i = 0; i < count; i++) {
    const placeAt = PAGE_HEADER_SIZE_BYTES + 2 * i;
    if (placeAt + 2 > page.length) return null;
    const at = PAGE_HEADER_SIZE_BYTES + view.getUint16(placeAt, true);
    if (at + NODE_HEADER_SIZE_BYTES > page.length) return null;
    const keyAt = at + NODE_HEADER_SIZE_BYTES;
    const keyEnd = keyAt + view.getUint16(at + 6, true);
    if (keyEnd > page.length) return null;
    nodes.push({ at, key: page.subarray(keyAt, keyEnd) });
  }
  return nodes;
}

/** The last child whose keys begin at or before the key; the first one's key is not looked at. */
function childFor(view: DataView, nodes: readonly Node[], key: Uint8Array): bigint {
  let child = nodes[0]!; // the caller has checked that there is one
  for (const node of nodes.slice(1)) if (Buffer.compare(node.key, key) <= 0) child = node;
  const low = BigInt(view.getUint32(child.at, true));
  return low | (BigInt(view.getUint16(child.at + 4, true)) << 32n);
}

function leafRow(
  page: Uint8Array,
  view: DataView,
  nodes: readonly Node[],
  key: Uint8Array,
): DatabaseRow {
  const node = nodes.find((each) => Buffer.compare(each.key, key) === 0);
  if (node === undefined) return { kind: 'absent' };
  const valueAt = node.at + NODE_HEADER_SIZE_BYTES + node.key.length;
  const valueEnd = valueAt + view.getUint32(node.at, true);
  const isPlain = view.getUint16(node.at + 4, true) === NODE_FLAGS_PLAIN;
  if (!isPlain || valueEnd > page.length) {
    return { kind: 'unreadable', why: 'the row has another form' };
  }
  return { kind: 'row', value: page.slice(valueAt, valueEnd) };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance, LogIndex, Term } from '../../base/units.ts';
import { encodeEntry, headerCrcOf } from '../../protocol/entry-codec.ts';
import { type DurableNote, encodeNote, encodeRing, notePosition } from '../durable-ring.ts';
import { ORIGIN_TIP } from '../log-base.ts';
import { EntryChain } from '../log-fixture.ts';
import { decodeSuperblock, encodeSuperblock, SLOT_SIZE_BYTES } from '../superblock.ts';
import type { DamageKind } from './damage.ts';
import { dumpLog } from './dump-log.ts';
import { searchEntry } from './entry-search.ts';
import {
  appendRecords,
  DiskImage,
  everyKindOfEntry,
  FILES,
  inspected,
  messageRecord,
  SMALL_IDENTITY,
  storeWith,
  TOPIC_PUT,
} from './inspect-fixture.ts';
import { WindowReader } from './window-reader.ts';

const SEGMENT = SMALL_IDENTITY.segmentSizeBytes;
const chain = everyKindOfEntry();

/** Where an entry of the chain lies: its bytes in the image. */
function entryBytes(image: DiskImage, index: number): Uint8Array {
  const desc = chain.entries[index - 1]?.desc;
  assert.ok(desc !== undefined);
  const file = desc.physicalOffset < SEGMENT ? FILES.first : FILES.second;
  const at = desc.physicalOffset % SEGMENT;
  return image.bytesOf(file).subarray(at, at + desc.sizeBytes);
}

function slotOf(image: DiskImage, slot: number): Uint8Array {
  const at = slot * SLOT_SIZE_BYTES;
  return image.bytesOf(FILES.superblock).subarray(at, at + SLOT_SIZE_BYTES);
}

interface Planted {
  readonly what: string;
  readonly plant: (image: DiskImage) => void;
  /** In order of report; the text is part of what was expected or found. */
  readonly want: readonly (readonly [DamageKind, string])[];
  readonly startup: 'opens' | 'refuses';
}

const planted: readonly Planted[] = [
  {
    what: 'an entry that became zeros, with entries behind it',
    plant: (image) => entryBytes(image, 4).fill(0),
    want: [['missingEntries', 'entry 4']],
    startup: 'refuses',
  },
  {
    what: 'the last entry became zeros',
    plant: (image) => entryBytes(image, 10).fill(0),
    want: [['logEnd', 'entry 10, which was durable here']],
    startup: 'refuses',
  },
  {
    what: 'three entries became noise',
    plant: (image) => [4, 5, 6].map((index) => entryBytes(image, index).fill(0x5a)),
    want: [['entryHeader', 'entries 4 to 6']],
    startup: 'refuses',
  },
  {
    what: 'noise up to the end of a segment: the next one says what is missing',
    plant: (image) => [6, 7, 8].map((index) => entryBytes(image, index).fill(0x5a)),
    want: [['entryHeader', 'entries 6 to 8']],
    startup: 'refuses',
  },
  {
    what: 'an entry in the place of another',
    plant: (image) => entryBytes(image, 5).set(entryBytes(image, 4).subarray(0, 200)),
    want: [['entryHeader', 'an entry that belongs at']],
    startup: 'refuses',
  },
  {
    what: 'two damaged payloads, and between them an entry that is not of this log',
    plant: (image) => {
      entryBytes(image, 4)[100]! ^= 1;
      entryBytes(image, 6)[100]! ^= 1;
      rechain(image, 5);
    },
    want: [
      ['payload', 'payload CRC'],
      ['chain', 'as follows from entry 4'],
      ['chain', 'as follows from entry 5'],
      ['payload', 'payload CRC'],
    ],
    startup: 'refuses',
  },
  {
    what: 'bytes behind the log',
    plant: (image) => image.bytesOf(FILES.third).fill(7, 5000, 5100),
    want: [['tailBytes', 'zeros behind the last entry']],
    startup: 'opens',
  },
  {
    what: 'both copies of a segment header',
    plant: (image) => image.bytesOf(FILES.second).fill(0x11, 0, 4096),
    want: [['segmentHeader', 'no good copy']],
    startup: 'refuses',
  },
  {
    what: 'the header of another group',
    plant: (image) => {
      const other = new Uint8Array(image.bytesOf(FILES.first).subarray(0, 4096));
      image.bytesOf(FILES.second).set(other);
    },
    want: [['segmentHeader', 'start offset 8192']],
    startup: 'refuses',
  },
  {
    what: 'a missing segment',
    plant: (image) => image.files.delete(FILES.first),
    want: [['segmentMissing', 'a segment that starts at 0']],
    startup: 'refuses',
  },
  {
    what: 'a segment that was cut short',
    plant: (image) => image.files.set(FILES.third, new Uint8Array(4096)),
    want: [['segmentSize', '4096 bytes']],
    startup: 'refuses',
  },
  {
    what: 'one slot of the superblock that was not written with the other',
    plant: (image) => {
      const old = decodeSuperblock(slotOf(image, 1));
      assert.ok(old !== null);
      slotOf(image, 1).set(encodeSuperblock({ ...old, sequence: old.sequence - 2 }));
    },
    want: [['superblock', 'an old slot']],
    startup: 'opens',
  },
  {
    what: 'both slots of the superblock',
    plant: (image) => image.bytesOf(FILES.superblock).fill(1, 200, 5000),
    want: [
      ['superblock', 'a damaged slot'],
      ['superblock', 'a damaged slot'],
    ],
    startup: 'refuses',
  },
  {
    what: 'no superblock',
    plant: (image) => image.files.delete(FILES.superblock),
    want: [['superblock', 'no such file']],
    startup: 'refuses',
  },
  {
    what: 'a superblock of an earlier term than the log',
    plant: (image) => {
      for (const slot of [0, 1]) {
        const block = decodeSuperblock(slotOf(image, slot));
        assert.ok(block !== null);
        const hardState = { term: Term(0), votedFor: null };
        slotOf(image, slot).set(encodeSuperblock({ ...block, hardState }));
      }
    },
    want: [['term', 'term 0']],
    startup: 'refuses',
  },
  {
    what: 'no durable.ring',
    plant: (image) => image.files.delete(FILES.ring),
    want: [['durableRing', 'no such file']],
    startup: 'opens',
  },
  {
    what: 'a note of an entry that ended elsewhere',
    plant: (image) => {
      const end = (chain.end + 8) as typeof chain.end;
      const note = { ...noteAt(10), sequence: 60, end };
      image.bytesOf(FILES.ring).set(encodeNote(note), notePosition(note));
    },
    want: [['logEnd', 'to end at']],
    startup: 'refuses',
  },
  {
    what: 'a page that the disk cannot read',
    plant: (image) => {
      const at = chain.entries[4]!.desc.physicalOffset; // of ten
      image.unreadable = { path: FILES.first, from: at + 100, to: at + 101 };
    },
    want: [['unreadable', 'EIO']],
    startup: 'refuses',
  },
];

for (const { what, plant, want, startup } of planted) {
  test(`verify finds ${what}`, async () => {
    const image = new DiskImage(await storeWith(chain));
    plant(image);
    const found = await inspected(image);
    assert.deepEqual(
      found.damage.map(({ kind }) => kind),
      want.map(([kind]) => kind),
      JSON.stringify(found.damage, null, 1),
    );
    for (const [i, [, text]] of want.entries()) {
      const { expected, found: seen } = found.damage[i]!; // as many as wanted
      assert.ok(`${expected}|${seen}`.includes(text), `${expected}|${seen} says ${text}`);
    }
    assert.equal(found.startup?.kind, startup);
  });
}

/** Writes entry `index` again as if it followed from another one, with right checksums of its own. */
function rechain(image: DiskImage, index: number): void {
  const { desc } = chain.entries[index - 1]!; // of ten
  const bytes = entryBytes(image, index);
  const payload = bytes.slice(64, 64 + desc.payloadSizeBytes);
  bytes.set(encodeEntry({ ...desc, leaderCommit: LogIndex(2), prevHeaderCrc: 1234 }, payload));
}

/** Everything up to this entry is durable. */
function noteAt(index: number): DurableNote {
  const { desc, bytes } = chain.entries[index - 1]!; // of ten
  const end = advance(desc.physicalOffset, desc.sizeBytes);
  return { sequence: 1, index: desc.index, end, term: desc.term, headerCrc: headerCrcOf(bytes) };
}

test('what is wrong above the watermark is told from rot', async () => {
  const image = new DiskImage(await storeWith(chain, 'killed'));
  const note = noteAt(4);
  image.bytesOf(FILES.ring).set(encodeRing(note));
  entryBytes(image, 4)[70]! ^= 1;
  entryBytes(image, 9)[70]! ^= 1;
  const { damage, rotCount } = await inspected(image);
  assert.deepEqual(
    damage.map(({ kind, index, belowWatermark }) => [kind, index, belowWatermark]),
    [
      ['payload', 4, true],
      ['payload', 9, false],
    ],
  );
  assert.equal(rotCount, 1);
});

const orders = (queueId: number, queueOffset: number, topic = 'orders') => ({
  kind: 'message' as const,
  bytes: messageRecord({ topic, queueId, queueOffset, body: 'hello' }),
});
const put = { kind: 'command' as const, bytes: TOPIC_PUT };
const noise = { kind: 'command' as const, bytes: new Uint8Array(40).fill(3) };
const misplaced = { kind: 'command' as const, bytes: orders(0, 0).bytes };

const writtenSo = [
  ['a queue offset that was left out', [put, orders(0, 0), orders(0, 2)], 'queueOffset'],
  ['a queue offset that came twice', [put, orders(0, 0), orders(0, 0)], 'queueOffset'],
  ['a queue that does not begin at 0', [put, orders(1, 1)], 'queueOffset'],
  ['a message for no topic', [put, orders(0, 0, 'other')], 'topic'],
  ['a message for a queue that is not there', [put, orders(2, 0)], 'topic'],
  ['bytes that are no record', [put, noise], 'record'],
  ['a message that says it lies elsewhere', [put, misplaced], 'record'],
] as const;

for (const [what, records, kind] of writtenSo) {
  test(`verify finds ${what}, although all checksums are right`, async () => {
    const log = new EntryChain(SEGMENT);
    appendRecords(log, records);
    const { damage, startup } = await inspected(new DiskImage(await storeWith(log)));
    assert.deepEqual(
      damage.map((each) => [each.kind, each.index]),
      [[kind, 1]],
    );
    assert.equal(startup?.kind, 'opens');
  });
}

test('verify finds a membership that makes no sense', async () => {
  const log = new EntryChain(SEGMENT);
  log.append({ payload: new Uint8Array([1, 2, 3]), term: Term(1), type: 'config' });
  // The real log refuses to write it as well as to read it: put it there by hand.
  const image = new DiskImage(await storeWith(chain));
  const { bytes, desc } = log.entries[0]!; // just appended
  image.bytesOf(FILES.first).fill(0, desc.physicalOffset).set(bytes, desc.physicalOffset);
  const { damage, startup } = await inspected(image);
  assert.equal(damage[0]?.kind, 'membership');
  assert.equal(startup?.kind, 'refuses');
});

test('behind a loss queue offsets are believed, and checked again from there', async () => {
  const log = new EntryChain(SEGMENT);
  appendRecords(log, [put, orders(0, 0)]);
  appendRecords(log, [orders(0, 1)]);
  appendRecords(log, [orders(0, 2)]);
  appendRecords(log, [orders(0, 4)]);
  const image = new DiskImage(await storeWith(log));
  image.bytesOf(FILES.first)[log.entries[1]!.desc.physicalOffset + 80]! ^= 1;
  const { damage } = await inspected(image);
  assert.deepEqual(
    damage.map(({ kind, index }) => [kind, index]),
    [
      ['payload', 2],
      ['queueOffset', 4],
    ],
  );
});

test('a directory whose superblock is gone is still read, by what the segments say', async () => {
  const image = new DiskImage(await storeWith(chain));
  image.files.delete(FILES.superblock);
  const { entryCount, view } = await inspected(image);
  assert.equal(entryCount, 10);
  assert.equal(view.names?.clusterId, SMALL_IDENTITY.clusterId);
});

test('nothing readable is left: that is said, and nothing breaks', async () => {
  const image = new DiskImage(await storeWith(chain));
  for (const bytes of image.files.values()) bytes.fill(0xee);
  const { damage, entryCount, startup } = await inspected(image);
  assert.ok(damage.length > 0);
  assert.equal(entryCount, 0);
  assert.equal(startup?.kind, 'refuses');
});

test('a live log ends where it is moving; rot below the watermark is still found', async () => {
  const image = new DiskImage(await storeWith(chain, 'killed'));
  const note = noteAt(8);
  image.bytesOf(FILES.ring).set(encodeRing(note));
  entryBytes(image, 9)[70]! ^= 1;
  const moving = await inspected(image, { isLive: true });
  assert.deepEqual([moving.damage, moving.endedAt], [[], chain.entries[8]!.desc.physicalOffset]);
  assert.equal(moving.startup, null);
  entryBytes(image, 4)[70]! ^= 1;
  const rotten = await inspected(image, { isLive: true });
  assert.deepEqual(
    rotten.damage.map(({ kind, index }) => [kind, index]),
    [['payload', 4]],
  );
});

test('a dump starts in the segment that holds its first entry', async () => {
  const image = new DiskImage(await storeWith(chain));
  image.files.set(FILES.first, new Uint8Array(SEGMENT).fill(0xee));
  const seen: number[] = [];
  const last = await dumpLog({
    disk: image,
    directory: '/store',
    from: LogIndex(10),
    isLive: false,
    onEntry: ({ header }) => {
      seen.push(header.desc.index);
      return 'goOn';
    },
    onDamage: (damage) => assert.fail(JSON.stringify(damage)),
    signal: new AbortController().signal,
  });
  assert.deepEqual([seen, last], [[10], 10]);
});

test('the search finds an entry whose header lies across two windows', async () => {
  const window = 4 * 1024 * 1024;
  const sizeBytes = 2 * window;
  const log = new EntryChain(sizeBytes);
  const at = window - 16;
  log.append({ payload: new Uint8Array(at - 4096 - 64), term: Term(1) });
  log.append({ payload: new Uint8Array(8), term: Term(1) });
  const { desc, bytes } = log.entries[1]!; // just appended
  assert.equal(desc.physicalOffset, at);
  const image = new DiskImage(await storeWith(chain));
  const file = new Uint8Array(sizeBytes);
  file.set(bytes, at);
  image.files.set('/big', file);
  const reader = new WindowReader(image, '/big', sizeBytes);
  const from = 4096;
  const start = 0 as typeof desc.physicalOffset;
  const found = await searchEntry({ reader, start, from, after: ORIGIN_TIP, onAdvance: () => {} });
  assert.deepEqual(found, { at, nonZero: null });
  assert.notEqual(headerCrcOf(bytes), 0);
});

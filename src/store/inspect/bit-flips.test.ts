import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { FatalError } from '../../base/errors.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { tipOfBase } from '../log-base.ts';
import { TEST_DIRECTORY } from '../log-fixture.ts';
import type { Damage } from './damage.ts';
import {
  DiskImage,
  everyKindOfEntry,
  FILES,
  type Inspected,
  inspected,
  openSmallLog,
  type StoreForm,
  segmentsOf,
  storeBehindBase,
  storeWith,
} from './inspect-fixture.ts';
import { damageBesideLog } from './store-damage.ts';
import { viewStore } from './store-view.ts';

/** Opening a log for real is slow: one flip of so many. Prime, so that no field is always missed. */
const START_EVERY = 61;

const FORMS: readonly {
  readonly form: StoreForm;
  readonly make: () => Promise<MemoryDisk>;
  readonly entryCounts: readonly (readonly [number, number, number, number])[];
  /** Of a log that differs from another one by its place only, a part is enough. */
  readonly step: number;
}[] = [
  {
    form: 'whole',
    make: () => storeWith(everyKindOfEntry()),
    entryCounts: [
      [5, 1, 1, 1],
      [2, 0, 0, 0],
    ],
    step: 1,
  },
  {
    form: 'compacted',
    make: () => storeBehindBase('compacted'),
    entryCounts: [
      [4, 0, 0, 1],
      [2, 0, 0, 0],
    ],
    step: 5,
  },
  {
    form: 'installed',
    make: () => storeBehindBase('installed'),
    entryCounts: [
      [4, 0, 0, 1],
      [2, 0, 0, 0],
    ],
    step: 7,
  },
];

for (const { form, make, entryCounts, step } of FORMS) {
  suite(`one flipped bit, log ${form}`, () => {
    const segmentPaths = segmentsOf(form);
    let disk: MemoryDisk;
    let image: DiskImage;
    before(async () => {
      disk = await make();
      image = new DiskImage(disk);
    });

    test('the log under test has every kind of entry, and nothing is wrong with it', async () => {
      const { damage, segments, startup, view } = await inspected(image);
      assert.deepEqual(damage, []);
      assert.deepEqual(view.leftovers, []);
      assert.equal(startup?.kind, 'opens');
      const counts = segments.map(
        ({ entryCounts: { data, noop, config, filler }, state, file }) => [
          file.path,
          [data, noop, config, filler],
          state,
        ],
      );
      const [first, second, third] = segmentPaths;
      assert.deepEqual(counts, [
        [first, entryCounts[0], 'full'],
        [second, entryCounts[1], 'current'],
        [third, [0, 0, 0, 0], 'ready'],
      ]);
    });

    for (const [place, path] of segmentPaths.entries()) {
      test(`anywhere in ${nameOf(path)} is found, at its place`, async () => {
        // Of unused space, which is all alike, a part is enough.
        const wide = place === 2 ? 5 * step : step;
        await everyFlip(path, wide, async () => (await inspected(image)).damage);
      });
    }

    for (const path of [FILES.superblock, FILES.base, FILES.ring]) {
      test(`anywhere in ${nameOf(path)} is found, at its place`, async () => {
        await everyFlip(path, step, async () =>
          damageBesideLog(await viewStore(image, TEST_DIRECTORY)),
        );
      });
    }

    async function everyFlip(
      path: string,
      every: number,
      look: () => Promise<readonly Damage[]>,
    ): Promise<void> {
      const bytes = image.bytesOf(path);
      for (let at = 0; at < bytes.length; at += every) {
        await withFlip(bytes, at, async () => {
          const damage = await look();
          const isFound = damage.some((each) => each.path === path && isAround(each, at));
          assert.ok(isFound, `byte ${at}: ${JSON.stringify(damage)}`);
        });
      }
    }

    test('start-up decides what inspection says it would', async () => {
      let refused = 0;
      for (const path of [...segmentPaths, FILES.superblock, FILES.base, FILES.ring]) {
        const bytes = image.bytesOf(path);
        for (let at = 0; at < bytes.length; at += START_EVERY) {
          await withFlip(bytes, at, async () => {
            const { startup } = await inspected(image, { depth: 'entries' });
            assert.deepEqual(said(startup), await started(image), `${path} at byte ${at}`);
            if (startup?.kind === 'refuses') refused += 1;
          });
        }
      }
      assert.ok(refused > 40, 'damage to what was durable is refused');
    });

    test('start-up decides what inspection says, whichever file is missing', async () => {
      for (const path of [...image.files.keys()]) {
        const without = new DiskImage(disk);
        without.files.delete(path);
        const { startup, damage } = await inspected(without);
        assert.deepEqual(said(startup), await started(without), path);
        const isUnused = path === segmentPaths[2];
        if (!isUnused) assert.ok(damage.length > 0, `${path} is missed`);
      }
    });
  });
}

test('start-up decides about a torn end what inspection says, wherever it is torn', async () => {
  const chain = everyKindOfEntry();
  const whole = new DiskImage(await storeWith(chain, 'killed'));
  // Until the next start notes it, only the first note is durable: anything may be torn.
  const last = chain.entries.at(-1)?.desc;
  assert.ok(last !== undefined);
  const { ring } = FILES;
  whole.bytesOf(ring).fill(0, 64);
  const second = whole.bytesOf(FILES.second);
  const end = last.physicalOffset + last.sizeBytes - 8192;
  const original = second.slice();
  for (let at = last.physicalOffset - 8192; at < end; at += START_EVERY) {
    second.set(original);
    second.fill(0, at, end);
    const { startup, damage, rotCount } = await inspected(whole);
    assert.deepEqual(said(startup), await started(whole), `torn at ${at}`);
    assert.equal(startup?.kind, 'opens');
    assert.equal(rotCount, 0, JSON.stringify(damage));
  }
});

function isAround({ position, sizeBytes }: Damage, at: number): boolean {
  return position !== null && position <= at && (sizeBytes === null || at < position + sizeBytes);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

async function withFlip(bytes: Uint8Array, at: number, act: () => Promise<void>): Promise<void> {
  const before = bytes[at] ?? 0;
  bytes[at] = before ^ (1 << (at % 8));
  await act();
  bytes[at] = before;
}

type Decision =
  | { readonly opens: number; readonly tornBytes: number }
  | { readonly refuses: string };

function said(startup: Inspected['startup']): Decision {
  assert.ok(startup !== null);
  if (startup.kind === 'refuses') return { refuses: startup.reason };
  const tornBytes = startup.cut.reduce((sum, { from, to }) => sum + to - from, 0);
  return { opens: startup.lastIndex, tornBytes };
}

async function started(image: DiskImage): Promise<Decision> {
  try {
    const log = await openSmallLog(await image.asDisk());
    const { base, entries, tornBytes } = log.recovered;
    await log.close();
    return { opens: entries.at(-1)?.index ?? tipOfBase(base).index, tornBytes };
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return { refuses: error.reason };
  }
}

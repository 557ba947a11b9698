import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Prng } from '../../base/prng.ts';
import { LogIndex, Term } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { NodeDisk } from '../../io/node/node-disk.ts';
import { LmdbKvStore } from '../derived/lmdb-kv-store.ts';
import { encodeMeta, FRESH_META } from '../derived/meta-row.ts';
import { RowWriter } from '../derived/row-codec.ts';
import { viewDerived } from './derived-view.ts';
import { DiskImage } from './inspect-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-derived-'));
after(() => rmSync(root, { recursive: true }));

function metaAt(index: number): Uint8Array {
  const meta = { ...FRESH_META, appliedIndex: LogIndex(index), appliedTerm: Term(2) };
  return encodeMeta(new RowWriter(), meta).slice();
}

/** With so many rows around it that its tree has branch pages, in several commits. */
async function aDatabase(name: string, rowCount: number): Promise<string> {
  const directory = join(root, name);
  mkdirSync(join(directory, 'derived'), { recursive: true });
  const store = new LmdbKvStore(join(directory, 'derived', '1'));
  for (let commit = 1; commit <= 3; commit++) {
    const changes = new Map<string, Uint8Array>([['M', metaAt(commit * 100)]]);
    for (let row = 0; row < rowCount; row++) {
      for (const table of 'GKQXT') changes.set(`${table}${commit}-${row}`, new Uint8Array(50));
    }
    await store.commit(changes);
  }
  await store.close();
  return directory;
}

for (const rowCount of [0, 10, 3000]) {
  test(`the applied index is read from a database of ${15 * rowCount} other rows`, async () => {
    const directory = await aDatabase(`rows-${rowCount}`, rowCount);
    const file = join(directory, 'derived', '1', 'data.mdb');
    const { mtimeMs } = statSync(file);
    const disk = new NodeDisk();
    const { applied, path } = await viewDerived(disk, directory);
    await disk.close();
    assert.deepEqual(applied, { kind: 'applied', index: 300, term: 2 });
    assert.equal(path, `${directory}/derived/1`);
    assert.equal(statSync(file).mtimeMs, mtimeMs);
  });
}

test('whatever the file of the database says, reading it comes to an end', async () => {
  const original = readFileSync(join(await aDatabase('damaged', 200), 'derived', '1', 'data.mdb'));
  const disk = new MemoryDisk();
  await disk.writeFile('/s/derived/1/data.mdb', original);
  const image = new DiskImage(disk);
  const bytes = image.bytesOf('/s/derived/1/data.mdb');
  const random = new Prng(7);
  const kinds = new Set<string>();
  for (let run = 0; run < 500; run++) {
    bytes.set(original);
    for (let i = 0; i < 200; i++) bytes[random.nextU32() % bytes.length] = random.nextU32() % 256;
    kinds.add((await viewDerived(image, '/s')).applied.kind);
  }
  assert.ok(kinds.has('unreadable'));
});

test('databases that were set aside and attempts that did not end are told', async () => {
  const disk = new MemoryDisk();
  await disk.writeFile('/s/derived/1/data.mdb', new Uint8Array(5));
  await disk.writeFile('/s/derived/2/data.mdb', new Uint8Array(10_000));
  await disk.writeFile('/s/derived/2.opening', new Uint8Array(2));
  const { path, applied, setAside, openAttempts } = await viewDerived(disk, '/s');
  assert.deepEqual([path, setAside, openAttempts], ['/s/derived/2', ['/s/derived/1'], 2]);
  assert.equal(applied.kind, 'unreadable');
});

test('no database is nothing applied', async () => {
  const { path, applied } = await viewDerived(new MemoryDisk(), '/s');
  assert.deepEqual([path, applied], [null, { kind: 'fresh' }]);
});

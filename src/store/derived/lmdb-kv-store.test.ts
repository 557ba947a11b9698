import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ViewRevoked } from './kv-store.ts';
import { LmdbKvStore } from './lmdb-kv-store.ts';
import { MemoryKvStore } from './memory-kv-store.ts';

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mq-raft-derived.'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

function value(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

test('keys are ordered as bytes, whatever the bytes are', async (t) => {
  const store = new LmdbKvStore(await temporaryDirectory(t));
  t.after(() => store.close());
  const keys = [
    'A',
    'A\x00',
    'A\x00\x00',
    'A\x00ÿ',
    'A\x01',
    'Aa',
    'A\x7f',
    'A\x80',
    'Aÿ',
    'Aÿÿ',
    'B',
  ];
  const shuffled = [...keys].reverse();
  await store.commit(new Map(shuffled.map((key, i) => [key, value(i)])));

  const rows = [...store.range('A', 'B\x00')];
  assert.deepEqual(
    rows.map(({ key }) => key),
    keys,
  );
  assert.deepEqual(
    [...store.range('A\x00', 'A\x80')].map(({ key }) => key),
    keys.slice(1, 7),
  );
  for (const [i, key] of shuffled.entries()) assert.deepEqual([...store.get(key)!], [i]);
  assert.equal(store.get('A\x02'), null);
});

for (const kind of ['LMDB', 'memory'] as const) {
  test(`a view that is open when its store is closed says so, and harms nobody (${kind})`, async (t) => {
    const directory = await temporaryDirectory(t);
    const store = kind === 'LMDB' ? new LmdbKvStore(directory) : new MemoryKvStore();
    await store.commit(new Map([['a', value(1)]]));
    const [view, closed] = [store.view(), store.view()];
    closed.close();
    assert.deepEqual([...(view.get('a') ?? [])], [1]);
    const closing = store.close();
    assert.throws(() => view.get('a'), ViewRevoked);
    assert.throws(() => [...view.range('a', 'b')], ViewRevoked);
    view.close();
    closed.close();
    await closing;
    assert.throws(() => view.get('a'), ViewRevoked);
  });
}

test('values belong to the reader', async (t) => {
  const store = new LmdbKvStore(await temporaryDirectory(t));
  t.after(() => store.close());
  await store.commit(
    new Map([
      ['a', value(1, 2)],
      ['b', value(3, 4)],
      ['c', new Uint8Array(9_000)],
    ]),
  );
  const first = store.get('a');
  const rows = [...store.range('a', 'd')];
  store.get('b');
  await store.commit(
    new Map([
      ['a', value(9, 9)],
      ['b', null],
      ['c', null],
    ]),
  );
  for (let i = 0; i < 100; i++) store.get('a');
  assert.deepEqual([...first!], [1, 2]);
  assert.deepEqual(
    rows.map((row) => row.value[0]),
    [1, 3, 0],
  );
  assert.equal(rows[2]!.value.length, 9_000);
});

test('a commit is seen as soon as it resolves, deletions too', async (t) => {
  const store = new LmdbKvStore(await temporaryDirectory(t));
  t.after(() => store.close());
  for (let round = 0; round < 50; round++) {
    const rows = Array.from({ length: 40 }, (_, i) => [`k${i}`, value(round, i)] as const);
    await store.commit(new Map([...rows, [`gone${round - 1}`, null], [`gone${round}`, value(1)]]));
    for (const [key, wanted] of rows) assert.deepEqual([...store.get(key)!], [...wanted]);
    assert.deepEqual(
      [...store.range('gone', 'gonf')].map(({ key }) => key),
      [`gone${round}`],
    );
  }
});

test('a copy taken while commits run holds all of some commit', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = new LmdbKvStore(join(directory, 'live'));
  t.after(() => store.close());
  const rowCount = 2_000;
  let committed = 0;
  const commitRound = async (round: number) => {
    const rows = Array.from({ length: rowCount }, (_, i) => [`k${i}`, value(round)] as const);
    await store.commit(new Map(rows));
    committed = round;
  };
  for (let round = 1; round <= 8; round++) {
    await commitRound(round);
    // As after a power cut: files as they are, nobody has closed the database.
    const copy = join(directory, `copy${round}`);
    await cp(join(directory, 'live'), copy, { recursive: true });
    const reopened = new LmdbKvStore(copy);
    const rounds = new Set([...reopened.range('k', 'l')].map((row) => row.value[0]));
    const found = [...reopened.range('k', 'l')].length;
    await reopened.close();
    assert.ok(rounds.size <= 1, 'rows of one commit');
    assert.ok(found === 0 || found === rowCount, 'all rows of a commit');
    assert.ok([...rounds].every((seen) => seen! <= committed));
  }
});

test('what was closed is there when it is opened again, and clear() removes it', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = new LmdbKvStore(directory);
  await store.commit(
    new Map([
      ['a', value(1)],
      ['z', value(2)],
    ]),
  );
  await store.close();
  await store.close();
  const again = new LmdbKvStore(directory);
  t.after(() => again.close());
  assert.deepEqual([...again.get('z')!], [2]);
  await again.clear();
  assert.deepEqual([...again.range('\x00', 'ÿ')], []);
});

test('a view sees one commit, while others are made and read', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = new LmdbKvStore(directory);
  t.after(() => store.close());
  const keys = Array.from({ length: 3_000 }, (_, i) => `k${String(i).padStart(4, '0')}`);
  const commitRound = (round: number) =>
    store.commit(new Map(keys.map((key) => [key, value(round)] as const)));
  await commitRound(1);
  for (let round = 1; round <= 5; round++) {
    // The turn has read before: its own transaction is older than the commit that is viewed.
    store.get('k0000');
    await commitRound(round);
    const view = store.view();
    for (let later = 0; later < 3; later++) {
      await commitRound(100 + later);
      // Where the package ends the read transaction of a turn.
      await new Promise((resolve) => setTimeout(resolve, 0));
      assert.deepEqual([...view.get('k0007')!], [round]);
      const seen = [...view.range('k', 'l')];
      assert.equal(seen.length, keys.length);
      assert.ok(seen.every((row) => row.value[0] === round));
      assert.equal(store.get('k0007')![0], 100 + later);
    }
    view.close();
    view.close();
  }
});

/** Every hazard that storage and identity have to survive owns tests that exist, and the docs name them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Evidence, HAZARDS, hazardTable } from './hazards.ts';

/** Of issue and review: storage, snapshots, identity, wire. */
const WANTED = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 21, 22, 23, 28];
/** Where a real disk, a real kernel or a real socket can do what no model does. */
const NEEDS_A_MACHINE = [
  'H1',
  'H2',
  'H3',
  'H4',
  'H7',
  'H8',
  'H10',
  'H11',
  'H17',
  'H18',
  'H21',
  'H22',
  'H23',
  'H28',
];
const DOCS = 'docs/TESTING.md';
const BEGIN = '<!-- hazards: begin -->';
const END = '<!-- hazards: end -->';

test('every hazard has its row, once and in order', () => {
  assert.deepEqual(
    HAZARDS.map(({ id }) => id),
    WANTED.map((number) => `H${number}`),
  );
});

for (const { id, scenarios, processes } of HAZARDS) {
  test(`${id} owns tests that exist`, () => {
    assert.ok(scenarios.length > 0, 'a scenario');
    if (NEEDS_A_MACHINE.includes(id)) assert.ok(processes.length > 0, 'a process test');
    for (const evidence of [...scenarios, ...processes]) assertExists(evidence);
    for (const { file } of processes) assert.match(file, /^test\/(interop|jepsen-like)\//);
  });
}

test('the table in the docs is this one', () => {
  const text = readFileSync(DOCS, 'utf8');
  const from = text.indexOf(BEGIN) + BEGIN.length;
  const to = text.indexOf(END);
  assert.ok(from >= BEGIN.length && to > from, 'the docs have a place for it');
  const wanted = `\n\n${hazardTable()}\n\n`;
  if (process.env['UPDATE'] === '1') {
    writeFileSync(DOCS, `${text.slice(0, from)}${wanted}${text.slice(to)}`);
  } else assert.equal(text.slice(from, to), wanted, 'run with UPDATE=1 and review the diff');
});

/** In a file of tests: as a part of the name of one. */
function assertExists({ file, test: name }: Evidence): void {
  assert.ok(existsSync(file), `${file} exists`);
  if (!file.endsWith('.test.ts')) return;
  const names = [...readFileSync(file, 'utf8').matchAll(/\btest\(\s*(['"`])(.*?)\1/gs)];
  const found = names.some(([, , each]) => each?.includes(name));
  assert.ok(found, `${file} has a test with "${name}" in its name`);
}

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderScenario } from './scenario.ts';

const FOLDER = 'test/sim/scenarios';
const isUpdate = process.env['UPDATE'] === '1';

for (const name of readdirSync(FOLDER).sort()) {
  test(`scenario ${name} goes as written`, () => {
    const path = join(FOLDER, name);
    const want = readFileSync(path, 'utf8');
    const got = renderScenario(want);
    if (isUpdate) writeFileSync(path, got);
    else assert.equal(got, want, `run with UPDATE=1 and review the diff of ${path}`);
  });
}

import { deepEqual, ok } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT_MEANINGS } from './exit-codes.ts';

const page = readFileSync('docs/cli-json.md', 'utf8');

test('docs/cli-json.md names every object that a command prints', () => {
  const sources = ['src/cli/render', 'src/cli/commands'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  );
  const kinds = sources.flatMap((text) =>
    [...text.matchAll(/jsonLine\(\{\s*kind: '(\w+)'/g)].map(([, kind]) => kind ?? ''),
  );
  ok(kinds.length > 20, 'the pattern finds them');
  deepEqual(
    [...new Set(kinds)].filter((kind) => !page.includes(`\`${kind}\``)),
    [],
  );
});

test('docs/cli-json.md says what every exit code means', () => {
  const missing = EXIT_MEANINGS.filter(
    ([code, meaning]) => !page.includes(`| ${code} | ${meaning}`),
  );
  deepEqual(missing, []);
});

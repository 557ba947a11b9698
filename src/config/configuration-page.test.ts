import { equal } from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { configurationPage } from './configuration-page.ts';

const PATH = 'docs/configuration.md';

test('docs/configuration.md says what the tables say', () => {
  const page = configurationPage();
  if (process.env['UPDATE'] === '1') writeFileSync(PATH, page);
  equal(readFileSync(PATH, 'utf8'), page, 'UPDATE=1 writes it again');
});

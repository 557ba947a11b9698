import { deepEqual, ok, throws } from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { probeSyncMs } from './sync-probe.ts';

test('probeSyncMs() measures something and leaves nothing behind', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mq-raft-probe-'));
  try {
    ok(probeSyncMs(directory) > 0);
    deepEqual(readdirSync(directory), []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('probeSyncMs() fails where nothing can be written', () => {
  throws(() => probeSyncMs('/nonexistent'), { code: 'ENOENT' });
});

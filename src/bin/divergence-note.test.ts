import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { noteDivergence, requireNoDivergence } from './divergence-note.ts';

test('a directory that was noted as another one is refused, with what was found and what to do', async () => {
  const disk = new MemoryDisk();
  await requireNoDivergence(disk, '/data/n1');
  await noteDivergence(disk, '/data/n1', 'The log up to entry 7 is not that of the group');
  await assert.rejects(requireNoDivergence(disk, '/data/n1'), {
    name: 'FatalError',
    reason: 'logDamaged',
    message: /^The log up to entry 7 is not .* let this node be replaced .*\/data\/n1\/DIVERGED/,
  });
  await requireNoDivergence(disk, '/data/n2');
});

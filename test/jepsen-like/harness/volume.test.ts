/** A volume loses what was not synced when its power is cut, and can be filled to the last block. */
import { equal, ok } from 'node:assert/strict';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { lookAtMachine } from './machine.ts';
import { Volume } from './volume.ts';

const MIB = 1024 * 1024;
const { powerCut } = await lookAtMachine();

suite('Volume', { skip: powerCut ?? false }, () => {
  async function withVolume(use: (volume: Volume) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'mq-raft-jepsen-volume-'));
    const volume = await Volume.create(folder, 32 * MIB, true);
    try {
      mkdirSync(volume.directory);
      await use(volume);
    } finally {
      await volume.destroy();
      rmSync(folder, { recursive: true });
    }
  }

  test('a cut keeps what was synced and drops what was not', async () => {
    await withVolume(async (volume) => {
      const path = join(volume.directory, 'file');
      writeFileSync(path, 'first.');
      const file = openSync(path, 'r+');
      fsyncSync(file);
      const directory = openSync(volume.directory, 'r');
      fsyncSync(directory);
      closeSync(directory);
      writeSync(file, 'second', 0);
      await volume.cutPower();
      closeSync(file);
      await volume.restorePower();
      equal(readFileSync(path, 'utf8'), 'first.');
    });
  });

  test('full is full at once, and free again afterwards', async () => {
    await withVolume(async (volume) => {
      const freeBytes = volume.freeBytes;
      await volume.fill(0);
      ok(volume.freeBytes < 64 * 1024, `${volume.freeBytes} bytes are left`);
      volume.free();
      ok(volume.freeBytes > freeBytes - MIB);
      await volume.fill(8 * MIB);
      ok(volume.freeBytes >= 8 * MIB && volume.freeBytes < 10 * MIB);
    });
  });
});

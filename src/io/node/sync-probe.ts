/**
 * How fast the disk below a directory makes small writes durable: measured before a broker serves,
 * because the figure tells an operator more than any other, and the few syncs of a start are noise.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { KIB } from '../../base/sizes.ts';

const PROBE_NAME = 'probe.tmp';
const BLOCK_SIZE_BYTES = 4 * KIB;
/** Overwriting allocated blocks is what the log does: preallocated segments. */
const BLOCK_COUNT = 16;
const SAMPLE_COUNT_MAX = 200;
/** A slow disk is known to be slow long before all samples are taken. */
const DURATION_MS_MAX = 150;
const QUANTILE = 0.99;

/**
 * @returns p99 of write + fdatasync of 4 KiB in ms
 * @throws the error of the file system: a directory that cannot sync cannot hold a log
 */
export function probeSyncMs(directory: string): number {
  const path = join(directory, PROBE_NAME);
  const file = openSync(path, 'w+');
  try {
    const block = new Uint8Array(BLOCK_SIZE_BYTES).fill(1);
    for (let at = 0; at < BLOCK_COUNT; at++) {
      writeSync(file, block, 0, BLOCK_SIZE_BYTES, at * BLOCK_SIZE_BYTES);
    }
    fsyncSync(file);
    const samplesMs: number[] = [];
    const startMs = performance.now();
    while (samplesMs.length < SAMPLE_COUNT_MAX && performance.now() - startMs < DURATION_MS_MAX) {
      const beforeMs = performance.now();
      const at = (samplesMs.length % BLOCK_COUNT) * BLOCK_SIZE_BYTES;
      writeSync(file, block, 0, BLOCK_SIZE_BYTES, at);
      fdatasyncSync(file);
      samplesMs.push(performance.now() - beforeMs);
    }
    samplesMs.sort((a, b) => a - b);
    return samplesMs[Math.ceil(QUANTILE * samplesMs.length) - 1]!; // at least one sample
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
}

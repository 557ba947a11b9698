/** Damage to the files of a node while it is down: log, superblock, derived state. */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Prng } from '../../../src/base/prng.ts';
import { generationOf } from '../../../src/store/log-paths.ts';
import { SEGMENT_SIZE_BYTES } from '../limits.ts';
import { type FaultContext, FaultImpossible, untilWhole } from './fault.ts';
import type { LogDamage } from './step.ts';

const SEGMENT_HEADER_SIZE_BYTES = 4096;
const SLOT_SIZE_BYTES = 4096;
/** Somewhere in the fields of a slot. */
const SLOT_BYTE = 20;
const CHUNK_SIZE_BYTES_MAX = 16_384;
/** Below this a log is not worth damaging at a place for each node. */
const HELIX_SPAN_BYTES_MIN = 256 * 1024;

export async function damageLog(context: FaultContext<'damageLog'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  const shortest = Math.min(...targets.map((node) => spanOf(node.directory)));
  if (step.isHelix && shortest < HELIX_SPAN_BYTES_MIN)
    throw new FaultImpossible('the log is short');
  await Promise.all(targets.map((node) => node.kill('killed, to damage its log')));
  const notes: string[] = [];
  try {
    const spans = targets.map((node) => spanOf(node.directory));
    const shared = Math.min(...spans);
    for (const [i, node] of targets.entries()) {
      const random = new Prng(step.salt, node.nodeId);
      // In a helix each node is hurt in the middle of a part of its own, so that every entry is whole
      // somewhere.
      const at = step.isHelix
        ? Math.floor((shared * (2 * i + 1)) / (2 * targets.length))
        : SEGMENT_HEADER_SIZE_BYTES +
          random.below(Math.max(1, spans[i]! - SEGMENT_HEADER_SIZE_BYTES));
      notes.push(`${node.nodeId}: ${applyDamage(node.directory, step.damage, at, random)}`);
    }
    await lasting(step.downMs);
  } finally {
    await Promise.all(targets.map((node) => node.start()));
  }
  return `${notes.join('; ')} ${await untilWhole(cluster, targets)}`.trim();
}

export async function damageSuperblock(context: FaultContext<'damageSuperblock'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  const isFatal = step.slots.length > 1;
  for (const node of targets) {
    await node.kill('killed, to damage its superblock');
    const path = join(node.directory, 'superblock');
    const original = readFileSync(path);
    for (const slot of step.slots) flip(path, slot * SLOT_SIZE_BYTES + SLOT_BYTE, 1);
    if (isFatal) {
      node.isHeld = true;
      const outcome = await node.start();
      node.expectEnd('its superblock is lost');
      await lasting(step.downMs);
      await node.kill('its superblock is put back');
      const file = openSync(path, 'r+');
      writeSync(file, original, 0, original.length, 0);
      closeSync(file);
      node.isHeld = false;
      if (outcome.kind === 'ready') throw new Error(`${node.nodeId} started without a superblock`);
    } else {
      await lasting(step.downMs);
    }
    await node.start();
  }
  return `slots ${step.slots.join(' and ')} ${await untilWhole(cluster, targets)}`.trim();
}

export async function deleteDerived(context: FaultContext<'deleteDerived'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  for (const node of targets) {
    await node.kill('killed, to delete its derived state');
    rmSync(join(node.directory, 'derived'), { recursive: true, force: true });
  }
  await lasting(step.downMs);
  await Promise.all(targets.map((node) => node.start()));
  return untilWhole(cluster, targets);
}

/** The newest generation of segments: an older one is about to go. */
function dataOf(directory: string): string {
  const generations = readdirSync(directory)
    .map((name) => ({ name, generation: generationOf(name) }))
    .filter((each) => each.generation !== null)
    .sort((a, b) => (b.generation ?? 0) - (a.generation ?? 0));
  return join(directory, generations[0]?.name ?? 'data');
}

/** How far the log reaches: behind it are the zeros of a segment that waits to be written. */
function spanOf(directory: string): number {
  const data = dataOf(directory);
  const names = readdirSync(data)
    .filter((name) => name.endsWith('.seg'))
    .sort();
  for (const name of names.reverse()) {
    const bytes = readFileSync(join(data, name));
    let end = bytes.length;
    while (end > SEGMENT_HEADER_SIZE_BYTES && bytes[end - 1] === 0) end--;
    if (end > SEGMENT_HEADER_SIZE_BYTES) return Number.parseInt(name, 10) + end;
  }
  return 0;
}

function applyDamage(directory: string, damage: LogDamage, at: number, random: Prng): string {
  const start = at - (at % SEGMENT_SIZE_BYTES);
  const path = join(dataOf(directory), `${String(start).padStart(20, '0')}.seg`);
  const position = at - start;
  switch (damage) {
    case 'bitFlip':
      flip(path, position, 1 << random.below(8));
      return `bit flipped at ${at}`;
    case 'truncate':
      truncateSync(path, position);
      return `segment ${start} truncated to ${position}`;
    case 'chunkCopy': {
      const sizeBytes = 512 + random.below(CHUNK_SIZE_BYTES_MAX);
      const from = random.below(Math.max(1, position - sizeBytes));
      const chunk = Buffer.alloc(Math.min(sizeBytes, SEGMENT_SIZE_BYTES - position));
      const file = openSync(path, 'r+');
      readSync(file, chunk, 0, chunk.length, from);
      writeSync(file, chunk, 0, chunk.length, position);
      closeSync(file);
      return `${chunk.length} bytes copied from ${start + from} over ${at}`;
    }
  }
}

function flip(path: string, position: number, mask: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, position);
  byte[0] = byte[0]! ^ mask; // one byte
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}

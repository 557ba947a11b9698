/** Damage to the files of a node while it is down: log, superblock, derived state. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Prng } from '../../../src/base/prng.ts';
import type { BrokerNode } from '../harness/broker-node.ts';
import { type FaultContext, FaultImpossible, untilWhole } from './fault.ts';
import {
  applyDamage,
  flip,
  type LogFiles,
  logFilesOf,
  SEGMENT_HEADER_SIZE_BYTES,
} from './log-files.ts';

const SLOT_SIZE_BYTES = 4096;
/** Somewhere in the fields of a slot. */
const SLOT_BYTE = 20;
/** For each node: longer than an entry of most workloads, so that no two are hurt in the same one. */
const HELIX_PART_SIZE_BYTES_MIN = 32 * 1024;

export async function damageLog(context: FaultContext<'damageLog'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  // Before anybody is killed: of a log that others write, what is there now is there later.
  const isLong = (span: Span): boolean =>
    spanSizeBytes(span) >= targets.length * HELIX_PART_SIZE_BYTES_MIN;
  if (step.isHelix && !isLong(sharedSpan(await logsOf(targets))))
    throw new FaultImpossible('the log is short');
  await Promise.all(targets.map((node) => node.kill('killed, to damage its log')));
  const notes: string[] = [];
  try {
    const logs = await logsOf(targets);
    const shared = sharedSpan(logs);
    for (const [i, node] of targets.entries()) {
      const random = new Prng(step.salt, node.nodeId);
      const log = logs[i]!; // one each
      // In a helix each node is hurt in the middle of a part of its own, so that every entry is whole
      // somewhere.
      const at = step.isHelix
        ? shared.begin + Math.floor((spanSizeBytes(shared) * (2 * i + 1)) / (2 * targets.length))
        : log.begin +
          SEGMENT_HEADER_SIZE_BYTES +
          random.below(Math.max(1, spanSizeBytes(log) - SEGMENT_HEADER_SIZE_BYTES));
      notes.push(`${node.nodeId}: ${applyDamage(log, step.damage, at, random)}`);
    }
    await lasting(step.downMs);
  } finally {
    await Promise.all(targets.map((node) => node.start()));
  }
  return `${notes.join('; ')} ${await untilWhole(cluster, targets)}`.trim();
}

type Span = Pick<LogFiles, 'begin' | 'end'>;

function logsOf(nodes: readonly BrokerNode[]): Promise<readonly LogFiles[]> {
  return Promise.all(nodes.map(({ directory }) => logFilesOf(directory)));
}

/** What all of them have: logs begin and end at different places. */
function sharedSpan(logs: readonly Span[]): Span {
  return {
    begin: Math.max(...logs.map(({ begin }) => begin)),
    end: Math.min(...logs.map(({ end }) => end)),
  };
}

function spanSizeBytes({ begin, end }: Span): number {
  return Math.max(0, end - begin);
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
      const starting = node.start();
      node.expectEnd('its superblock is lost');
      const outcome = await starting;
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

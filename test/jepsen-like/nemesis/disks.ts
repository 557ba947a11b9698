/** Faults of disks: power, failing syncs, hangs, no room. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { failurePathsOf, readDiskFailures } from '../../../src/bin/disk-failures.ts';
import type { BrokerNode } from '../harness/broker-node.ts';
import { type FaultContext, FaultImpossible, requireFeature } from './fault.ts';
import { logFilesOf } from './log-files.ts';

/** The disk is not trusted after three; an operator who has looked deletes the notes before. */
const FAILURES_LEFT_MAX = 1;
const SYNC_ERROR_TIMEOUT_MS = 12_000;
const STRACE_TIMEOUT_MS = 10_000;

export async function powerCut({
  cluster,
  step,
  targets,
  lasting,
}: FaultContext<'powerCut'>): Promise<string> {
  requireFeature(cluster.machine.powerCut);
  for (const node of targets) node.expectEnd('its power was cut');
  // The power goes before the process: nothing that it writes in its last moment may arrive.
  await Promise.all(targets.map(({ volume }) => volume.cutPower()));
  await Promise.all(targets.map((node) => node.kill('its power was cut')));
  await lasting(step.downMs);
  for (const node of targets) {
    await node.volume.restorePower();
    forgetFailures(node);
  }
  const starts: Promise<unknown>[] = [];
  for (const node of targets) {
    starts.push(node.start());
    await lasting(step.staggerMs);
  }
  await Promise.all(starts);
  return '';
}

export async function syncError(context: FaultContext<'syncError'>): Promise<string> {
  requireFeature(context.cluster.machine.strace);
  const notes = await Promise.all(context.targets.map((node) => failSyncsOf(node, context)));
  return notes.join(', ');
}

async function failSyncsOf(
  node: BrokerNode,
  { cluster, step, lasting }: FaultContext<'syncError'>,
): Promise<string> {
  const { pid } = node;
  if (pid === null) throw new FaultImpossible(`${node.nodeId} does not run`);
  node.isHeld = true;
  try {
    const tracer = await failSyncs(pid, step, step.ofLog ? await logPathsOf(node) : []);
    node.expectEnd('a sync failed');
    const isOver = await node.ended(SYNC_ERROR_TIMEOUT_MS);
    // What only its cache holds goes while its syncs still fail.
    const canCut = !isOver && cluster.machine.powerCut === null;
    if (canCut) await node.volume.cutPower();
    tracer.kill('SIGKILL');
    await lasting(200);
    if (!isOver) await node.kill('it lives on though its syncs fail, or none came to that');
    if (canCut) await node.volume.restorePower();
    forgetFailures(node);
    await node.start();
    return isOver ? 'ended' : 'no sync came to the fault';
  } finally {
    node.isHeld = false;
  }
}

export async function stall({ cluster, step, targets, lasting }: FaultContext<'stall'>) {
  requireFeature(cluster.machine.freeze);
  for (const node of targets) node.expectEnd('its disk hung');
  try {
    await Promise.all(targets.map(({ volume }) => volume.freeze()));
    await lasting(step.lastsMs);
  } finally {
    await Promise.all(targets.map(({ volume }) => volume.thaw()));
  }
  // What ended in the hang is started; what lives is expected to live on.
  await lasting(300);
  for (const node of targets) {
    if (!node.isRunning) await node.start();
    node.surprise();
  }
  return '';
}

export async function fillDisk({ cluster, step, targets, lasting }: FaultContext<'fillDisk'>) {
  requireFeature(cluster.machine.volumes);
  try {
    for (const { volume } of targets) await volume.fill(step.leaveBytes);
    await lasting(step.lastsMs);
  } finally {
    for (const { volume } of targets) volume.free();
  }
  return `${step.leaveBytes} bytes left`;
}

function forgetFailures({ directory }: BrokerNode): void {
  if (readDiskFailures(directory).length <= FAILURES_LEFT_MAX) return;
  for (const path of failurePathsOf(directory)) rmSync(path, { force: true });
}

async function logPathsOf({ directory }: BrokerNode): Promise<readonly string[]> {
  const { segments } = await logFilesOf(directory);
  return [...segments.map(({ path }) => path), join(directory, 'superblock')];
}

/** @param paths none: of every file. Resolves when the fault is in place. */
async function failSyncs(
  pid: number,
  { nth, always }: { readonly nth: number; readonly always: boolean },
  paths: readonly string[],
): Promise<ChildProcess> {
  const fault = `inject=fdatasync:error=EIO:when=${nth}${always ? '+' : ''}`;
  const tracer = spawn(
    'strace',
    [
      ...['-f', '-p', String(pid), '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', fault],
      ...paths.flatMap((path) => ['-P', path]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  // It says "Process N attached with M threads" when the fault is in place.
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      tracer.kill('SIGKILL');
      reject(new FaultImpossible('strace did not attach in time'));
    }, STRACE_TIMEOUT_MS);
    tracer.stderr.once('data', () => {
      clearTimeout(timer);
      resolve();
    });
    tracer.once('exit', () => {
      clearTimeout(timer);
      reject(new FaultImpossible('strace ended before the process that it traces'));
    });
  });
  return tracer;
}

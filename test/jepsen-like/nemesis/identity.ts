/** A node is not who it was: an empty directory, an old one, two with one name, one of another cluster. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BrokerNode, CLUSTER_ID, exitInTime } from '../harness/broker-node.ts';
import type { Cluster } from '../harness/cluster.ts';
import { run } from '../harness/shell.ts';
import { type FaultContext, untilWhole } from './fault.ts';

const BROKER = fileURLToPath(new URL('../../../src/bin/broker.js', import.meta.url));
/** Of the twin, on the machine of the clients. */
const TWIN_PORTS = { grpc: 28_081, raft: 20_912, http: 29_910 };

/** Whether the impostor took part is for the checkers: nothing may be lost by its hand. */
export async function wipe(context: FaultContext<'wipe'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  for (const node of targets) {
    await node.kill('killed, to take its directory away');
    const own = join(node.volume.asideDirectory, 'own');
    mkdirSync(node.volume.asideDirectory, { recursive: true });
    renameSync(node.directory, own);
    await playImpostor(node, () => lasting(step.lastsMs));
    rmSync(node.directory, { recursive: true, force: true });
    renameSync(own, node.directory);
    await node.start();
  }
  return untilWhole(cluster, targets);
}

export async function oldCopy(context: FaultContext<'oldCopy'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  for (const node of targets) {
    const { asideDirectory } = node.volume;
    const [old, own] = [join(asideDirectory, 'old'), join(asideDirectory, 'own')];
    rmSync(asideDirectory, { recursive: true, force: true });
    mkdirSync(asideDirectory);
    await node.kill('killed, to copy its directory');
    await run('cp', '-a', node.directory, old);
    await node.start();
    await untilWhole(cluster, [node]);
    await lasting(step.ageMs);
    await node.kill('killed, to put an old copy in place');
    renameSync(node.directory, own);
    renameSync(old, node.directory);
    await playImpostor(node, () => lasting(step.lastsMs));
    rmSync(node.directory, { recursive: true, force: true });
    renameSync(own, node.directory);
    await node.start();
  }
  return untilWhole(cluster, targets);
}

export async function playImpostor(node: BrokerNode, wait: () => Promise<void>): Promise<void> {
  node.isHeld = true;
  const starting = node.start();
  node.expectEnd('it is an impostor');
  await wait();
  await node.kill('it is an impostor');
  await starting;
  node.isHeld = false;
}

/** Of the two, the one that lives on is the node; the operator removes the other. */
export async function clone(context: FaultContext<'clone'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  const notes: string[] = [];
  for (const node of targets) {
    const copy = join(node.volume.asideDirectory, 'clone');
    rmSync(node.volume.asideDirectory, { recursive: true, force: true });
    mkdirSync(node.volume.asideDirectory);
    await node.kill('killed, to copy its directory');
    await run('cp', '-a', node.directory, copy);
    await node.start();
    node.expectEnd('it has a twin');
    node.isHeld = true;
    const before = node.log().length;
    const twin = startTwin(cluster, node, copy, CLUSTER_ID);
    await lasting(step.lastsMs);
    const isTwinAlive = twin.exitCode === null && twin.signalCode === null;
    // Who is refused by most ends only after 30 s of it, so in a short fault both live.
    const own = standingOf(node.log().slice(before));
    const others = standingOf(readFileSync(twinLogOf(cluster, node), 'utf8'));
    notes.push(
      `original ${node.isRunning ? 'lives' : 'ended'}, ${own}`,
      `twin ${isTwinAlive ? 'lives' : `ended with ${twin.exitCode}`}, ${others}`,
    );
    twin.kill('SIGKILL');
    await exitInTime(twin);
    node.isHeld = false;
    if (node.isRunning) {
      node.surprise();
    } else {
      // The group knows the twin by now: what it has promised is in the twin's directory.
      if (isTwinAlive) {
        rmSync(node.directory, { recursive: true, force: true });
        renameSync(copy, node.directory);
      }
      await node.start();
    }
  }
  return `${notes.join(', ')} ${await untilWhole(cluster, targets)}`.trim();
}

/** By its own log. */
function standingOf(log: string): string {
  if (log.includes('"raft.refused_by_group"')) return 'refused by most';
  return log.includes('"peer.refused_by"') ? 'refused by some' : 'refused by nobody';
}

function twinLogOf({ recorder }: Cluster, { nodeId }: BrokerNode): string {
  return join(recorder.folder, `${nodeId}-twin.log`);
}

export async function stranger({ cluster, step, targets, lasting }: FaultContext<'stranger'>) {
  for (const node of targets) {
    const directory = join(cluster.slot.folder, 'stranger');
    rmSync(directory, { recursive: true, force: true });
    const twin = startTwin(cluster, node, directory, 'another-cluster');
    await lasting(step.lastsMs);
    twin.kill('SIGKILL');
    await exitInTime(twin);
  }
  return '';
}

/** It calls the nodes by the addresses that it was given, and is called by nobody. */
function startTwin(
  cluster: Cluster,
  node: BrokerNode,
  directory: string,
  clusterId: string,
): ChildProcess {
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true });
  const host = cluster.nameServers[0]!.split(':')[0]; // where the clients are
  const { grpc, raft, http } = TWIN_PORTS;
  const args = [
    ...node.argumentsFor({ directory, clusterId }),
    ...['--grpc', `${host}:${grpc}`, '--raft', `${host}:${raft}`, '--http', `${host}:${http}`],
  ];
  const child = spawn(process.execPath, [BROKER, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  child.stdin.on('error', () => {}); // Its end says more than a pipe that breaks.
  // Of each twin a log of its own: what an earlier one was told says nothing of this one.
  child.stderr.pipe(createWriteStream(twinLogOf(cluster, node)));
  if (child.pid !== undefined) cluster.slot.noteProcess(child.pid);
  return child;
}

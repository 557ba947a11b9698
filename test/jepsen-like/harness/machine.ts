/** What this machine lets us do. Where it does not, a fault is skipped and the report says why. */
import { existsSync } from 'node:fs';
import { run, tryRun } from './shell.ts';

/** null: available. A sentence: why not. */
export interface Machine {
  readonly namespaces: string | null;
  readonly volumes: string | null;
  readonly powerCut: string | null;
  readonly freeze: string | null;
  readonly strace: string | null;
  readonly fakeClock: string | null;
}

export const FAKETIME_LIBRARIES = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/faketime/libfaketimeMT.so.1',
];

export function fakeClockLibrary(): string | null {
  return FAKETIME_LIBRARIES.find((path) => existsSync(path)) ?? null;
}

export async function lookAtMachine(): Promise<Machine> {
  const noRoot = process.platform !== 'linux' ? 'needs Linux' : needsRoot();
  const volumes =
    noRoot ?? (await missing('mkfs.ext4', 'mount', 'umount', 'losetup')) ?? (await noLoop());
  return {
    namespaces: noRoot ?? (await missing('ip', 'iptables', 'nsenter')) ?? (await noNamespace()),
    volumes,
    powerCut: volumes ?? (await missing('xfs_io')),
    freeze: volumes ?? (await missing('fsfreeze')),
    strace: noRoot ?? (await missing('strace')),
    fakeClock: fakeClockLibrary() === null ? 'needs libfaketime (package faketime)' : null,
  };
}

function needsRoot(): string | null {
  return process.getuid?.() === 0 ? null : 'needs root';
}

async function missing(...tools: readonly string[]): Promise<string | null> {
  for (const tool of tools) {
    if (!(await tryRun('sh', '-c', `command -v ${tool}`))) return `needs ${tool}`;
  }
  return null;
}

async function noLoop(): Promise<string | null> {
  return (await tryRun('losetup', '-f')) ? null : 'the kernel offers no loop device';
}

async function noNamespace(): Promise<string | null> {
  const name = `mqrj-trial-${process.pid}`;
  if (!(await tryRun('ip', 'netns', 'add', name))) return 'the kernel offers no network namespaces';
  try {
    const link = ['link', 'add', `mjt${process.pid}`, 'type', 'veth', 'peer', 'name', 'mjtrial'];
    if (!(await tryRun('ip', ...link, 'netns', name))) return 'the kernel offers no veth';
    const rule = ['-A', 'INPUT', '-s', '192.0.2.1', '-j', 'DROP'];
    const works = await tryRun('ip', 'netns', 'exec', name, 'iptables', ...rule);
    return works ? null : 'iptables does not work in a namespace';
  } finally {
    // With it go the link and the rule.
    await run('ip', 'netns', 'del', name);
  }
}

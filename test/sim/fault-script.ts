/**
 * The faults of a run, drawn from the seed before it starts. Every fault carries all of its own
 * randomness, so that a shrinker may drop some without changing the others.
 */
import { Prng } from '../../src/base/prng.ts';
import type { FaultRates, NetworkProfile, Profile } from './profiles.ts';

/** A node by its place (0-based), or whoever leads in the highest term when the fault strikes. */
export type Target = number | 'leader';

/** How much a restart knows of what was committed: the core must cope with all of it. */
export type CrashMemory = 'nothing' | 'applied' | 'commit';

/** What of the unfinished persists reached the disk, and what the restart remembers. */
export interface CrashDetails {
  readonly downMs: number;
  /** Taken modulo the possibilities at that moment. */
  readonly keepPersists: number;
  readonly keepParts: number;
  readonly memory: CrashMemory;
  /** Whether what the node has sent and nobody has received yet is lost with its sockets. */
  readonly losesSent: boolean;
}

export type Trap =
  | 'voteGranted'
  | 'voteRequested'
  | 'appendAccepted'
  | 'becameLeader'
  | 'leaderCommits';

/** A cut direction: [from, to]. */
export type Edge = readonly [from: number, to: number];

export type Fault =
  | {
      readonly kind: 'crash';
      readonly atMs: number;
      readonly target: Target;
      readonly crash: CrashDetails;
    }
  /** The node crashes right after it does what `trap` names. */
  | {
      readonly kind: 'trap';
      readonly atMs: number;
      readonly target: Target;
      readonly trap: Trap;
      readonly crash: CrashDetails;
    }
  | {
      readonly kind: 'partition';
      readonly atMs: number;
      readonly durationMs: number;
      readonly shape: string;
      readonly cut: readonly Edge[];
    }
  | {
      readonly kind: 'isolate';
      readonly atMs: number;
      readonly durationMs: number;
      readonly target: Target;
      readonly direction: 'both' | 'out' | 'in';
    }
  | {
      readonly kind: 'storm';
      readonly atMs: number;
      readonly durationMs: number;
      readonly network: NetworkProfile;
    }
  | {
      readonly kind: 'stall';
      readonly atMs: number;
      readonly durationMs: number;
      readonly target: Target;
    }
  | {
      readonly kind: 'pause';
      readonly atMs: number;
      readonly durationMs: number;
      readonly target: Target;
    };

export type FaultKind = Fault['kind'];

const MINUTE_MS = 60_000;
const PAUSE_MS_MAX = 5_000;
const STORM_MS_MAX = 8_000;

export function faultScriptOf(seed: number, profile: Profile): readonly Fault[] {
  const faults: Fault[] = [];
  for (const kind of Object.keys(profile.rates) as (keyof FaultRates)[]) {
    // A stream per kind: a change of one rate leaves the other kinds as they were.
    const random = new Prng(seed, `faults:${kind}`);
    const mean = (profile.rates[kind] * profile.chaosMs) / MINUTE_MS;
    const count = mean === 0 ? 0 : random.below(Math.round(2 * mean) + 1);
    for (let i = 0; i < count; i++) faults.push(drawFault(kind, random, profile));
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function drawFault(kind: keyof FaultRates, random: Prng, profile: Profile): Fault {
  const atMs = 1 + random.below(profile.chaosMs - 1);
  const anyone = random.below(profile.nodeCount);
  switch (kind) {
    case 'crash':
      return { kind: 'crash', atMs, target: anyone, crash: drawCrash(random, profile) };
    case 'crashLeader':
      return { kind: 'crash', atMs, target: 'leader', crash: drawCrash(random, profile) };
    case 'trap': {
      const trap = random.pick<Trap>([
        'voteGranted',
        'voteGranted',
        'voteRequested',
        'appendAccepted',
        'becameLeader',
        'leaderCommits',
        'leaderCommits',
      ]);
      return { kind: 'trap', atMs, target: anyone, trap, crash: drawCrash(random, profile) };
    }
    case 'partition':
      return drawPartition(atMs, random, profile);
    case 'isolateLeader': {
      const direction = random.pick(['both', 'both', 'out', 'in'] as const);
      const durationMs = 1 + random.below(profile.partitionMsMax);
      return { kind: 'isolate', atMs, durationMs, target: 'leader', direction };
    }
    case 'storm': {
      const network: NetworkProfile = {
        delayMsMax: 1 + random.below(200),
        lossPermille: random.below(300),
        duplicatePermille: random.below(500),
        slowPermille: random.below(200),
        slowDelayMsMax: 1 + random.below(5_000),
      };
      return { kind: 'storm', atMs, durationMs: 1 + random.below(STORM_MS_MAX), network };
    }
    case 'stall':
      return {
        kind: 'stall',
        atMs,
        durationMs: 1 + random.below(profile.stallMsMax),
        target: anyone,
      };
    case 'pause':
      return { kind: 'pause', atMs, durationMs: 1 + random.below(PAUSE_MS_MAX), target: anyone };
  }
}

function drawCrash(random: Prng, profile: Profile): CrashDetails {
  return {
    downMs: 1 + random.below(profile.downMsMax),
    keepPersists: random.nextU32(),
    keepParts: random.nextU32(),
    memory: random.pick(['nothing', 'applied', 'commit'] as const),
    losesSent: random.chance(1, 2),
  };
}

function drawPartition(atMs: number, random: Prng, profile: Profile): Fault {
  const durationMs = 1 + random.below(profile.partitionMsMax);
  const shape = random.pick(['halves', 'halves', 'oneWay', 'randomEdges', 'bridge'] as const);
  const cut = allEdges(profile.nodeCount).filter(edgeFilter(shape, random, profile.nodeCount));
  return { kind: 'partition', atMs, durationMs, shape, cut };
}

function edgeFilter(
  shape: 'halves' | 'oneWay' | 'randomEdges' | 'bridge',
  random: Prng,
  nodeCount: number,
): (edge: Edge) => boolean {
  const side = Array.from({ length: nodeCount }, () => random.below(2));
  const bridge = random.below(nodeCount);
  switch (shape) {
    case 'halves':
      return ([from, to]) => side[from] !== side[to];
    case 'oneWay':
      return ([from, to]) => side[from] === 0 && side[to] === 1;
    case 'randomEdges':
      return () => random.chance(1, 3);
    case 'bridge': // two halves that see each other only through one node
      return ([from, to]) => from !== bridge && to !== bridge && side[from] !== side[to];
  }
}

export function allEdges(nodeCount: number): readonly Edge[] {
  const edges: Edge[] = [];
  for (let from = 0; from < nodeCount; from++) {
    for (let to = 0; to < nodeCount; to++) if (from !== to) edges.push([from, to]);
  }
  return edges;
}

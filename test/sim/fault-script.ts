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
  | 'leaderCommits'
  | 'installing'
  | 'membershipChanged'
  | 'handingOver';

/** A cut direction: [from, to]. */
export type Edge = readonly [from: number, to: number];

interface Strike {
  readonly atMs: number;
}

interface Spell extends Strike {
  readonly durationMs: number;
}

export type Fault =
  | (Strike & { readonly kind: 'crash'; readonly target: Target; readonly crash: CrashDetails })
  /** The node crashes right after it does what `trap` names. */
  | (Strike & {
      readonly kind: 'trap';
      readonly target: Target;
      readonly trap: Trap;
      readonly crash: CrashDetails;
    })
  | (Spell & { readonly kind: 'partition'; readonly shape: string; readonly cut: readonly Edge[] })
  | (Spell & {
      readonly kind: 'isolate';
      readonly target: Target;
      readonly direction: 'both' | 'out' | 'in';
    })
  | (Spell & { readonly kind: 'storm'; readonly network: NetworkProfile })
  | (Spell & { readonly kind: 'clog'; readonly cut: readonly Edge[] })
  | (Spell & { readonly kind: 'narrow'; readonly capacity: number })
  | (Strike & {
      readonly kind: 'replay';
      readonly from: number;
      readonly to: number;
      readonly count: number;
      readonly pick: number;
    })
  | (Spell & { readonly kind: 'stall'; readonly target: Target })
  | (Spell & { readonly kind: 'pause'; readonly target: Target })
  /** The node dies and comes back with an empty directory, within the budget of a run. */
  | (Strike & { readonly kind: 'wipe'; readonly target: Target; readonly downMs: number })
  /** The node dies and comes back with an older copy of its directory, within the same budget. */
  | (Strike & {
      readonly kind: 'restore';
      readonly target: Target;
      readonly downMs: number;
      readonly pick: number;
    })
  /** An older copy of the node's directory runs beside the node. */
  | (Spell & { readonly kind: 'clone'; readonly target: Target; readonly pick: number });

export type FaultKind = Fault['kind'];

const MINUTE_MS = 60_000;
const STORM_MS_MAX = 8_000;
const CLOG_MS_MAX = 5_000;
const FLAP_MS = 1_000;
const FLAP_COUNT_MAX = 8;
const REPLAY_COUNT_MAX = 12;
const CLONE_MS_MAX = 20_000;
const DAY_AFTER_DEATH_MS_MAX = 3_000;

export function faultScriptOf(seed: number, profile: Profile): readonly Fault[] {
  const faults: Fault[] = [];
  for (const kind of Object.keys(profile.rates) as (keyof FaultRates)[]) {
    // A stream per kind: a change of one rate leaves the other kinds as they were.
    const random = new Prng(seed, `faults:${kind}`);
    const mean = (profile.rates[kind] * profile.chaosMs) / MINUTE_MS;
    const count = mean === 0 ? 0 : random.below(Math.round(2 * mean) + 1);
    for (let i = 0; i < count; i++) faults.push(...drawFaults(kind, random, profile));
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

export function placeCountOf({ nodeCount, spareCount }: Profile): number {
  return nodeCount + spareCount;
}

function drawFaults(kind: keyof FaultRates, random: Prng, profile: Profile): readonly Fault[] {
  const atMs = 1 + random.below(profile.chaosMs - 1);
  const target = random.below(placeCountOf(profile));
  switch (kind) {
    case 'crash':
      return [{ kind, atMs, target, crash: drawCrash(random, profile) }];
    case 'crashLeader':
      return [{ kind: 'crash', atMs, target: 'leader', crash: drawCrash(random, profile) }];
    case 'trap': {
      const trap = random.pick(trapsOf(profile));
      return [{ kind, atMs, target, trap, crash: drawCrash(random, profile) }];
    }
    case 'wipe':
      return [{ kind, atMs, target, downMs: 1 + random.below(DAY_AFTER_DEATH_MS_MAX) }];
    case 'restore': {
      const downMs = 1 + random.below(DAY_AFTER_DEATH_MS_MAX);
      return [{ kind, atMs, target, downMs, pick: random.nextU32() }];
    }
    case 'clone': {
      const durationMs = 1 + random.below(CLONE_MS_MAX);
      return [{ kind, atMs, durationMs, target, pick: random.nextU32() }];
    }
    case 'stall':
      return [{ kind, atMs, durationMs: 1 + random.below(profile.stallMsMax), target }];
    case 'pause':
      return [{ kind, atMs, durationMs: drawPauseMs(random, profile), target }];
    default:
      return drawNetworkFaults(kind, atMs, random, profile);
  }
}

type NetworkFault = 'partition' | 'flap' | 'isolateLeader' | 'storm' | 'clog' | 'narrow' | 'replay';

function drawNetworkFaults(
  kind: NetworkFault,
  atMs: number,
  random: Prng,
  profile: Profile,
): readonly Fault[] {
  const placeCount = placeCountOf(profile);
  switch (kind) {
    case 'partition':
      return [drawPartition(atMs, random, profile)];
    case 'flap':
      return drawFlap(atMs, random, profile);
    case 'isolateLeader': {
      const direction = random.pick(['both', 'both', 'out', 'in'] as const);
      const durationMs = 1 + random.below(profile.partitionMsMax);
      return [{ kind: 'isolate', atMs, durationMs, target: 'leader', direction }];
    }
    case 'storm': {
      const network: NetworkProfile = {
        delayMsMax: 1 + random.below(200),
        lossPermille: random.below(300),
        duplicatePermille: random.below(500),
        slowPermille: random.below(200),
        slowDelayMsMax: 1 + random.below(5_000),
      };
      return [{ kind, atMs, durationMs: 1 + random.below(STORM_MS_MAX), network }];
    }
    case 'clog': {
      const cut = allEdges(placeCount).filter(() => random.chance(1, 4));
      return [{ kind, atMs, durationMs: 1 + random.below(CLOG_MS_MAX), cut }];
    }
    case 'narrow': {
      const capacity = 2 + random.below(19);
      return [{ kind, atMs, durationMs: 1 + random.below(STORM_MS_MAX), capacity }];
    }
    case 'replay': {
      const from = random.below(placeCount);
      const to = random.below(placeCount);
      const count = 1 + random.below(REPLAY_COUNT_MAX);
      return [{ kind, atMs, from, to, count, pick: random.nextU32() }];
    }
  }
}

/** What the profile makes happen is what nodes die in the middle of. */
function trapsOf({ snapshotEveryCount, operators }: Profile): readonly Trap[] {
  const traps: Trap[] = [
    'voteGranted',
    'voteGranted',
    'voteRequested',
    'appendAccepted',
    'becameLeader',
    'leaderCommits',
    'leaderCommits',
  ];
  if (snapshotEveryCount > 0) traps.push('installing', 'installing', 'installing');
  if (operators.promote + operators.replace > 0)
    traps.push('membershipChanged', 'membershipChanged');
  if (operators.transfer > 0) traps.push('handingOver');
  return traps;
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

/** From 10 ms on, short ones as likely as long ones. */
function drawPauseMs(random: Prng, { pauseMsMax }: Profile): number {
  const scaleMs = Math.min(pauseMsMax, 20 * 2 ** random.below(13));
  return Math.min(pauseMsMax, 10 + random.below(scaleMs));
}

const SHAPES = ['halves', 'halves', 'oneWay', 'randomEdges', 'bridge', 'ring'] as const;
type Shape = (typeof SHAPES)[number];

function drawPartition(atMs: number, random: Prng, profile: Profile): Fault {
  const durationMs = 1 + random.below(profile.partitionMsMax);
  const shape = random.pick(SHAPES);
  return { kind: 'partition', atMs, durationMs, shape, cut: drawCut(shape, random, profile) };
}

/** The same cut again and again, with as much time in between as it lasts. */
function drawFlap(atMs: number, random: Prng, profile: Profile): readonly Fault[] {
  const durationMs = 50 + random.below(FLAP_MS);
  const cut = drawCut(random.pick(SHAPES), random, profile);
  const count = 2 + random.below(FLAP_COUNT_MAX);
  const starts = Array.from({ length: count }, (_, i) => atMs + 2 * i * durationMs);
  return starts
    .filter((startMs) => startMs < profile.chaosMs)
    .map((startMs) => ({ kind: 'partition', atMs: startMs, durationMs, shape: 'flap', cut }));
}

function drawCut(shape: Shape, random: Prng, profile: Profile): readonly Edge[] {
  const placeCount = placeCountOf(profile);
  const side = Array.from({ length: placeCount }, () => random.below(2));
  const bridge = random.below(placeCount);
  const isCut = ([from, to]: Edge): boolean => {
    switch (shape) {
      case 'halves':
        return side[from] !== side[to];
      case 'oneWay':
        return side[from] === 0 && side[to] === 1;
      case 'randomEdges':
        return random.chance(1, 3);
      case 'bridge': // two halves that see each other only through one node
        return from !== bridge && to !== bridge && side[from] !== side[to];
      case 'ring': {
        // Everybody sees its neighbours only.
        const distance = Math.abs(from - to);
        return Math.min(distance, placeCount - distance) > 1;
      }
    }
  };
  return allEdges(placeCount).filter(isCut);
}

export function allEdges(placeCount: number): readonly Edge[] {
  const edges: Edge[] = [];
  for (let from = 0; from < placeCount; from++) {
    for (let to = 0; to < placeCount; to++) if (from !== to) edges.push([from, to]);
  }
  return edges;
}

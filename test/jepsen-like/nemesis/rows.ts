/**
 * The rows of the table of faults, P1 to P20, each as a maker of steps from a random stream. A row is
 * what one asks for by name; a step is one fault of it.
 */
import type { Prng } from '../../../src/base/prng.ts';
import { AWAY_MS_MAX } from '../limits.ts';
import type { Step, Target } from './step.ts';

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

/** What a row needs to know to make its next step. */
export interface RowContext {
  readonly random: Prng;
  readonly nodes: readonly string[];
  /** The step must be over after this, or nearly. */
  readonly roomMs: number;
}

export interface RowMaker {
  readonly id: string;
  readonly name: string;
  /** Between the end of one step and the begin of the next, at most. */
  readonly gapMsMax: number;
  readonly make: (context: RowContext) => Step;
}

const leader: Target = { pick: 'leader' };

function anyone({ random, nodes }: RowContext): Target {
  return random.pick<Target>([
    leader,
    { pick: 'follower', nth: random.below(nodes.length - 1) },
    { pick: 'node', nodeId: random.pick(nodes) },
  ]);
}

function oneNode({ random, nodes }: RowContext): Target {
  return { pick: 'node', nodeId: random.pick(nodes) };
}

/** A length between the two, no longer than there is room. */
function lasting({ random, roomMs }: RowContext, minMs: number, maxMs: number): number {
  const top = Math.max(minMs, Math.min(maxMs, roomMs));
  return minMs + random.below(Math.max(1, top - minMs));
}

const KILL: RowMaker = {
  ...{ id: 'P1', name: 'kill', gapMsMax: 4_000 },
  make: (context) => ({
    kind: 'kill',
    target: anyone(context),
    downMs: lasting(context, 200, 4_000),
  }),
};

const PAUSE: RowMaker = {
  ...{ id: 'P2', name: 'pause', gapMsMax: 3_000 },
  make: (context) => {
    const target = context.random.pick<Target>([leader, { pick: 'followers' }, anyone(context)]);
    return { kind: 'pause', target, lastsMs: lasting(context, 100, 9_000) };
  },
};

const PARTITION: RowMaker = {
  ...{ id: 'P3', name: 'partition', gapMsMax: 2_500 },
  make: (context) => ({
    kind: 'partition',
    shape: context.random.pick(['isolate', 'majority', 'ring', 'bridge'] as const),
    target: context.random.pick([leader, anyone(context)]),
    lastsMs: lasting(context, 1_000, 8_000),
  }),
};

const ONE_WAY: RowMaker = {
  ...{ id: 'P4', name: 'one-way', gapMsMax: 2_500 },
  make: (context) => {
    const target = context.random.pick([leader, anyone(context)]);
    const lastsMs = lasting(context, 1_000, 8_000);
    const shape = context.random.pick(['deaf', 'mute', 'flap'] as const);
    if (shape === 'flap') {
      return { kind: 'flap', target, periodMs: 300 + context.random.below(1_200), lastsMs };
    }
    return { kind: 'oneWay', shape, target, lastsMs };
  },
};

const SLOW: RowMaker = {
  ...{ id: 'P5', name: 'slow', gapMsMax: 2_000 },
  make: (context) => ({
    kind: 'slowLinks',
    target: anyone(context),
    ...context.random.pick([
      { lossPercent: 1, bytesPerSecond: 125_000, delayMs: 0 },
      { lossPercent: 10, bytesPerSecond: 0, delayMs: 0 },
      { lossPercent: 0, bytesPerSecond: 125_000, delayMs: 0 },
      { lossPercent: 0, bytesPerSecond: 0, delayMs: 200 },
    ]),
    lastsMs: lasting(context, 2_000, 8_000),
  }),
};

const POWER_ONE: RowMaker = {
  ...{ id: 'P6', name: 'power-one', gapMsMax: 3_000 },
  make: (context) => ({
    kind: 'powerCut',
    target: anyone(context),
    downMs: lasting(context, 300, 3_000),
    staggerMs: 0,
  }),
};

const SYNC_ERROR: RowMaker = {
  ...{ id: 'P7', name: 'sync-error', gapMsMax: 4_000 },
  make: (context) => ({
    kind: 'syncError',
    target: anyone(context),
    nth: 1 + context.random.below(40),
    always: context.random.chance(1, 4),
    ofLog: false,
  }),
};

const STALL: RowMaker = {
  ...{ id: 'P8', name: 'stall', gapMsMax: 3_000 },
  make: (context) => ({
    kind: 'stall',
    target: context.random.pick([leader, anyone(context)]),
    lastsMs: lasting(context, 1_000, 9_000),
  }),
};

const FULL: RowMaker = {
  ...{ id: 'P9', name: 'disk-full', gapMsMax: 3_000 },
  make: (context) => ({
    kind: 'fillDisk',
    target: context.random.pick<Target>([leader, anyone(context), { pick: 'all' }]),
    leaveBytes: context.random.pick([0, MIB, 8 * MIB]),
    lastsMs: lasting(context, 2_000, 8_000),
  }),
};

const POWER_ALL: RowMaker = {
  ...{ id: 'P10', name: 'power-all', gapMsMax: 6_000 },
  make: (context) => ({
    kind: 'powerCut',
    target: { pick: 'all' },
    downMs: lasting(context, 300, 2_000),
    staggerMs: context.random.below(1_500),
  }),
};

const ROT: RowMaker = {
  ...{ id: 'P11', name: 'rot', gapMsMax: 5_000 },
  make: (context) => {
    const isHelix = context.random.chance(1, 4);
    return {
      kind: 'damageLog',
      target: isHelix ? { pick: 'all' } : anyone(context),
      damage: isHelix
        ? 'bitFlip'
        : context.random.pick(['bitFlip', 'bitFlip', 'truncate', 'chunkCopy'] as const),
      isHelix,
      salt: context.random.nextU32(),
      downMs: lasting(context, 200, 2_000),
    };
  },
};

const SIDE_FILES: RowMaker = {
  ...{ id: 'P12', name: 'side-files', gapMsMax: 5_000 },
  make: (context) => {
    const target = anyone(context);
    const downMs = lasting(context, 200, 2_000);
    const what = context.random.below(3);
    if (what === 2) return { kind: 'deleteDerived', target, downMs };
    return { kind: 'damageSuperblock', target, slots: [what === 0 ? 0 : 1], downMs };
  },
};

const LOST_DIRECTORY: RowMaker = {
  ...{ id: 'P13', name: 'lost-directory', gapMsMax: 5_000 },
  make: (context) => {
    const target = anyone(context);
    const lastsMs = lasting(context, 2_000, 6_000);
    switch (context.random.below(4)) {
      case 0:
        return { kind: 'wipe', target, lastsMs };
      case 1:
        return { kind: 'oldCopy', target, ageMs: 500 + context.random.below(3_000), lastsMs };
      case 2: {
        const by = context.random.pick(['wipe', 'oldImage'] as const);
        return { kind: 'forgottenByAll', by, aloneMs: 2_000, lastsMs };
      }
      default:
        // Both slots: the node has forgotten its vote and must not come back by itself.
        return { kind: 'damageSuperblock', target, slots: [0, 1], downMs: lastsMs };
    }
  },
};

const TWINS: RowMaker = {
  ...{ id: 'P14', name: 'twins', gapMsMax: 5_000 },
  make: (context) => {
    const lastsMs = lasting(context, 2_000, 6_000);
    const target = oneNode(context);
    return { kind: context.random.pick(['clone', 'stranger'] as const), target, lastsMs };
  },
};

const MEMBERSHIP: RowMaker = {
  ...{ id: 'P15', name: 'membership', gapMsMax: 3_000 },
  make: ({ random }) => ({
    kind: 'membership',
    learnerMs: random.below(1_500),
    voterMs: random.below(3_000),
    operators: random.chance(1, 3) ? 2 : 1,
  }),
};

const TRANSFERS: RowMaker = {
  ...{ id: 'P17', name: 'transfers', gapMsMax: 2_000 },
  make: (context) => ({ kind: 'transferStorm', lastsMs: lasting(context, 2_000, 8_000) }),
};

const ROLLING: RowMaker = {
  ...{ id: 'P18', name: 'rolling', gapMsMax: 6_000 },
  make: ({ random }) => ({ kind: 'rollingRestart', pauseMs: random.below(1_500) }),
};

const CLOCK: RowMaker = {
  ...{ id: 'P19', name: 'clock', gapMsMax: 2_000 },
  make: (context) => {
    const target = anyone(context);
    const lastsMs = lasting(context, 1_000, 8_000);
    if (context.random.chance(1, 4)) {
      return { kind: 'clockDrift', target, rate: context.random.pick([0.5, 0.9, 1.1, 2]), lastsMs };
    }
    if (context.random.chance(1, 2)) {
      return { kind: 'clockRate', target, rate: context.random.pick([0.1, 0.5, 2, 10]), lastsMs };
    }
    const jumpMs = context.random.pick([-HOUR_MS, HOUR_MS, -1_000, 1_000, 86_400_000]);
    return { kind: 'clockJump', target, jumpMs, lastsMs };
  },
};

/** A member dies for ever, and is replaced: one that has joined for it, or one of the run itself. */
const REPLACE: RowMaker = {
  ...{ id: 'P16', name: 'replace', gapMsMax: 3_000 },
  make: (context) => {
    const operators = context.random.chance(1, 2) ? 2 : 1;
    if (context.random.chance(1, 2)) return { kind: 'replaceDead', operators };
    return { kind: 'replaceMember', target: anyone(context), operators };
  },
};

/** Needs an older build (`--upgrade-from`); no cell of the grid has one. */
const UPGRADE: RowMaker = {
  ...{ id: 'P18u', name: 'upgrade', gapMsMax: 1_000 },
  make: ({ random }) => ({
    kind: 'rollingUpgrade',
    pauseMs: random.below(1_500),
    mixedMs: 2_000 + random.below(4_000),
    goesBack: true,
  }),
};

/** With it the group keeps little of its log: see storage.ts. */
const RETENTION: RowMaker = {
  ...{ id: 'P20', name: 'retention', gapMsMax: 1_000 },
  make: ({ random, nodes }) => {
    const target = { pick: 'follower', nth: random.below(nodes.length - 1) } as const;
    return { kind: 'compactPast', target, lastsMs: AWAY_MS_MAX };
  },
};

/** Clients lose sight of a node that the others see. */
const CLIENT_CUT: RowMaker = {
  ...{ id: 'P3c', name: 'client-cut', gapMsMax: 2_000 },
  make: (context) => ({
    kind: 'clientCut',
    target: anyone(context),
    lastsMs: lasting(context, 1_000, 6_000),
  }),
};

export const ROWS: readonly RowMaker[] = [
  ...[KILL, PAUSE, PARTITION, ONE_WAY, SLOW, POWER_ONE, SYNC_ERROR, STALL, FULL, POWER_ALL],
  ...[ROT, SIDE_FILES, LOST_DIRECTORY, TWINS, MEMBERSHIP, REPLACE, TRANSFERS, ROLLING],
  ...[CLOCK, CLIENT_CUT, RETENTION, UPGRADE],
];
export type FaultRow = string;

export function rowNamed(name: string): RowMaker {
  const found = ROWS.find((row) => row.name === name || row.id === name);
  if (found === undefined) {
    const names = ROWS.map((row) => `${row.name} (${row.id})`).join(', ');
    throw new Error(`No fault row is called ${name}: there are ${names}`);
  }
  return found;
}

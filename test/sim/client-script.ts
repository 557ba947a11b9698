/**
 * What clients and operators ask for, drawn before the run. A value is used once in a run: finding it
 * twice in a committed log is a violation. Whom a command means is a number that is resolved against
 * the membership when the command is given (operator.ts).
 */
import { Prng } from '../../src/base/prng.ts';
import type { OperatorRates, Profile } from './profiles.ts';

export type ClientOp = ProposeOp | ReadOp | TransferOp | ChangeOp;

interface Asked {
  readonly atMs: number;
  /** Chooses among the nodes that believe they lead, deposed ones included. */
  readonly choice: number;
}

export interface ProposeOp extends Asked {
  readonly kind: 'propose';
  /** Travels as `payloadCrc`; unique in the run and never 0. */
  readonly values: readonly number[];
  readonly payloadSizeBytes: number;
}

export interface ReadOp extends Asked {
  readonly kind: 'read';
}

export interface TransferOp extends Asked {
  readonly kind: 'transfer';
  readonly pick: number;
}

export type ChangePlan =
  | 'addLearner'
  | 'promote'
  | 'remove'
  | 'replace'
  | 'describe'
  | 'pin'
  // Wrong ones.
  | 'reAdd'
  | 'promoteStranger'
  | 'removeStranger'
  | 'removeMost'
  | 'promoteAtOnce';

/** What the operator takes for the membership in force. */
export type Belief = 'current' | 'stale' | 'asTheOneBefore';

export interface ChangeOp extends Asked {
  readonly kind: 'change';
  readonly plan: ChangePlan;
  readonly pick: number;
  readonly belief: Belief;
}

const BATCH_COUNT_MAX = 3;
const MINUTE_MS = 60_000;
const WRONG_PLANS = [
  'reAdd',
  'promoteStranger',
  'removeStranger',
  'removeMost',
  'promoteAtOnce',
] as const;
/** The second of two operators is so much later, at most. */
const RIVAL_MS_MAX = 20;

export function clientScriptOf(seed: number, profile: Profile): readonly ClientOp[] {
  const ops: ClientOp[] = [...proposalsOf(seed, profile), ...readsOf(seed, profile)];
  for (const kind of Object.keys(profile.operators) as (keyof OperatorRates)[]) {
    // A stream per kind: a change of one rate leaves the other kinds as they were.
    const random = new Prng(seed, `operators:${kind}`);
    const mean = (profile.operators[kind] * profile.chaosMs) / MINUTE_MS;
    const count = mean === 0 ? 0 : random.below(Math.round(2 * mean) + 1);
    for (let i = 0; i < count; i++) ops.push(...commandsOf(kind, random, profile));
  }
  return ops.sort((a, b) => a.atMs - b.atMs);
}

function proposalsOf(seed: number, profile: Profile): readonly ProposeOp[] {
  const random = new Prng(seed, 'clients');
  let value = 1;
  return timesOf(random, profile, profile.proposalsPerSecond).map((atMs) => {
    const count = 1 + random.below(BATCH_COUNT_MAX);
    const values = Array.from({ length: count }, () => value++);
    const payloadSizeBytes = 1 + random.below(profile.payloadSizeBytesMax);
    return { kind: 'propose', atMs, values, payloadSizeBytes, choice: random.nextU32() };
  });
}

function readsOf(seed: number, profile: Profile): readonly ReadOp[] {
  const random = new Prng(seed, 'readers');
  return timesOf(random, profile, profile.readsPerSecond).map((atMs) => {
    return { kind: 'read', atMs, choice: random.nextU32() };
  });
}

function timesOf(random: Prng, profile: Profile, perSecond: number): readonly number[] {
  const count = Math.round((profile.chaosMs / 1000) * perSecond);
  const times = Array.from({ length: count }, () => random.below(profile.chaosMs));
  return times.sort((a, b) => a - b);
}

function commandsOf(
  kind: keyof OperatorRates,
  random: Prng,
  profile: Profile,
): readonly ClientOp[] {
  const atMs = 1 + random.below(profile.chaosMs - 1);
  const asked = { atMs, choice: random.nextU32(), pick: random.nextU32() };
  if (kind === 'transfer') return [{ kind, ...asked }];
  const plan = kind === 'wrong' ? random.pick(WRONG_PLANS) : kind;
  const isStale = random.chance(1, 12);
  const command: ChangeOp = {
    kind: 'change',
    ...asked,
    plan,
    belief: isStale ? 'stale' : 'current',
  };
  if (!random.chance(1, 8)) return [command];
  // A second operator who looked at the same status.
  const rival: ChangeOp = {
    ...command,
    atMs: atMs + random.below(RIVAL_MS_MAX),
    pick: random.nextU32(),
    plan: random.pick(['promote', 'remove', 'addLearner'] as const),
    belief: 'asTheOneBefore',
  };
  return [command, rival];
}

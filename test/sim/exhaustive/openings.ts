/**
 * Where searches begin. Each opening brings the group into a situation in which Raft is known to be
 * hard, and says what may still happen from there.
 *
 * n1, n2, n3 are places 0, 1, 2. A new group has every node in term 0 with an empty log.
 */
import type { SafetyRules } from '../../../src/raft/rules.ts';
import { groupOf, NODE_IDS, type Place } from './group.ts';
import type { Breach, Operation } from './local-action.ts';
import { Stage } from './stage.ts';
import { type Budget, type State, World } from './world.ts';

export interface Opening {
  readonly name: string;
  readonly about: string;
  readonly voters: readonly Place[];
  readonly learners: readonly Place[];
  readonly asksBeforeCampaign: boolean;
  readonly isOneEntryPerMessage: boolean;
  readonly script: (stage: Stage) => void;
  /** Without the faults, which the search is told. */
  readonly budget: Omit<Budget, 'faults'>;
}

export interface Prepared {
  readonly world: World;
  readonly state: State;
  readonly breach: Breach | null;
  readonly lines: readonly string[];
}

export interface Preparation {
  readonly rules: SafetyRules;
  readonly faults: number;
  readonly merges: boolean;
}

export function prepare(opening: Opening, { rules, faults, merges }: Preparation): Prepared {
  const { voters, learners, asksBeforeCampaign, isOneEntryPerMessage, budget } = opening;
  const founding = groupOf(voters, learners);
  const searched = asksBeforeCampaign ? rules : { ...rules, asksBeforeCampaign: () => false };
  const world = new World({ founding, rules: searched, isOneEntryPerMessage }, merges);
  const stage = new Stage(world);
  opening.script(stage);
  const { state, breach, lines } = stage;
  world.allow(state, { ...budget, faults });
  return { world, state, breach, lines };
}

const PROPOSE: Operation = { kind: 'propose' };
const READ: Operation = { kind: 'read' };
const COMPACT: Operation = { kind: 'compact' };
const EVERYBODY_VOTES = { voters: [0, 1, 2], learners: [] } as const;

/** A move of the whole group: n2 and n3 come, n1 goes. No majority of one is any of the other. */
const REPLACE_N1: Operation = {
  kind: 'change',
  steps: [
    { kind: 'promote', nodeId: NODE_IDS[1] },
    { kind: 'promote', nodeId: NODE_IDS[2] },
    { kind: 'remove', nodeId: NODE_IDS[0] },
  ],
};
const REMOVE_N3: Operation = {
  kind: 'change',
  steps: [{ kind: 'remove', nodeId: NODE_IDS[2] }],
};
const PROMOTE_N3: Operation = {
  kind: 'change',
  steps: [{ kind: 'promote', nodeId: NODE_IDS[2] }],
};
const PREFER_N2: Operation = {
  kind: 'change',
  steps: [
    {
      kind: 'describe',
      member: { nodeId: NODE_IDS[1], storeUuid: null, raftAddress: 'n2:1', priority: 1 },
    },
  ],
};
const TRANSFER_TO_N2: Operation = { kind: 'transfer', to: NODE_IDS[1] };

function opening(
  name: string,
  about: string,
  rest: Partial<Opening> & Pick<Opening, 'script' | 'budget'>,
): Opening {
  const standard = { asksBeforeCampaign: false, isOneEntryPerMessage: false };
  return { name, about, ...EVERYBODY_VOTES, ...standard, ...rest };
}

export const OPENINGS: readonly Opening[] = [
  opening('fresh', 'a new group, nobody has campaigned', {
    script: () => undefined,
    budget: { elections: 2, beats: 0, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('fresh-asking', 'a new group whose nodes ask before they campaign', {
    asksBeforeCampaign: true,
    script: () => undefined,
    budget: { elections: 2, beats: 0, operations: [] },
  }),
  opening('figure-8', 'an entry of term 1 is on two of three nodes, its leader is now of term 3', {
    isOneEntryPerMessage: true,
    script: (stage) => {
      stage.elect(0);
      // (a) n1 leads in term 1; its next entry stays on its own disk.
      stage.isolate(0);
      stage.operate(0, PROPOSE);
      stage.flush(0);
      // (b) n3 leads in term 2, elected by n2; its entry stays on its own disk.
      stage.electOnly(2);
      stage.isolate(0, 2);
      stage.flush(2);
      stage.expire(2);
      stage.expire(0);
      // (c) n1 leads again and brings its old entry to n2.
      stage.isolate(2);
      stage.fire(0);
      stage.settle();
      stage.electOnly(0);
      stage.isolate();
      stage.deliver(0, 1);
      stage.deliver(1, 0);
      stage.deliver(0, 1);
      stage.flush(1);
    },
    budget: { elections: 2, beats: 1, operations: [] },
  }),
  opening(
    'open-tail',
    'a leader was cut off with an entry that nobody acknowledged; n2 leads now',
    {
      script: (stage) => {
        stage.elect(0);
        stage.isolate(0);
        stage.operate(0, PROPOSE);
        stage.electOnly(1);
        stage.isolate();
      },
      budget: { elections: 1, beats: 1, operations: [{ operation: PROPOSE, times: 1 }] },
    },
  ),
  opening('deposed-returns', 'n1 still believes that it leads and goes on proposing', {
    script: (stage) => {
      stage.elect(0);
      stage.isolate(0);
      stage.elect(1);
      stage.isolate();
      stage.operate(1, PROPOSE);
      stage.operate(0, PROPOSE);
    },
    budget: { elections: 1, beats: 1, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('two-candidates', 'n1 and n2 campaign in one term', {
    script: (stage) => {
      stage.elect(2);
      stage.expire(2);
      stage.fire(0);
      stage.fire(1);
    },
    budget: { elections: 1, beats: 0, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('log-repair', 'the tails of n1 and n3 are of several terms; n2 leads now', {
    isOneEntryPerMessage: true,
    script: (stage) => {
      stage.elect(0);
      stage.isolate(0);
      stage.operate(0, PROPOSE);
      stage.operate(0, PROPOSE);
      stage.flush(0);
      stage.electOnly(2);
      stage.isolate(0, 2);
      stage.operate(2, PROPOSE);
      stage.flush(2);
      stage.expire(2);
      stage.isolate(2);
      stage.expire(0);
      stage.fire(1);
      stage.settle();
      stage.electOnly(0);
      stage.isolate();
      stage.flush(0);
    },
    budget: { elections: 1, beats: 2, operations: [] },
  }),
  opening('joint-at-leader', 'n1 alone votes; the change to n2 and n3 is in its log only', {
    voters: [0],
    learners: [1, 2],
    script: (stage) => {
      stage.elect(0);
      stage.beat(0);
      stage.settle();
      stage.operate(0, REPLACE_N1);
    },
    budget: { elections: 1, beats: 0, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('joint-then-crash', 'the removal of n3 is on a minority, and its leader has crashed', {
    script: (stage) => {
      stage.elect(0);
      stage.beat(0);
      stage.settle();
      stage.operate(0, REMOVE_N3);
      stage.flush(0);
      stage.crash(0);
    },
    budget: { elections: 2, beats: 0, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('promotion', 'n3 is being promoted from learner to voter', {
    voters: [0, 1],
    learners: [2],
    script: (stage) => {
      stage.elect(0);
      stage.beat(0);
      stage.settle();
      stage.operate(0, PROMOTE_N3);
    },
    budget: { elections: 1, beats: 0, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('changes', 'n1 has just been elected; changes of membership are asked for', {
    script: (stage) => {
      stage.elect(1);
      stage.electOnly(0);
    },
    budget: {
      elections: 1,
      beats: 0,
      operations: [
        { operation: REMOVE_N3, times: 1 },
        { operation: PREFER_N2, times: 1 },
      ],
    },
  }),
  opening('read', 'n3 was elected; n1 still believes that it leads and waits for an answer of n2', {
    script: (stage) => {
      stage.elect(0);
      stage.operate(0, PROPOSE);
      stage.settle();
      stage.beat(0);
      stage.deliver(0, 1);
      stage.fire(2);
      stage.flush(2);
      stage.deliver(2, 1);
      stage.flush(1);
      stage.deliver(1, 2);
    },
    budget: {
      elections: 0,
      beats: 1,
      operations: [
        { operation: READ, times: 1 },
        { operation: PROPOSE, times: 1 },
      ],
    },
  }),
  opening('transfer', 'n1 hands over to n2 with a proposal on its way', {
    script: (stage) => {
      stage.elect(0);
      stage.beat(0);
      stage.settle();
      stage.operate(0, PROPOSE);
      stage.operate(0, TRANSFER_TO_N2);
    },
    budget: { elections: 1, beats: 0, operations: [{ operation: PROPOSE, times: 1 }] },
  }),
  opening('snapshot', 'n3 needs entries that n1 has only in a snapshot, which is on its way', {
    script: (stage) => {
      stage.elect(0);
      stage.isolate(2);
      stage.operate(0, PROPOSE);
      stage.operate(0, PROPOSE);
      stage.settle();
      stage.operate(0, COMPACT);
      stage.isolate();
      stage.beat(0);
      stage.lose(0, 1);
      stage.deliver(0, 2);
      stage.deliver(2, 0);
    },
    budget: {
      elections: 1,
      beats: 1,
      operations: [
        { operation: PROPOSE, times: 1 },
        { operation: COMPACT, times: 1 },
      ],
    },
  }),
];

export function openingNamed(name: string): Opening {
  const found = OPENINGS.find((one) => one.name === name);
  if (found === undefined) {
    throw new RangeError(`no opening ${name}; there are ${OPENINGS.map((o) => o.name).join(' ')}`);
  }
  return found;
}

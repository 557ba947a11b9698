/** Plans and checks against quorums counted by hand: every subset of failures is tried. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import { type AdminChange, NO_OPTIONS } from '../../protocol/admin.ts';
import { ALLOWANCES, type Allowance, type Check, type Plan } from '../../protocol/admin-plan.ts';
import type { NodeHealth } from '../../protocol/admin-report.ts';
import { HANDOVER_LAG_BYTES_MAX } from '../../raft/limits.ts';
import type { Membership } from '../../raft/membership.ts';
import { applySteps, leaveJoint } from '../../raft/membership-change.ts';
import { checksOf, hasFailed } from './checks.ts';
import type { GroupView, MemberView } from './group-view.ts';
import { WELL_LAG_SIZE_BYTES_MAX } from './limits.ts';
import { nextStepOf, planOf } from './plan.ts';
import { arithmeticOf } from './quorum-arithmetic.ts';
import { actionOf, coreSteps, courseOf, type MembershipWish, wishOfAction } from './wish.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'].map(NodeId);
const COMMITTED = LogIndex(9);
const ACTOR = { ...NO_OPTIONS, actor: 'alice' };

/** The dumbest way to say it: more than half of the voters answer. */
function decides(voters: readonly string[], up: ReadonlySet<string>): boolean {
  let yes = 0;
  for (const voter of voters) if (up.has(voter)) yes += 1;
  return yes > voters.length - yes;
}

function* subsets<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let bits = 0; bits < 2 ** items.length; bits++) {
    yield items.filter((_, i) => (bits >> i) % 2 === 1);
  }
}

/** How many of those that are up may fail, whichever they are. Below 0: it cannot decide at all. */
function toleranceByTrying(voters: readonly string[], up: ReadonlySet<string>): number {
  if (!decides(voters, up)) return -1;
  const live = voters.filter((voter) => up.has(voter));
  let worst = live.length;
  for (const failing of subsets(live)) {
    const rest = new Set(live.filter((one) => !failing.includes(one)));
    if (!decides(voters, rest)) worst = Math.min(worst, failing.length - 1);
  }
  return worst;
}

test('the arithmetic says how many failures are survived, whichever they are', () => {
  for (let size = 1; size <= 5; size++) {
    const voters = NODES.slice(0, size);
    for (const live of subsets(voters)) {
      const up = new Set<string>(live);
      const { tolerates, needed } = arithmeticOf(voters, (id) => up.has(id));
      equal(needed, Math.floor(size / 2) + 1);
      if (tolerates < 0) ok(!decides(voters, up));
      else equal(tolerates, toleranceByTrying(voters, up));
    }
  }
});

interface Scene {
  readonly voterCount: number;
  readonly learnerCount: number;
  readonly down: readonly boolean[];
  readonly lagging: readonly boolean[];
  readonly leader: number;
}

const scene: fc.Arbitrary<Scene> = fc.record({
  voterCount: fc.integer({ min: 1, max: 5 }),
  learnerCount: fc.integer({ min: 0, max: 2 }),
  down: fc.array(fc.constantFrom(false, false, true), { minLength: 7, maxLength: 7 }),
  lagging: fc.array(fc.constantFrom(false, false, false, true), { minLength: 7, maxLength: 7 }),
  leader: fc.nat(4),
});

function viewOf({ voterCount, learnerCount, down, lagging, leader }: Scene): GroupView {
  const voters = NODES.slice(0, voterCount);
  const learners = NODES.slice(voterCount, voterCount + learnerCount);
  const self = voters[leader % voterCount]!; // at least one
  const members = [...voters, ...learners].map((nodeId, i): MemberView => {
    const isSelf = nodeId === self;
    return {
      ...{ nodeId, isSelf, storeUuid: `s-${nodeId}`, raftAddress: `${nodeId}:1`, isMet: true },
      isActive: isSelf || !down[i],
      lagBytes: !isSelf && lagging[i] ? WELL_LAG_SIZE_BYTES_MAX + 1 : 0,
      ...{ durableIndex: COMMITTED, isDiskStalled: false, health: null, silence: '', zone: '' },
    };
  });
  const described = members.map(({ nodeId, storeUuid, raftAddress }) => ({
    ...{ nodeId, storeUuid, raftAddress, priority: 0 },
  }));
  const membership: Membership = {
    members: described,
    voters,
    learners,
    outgoing: [],
    removed: [],
  };
  return {
    ...{ self, membership, members, term: Term(3), configIndex: COMMITTED, isCommitted: true },
    commitIndex: COMMITTED,
    ...{ isOwnTermCommitted: true, transferTo: null, lock: null, drained: [], retired: [] },
    ...{ featureLevel: 0, logSizeBytes: 1_000 },
  };
}

const node = fc.constantFrom(...NODES);
const someNodes = fc.array(node, { minLength: 1, maxLength: 3 });
const wish: fc.Arbitrary<MembershipWish> = fc.oneof(
  fc.record({ kind: fc.constant('promote' as const), nodeIds: someNodes }),
  fc.record({ kind: fc.constant('remove' as const), nodeIds: someNodes }),
  fc.record({ kind: fc.constant('add' as const), nodeId: node, raftAddress: fc.constant('x:1') }),
  fc.record({
    kind: fc.constant('replace' as const),
    ...{ oldNodeId: node, newNodeId: node, raftAddress: fc.constant('x:1') },
  }),
);

function judge(
  change: AdminChange,
  view: GroupView,
  allow: readonly Allowance[] = ALLOWANCES,
): readonly Check[] {
  return checksOf(change, view, { ...ACTOR, allow }, planOf(change, view), 'op');
}

const upIn = (view: GroupView) =>
  new Set<string>(
    view.members
      .filter((one) => one.isActive && one.lagBytes <= WELL_LAG_SIZE_BYTES_MAX)
      .map(({ nodeId }) => nodeId),
  );

test('a change that passes leaves a group that can decide before, during and after, new node or not', () => {
  let passed = 0;
  let refused = 0;
  fc.assert(
    fc.property(scene, wish, (where, change) => {
      const view = viewOf(where);
      const course = courseOf(change, view);
      if (course.isReached || hasFailed(judge(change, view))) {
        refused += 1;
        return;
      }
      passed += 1;
      const up = upIn(view);
      ok(decides(view.membership.voters, up));
      const steps = coreSteps(course, view);
      if (steps.length === 0 || change.kind === 'add') return;
      if (change.kind === 'replace' && !view.membership.learners.includes(change.newNodeId)) return;
      // The core takes it, and what it makes of it is what the plan says.
      const outcome = applySteps(view.membership, steps);
      ok(outcome.kind === 'ok', JSON.stringify(outcome));
      const { membership } = outcome;
      const after = membership.outgoing.length > 0 ? leaveJoint(membership) : membership;
      if (membership.outgoing.length === 0) return;
      deepEqual(after.voters, course.votersAfter);
      const withoutNew = new Set(
        [...up].filter((id) => !course.newcomers.some((one) => one === id)),
      );
      const isFirstGrowth = view.membership.voters.length === 1 && course.leavers.length === 0;
      const counted = isFirstGrowth ? up : withoutNew;
      ok(decides(membership.outgoing, up));
      ok(decides(after.voters, counted), `${after.voters} with ${[...counted]}`);
    }),
    { numRuns: 3_000 },
  );
  ok(passed > 100 && refused > 100, `${passed} passed, ${refused} refused`);
});

test('without an allowance no change survives fewer failures, or leaves an even number or a pair', () => {
  fc.assert(
    fc.property(scene, wish, (where, change) => {
      const view = viewOf(where);
      const course = courseOf(change, view);
      const isOfVoters = course.votersAfter.join() !== course.votersNow.join();
      if (!isOfVoters || course.isReached || hasFailed(judge(change, view, []))) return;
      const up = upIn(view);
      if (change.kind === 'replace') {
        ok(!up.has(change.oldNodeId), 'a node that works is kept');
        up.add(change.newNodeId);
      }
      const before = toleranceByTrying(course.votersNow, upIn(view));
      const after = toleranceByTrying(course.votersAfter, up);
      ok(after >= before, `${before} before, ${after} after`);
      if (course.votersAfter.length === course.votersNow.length) return;
      equal(course.votersAfter.length % 2, 1);
      ok(course.votersAfter.length >= Math.min(3, course.votersNow.length));
    }),
    { numRuns: 3_000 },
  );
});

test('the plan ends exactly where the wish is reached, and its hash does not depend on who is live', () => {
  fc.assert(
    fc.property(scene, scene, wish, (where, elsewhere, change) => {
      const view = viewOf(where);
      const plan = planOf(change, view);
      equal(nextStepOf(plan) === null, courseOf(change, view).isReached);
      const statuses = plan.steps.map(({ status }) => status).join(' ');
      ok(/^(done ?)*(now ?(later ?)*)?$/.test(statuses), statuses);
      const { down, lagging } = elsewhere;
      const seenLater = viewOf({ ...where, down });
      const others = { ...seenLater, self: view.self };
      const arrivalOf = ({ steps }: Plan) =>
        steps.flatMap(({ kind, status }) => (kind === 'catchUp' ? [status] : [])).join();
      if (arrivalOf(planOf(change, others)) === arrivalOf(plan))
        equal(planOf(change, others).hash, plan.hash);
      ok(lagging.length > 0);
    }),
    { numRuns: 1_000 },
  );
});

const ofSeveral = fc.record({
  kind: fc.constantFrom('promote' as const, 'remove' as const),
  nodeIds: someNodes,
});

test('several in one command are one wish, however they are typed', () => {
  fc.assert(
    fc.property(scene, ofSeveral, fc.gen(), (where, change, draw) => {
      const view = viewOf(where);
      const nodeIds = draw(() =>
        fc.shuffledSubarray([...change.nodeIds, ...change.nodeIds], {
          minLength: 2 * change.nodeIds.length,
        }),
      );
      const typedElse = { ...change, nodeIds };
      deepEqual(planOf(typedElse, view), planOf(change, view));
      deepEqual(judge(typedElse, view), judge(change, view));
      deepEqual(wishOfAction(actionOf(typedElse)), wishOfAction(actionOf(change)));
    }),
    { numRuns: 500 },
  );
});

test('of what is half done the rest is left, and it leads to the same voters', () => {
  fc.assert(
    fc.property(scene, ofSeveral, fc.nat(), (where, change, pick) => {
      const view = viewOf(where);
      const one = { ...change, nodeIds: [change.nodeIds[pick % change.nodeIds.length]!] }; // at least one
      const outcome = applySteps(view.membership, coreSteps(courseOf(one, view), view));
      if (outcome.kind !== 'ok') return;
      const isJointNow = outcome.membership.outgoing.length > 0;
      const membership = isJointNow ? leaveJoint(outcome.membership) : outcome.membership;
      const members = view.members.filter(({ nodeId }) =>
        membership.members.some((member) => member.nodeId === nodeId),
      );
      const [all, rest] = [
        courseOf(change, view),
        courseOf(change, { ...view, membership, members }),
      ];
      deepEqual(rest.votersAfter, all.votersAfter);
      const left = coreSteps(rest, { ...view, membership, members });
      ok(left.length < coreSteps(all, view).length);
      if (rest.isReached) deepEqual(left, []);
    }),
    { numRuns: 500 },
  );
});

test('three become five although the new ones count as down, and not while an old one is', () => {
  const promote = { kind: 'promote', nodeIds: NODES.slice(3, 5) } as const;
  const failedWith = (downCount: number) => {
    const down = NODES.map((_, i) => i > 0 && i <= downCount);
    return failedIn(judge(promote, viewOf({ ...WELL, learnerCount: 2, down }), []));
  };
  deepEqual(failedWith(0), []);
  deepEqual(failedWith(1), ['quorumDuring', 'quorumAfter']);
});

test('a check that fails says what was seen, what it must be, and the way out; no two say the same', () => {
  fc.assert(
    fc.property(scene, wish, (where, change) => {
      const checks = judge(change, viewOf(where), []);
      for (const { verdict, observed, limit, remedy } of checks) {
        ok(observed.length > 0 && limit.length > 0);
        equal(remedy.length > 0, verdict !== 'ok');
      }
      const names = checks.map(({ id, subject }) => `${id} ${subject ?? ''}`);
      equal(new Set(names).size, names.length, names.join());
    }),
    { numRuns: 1_000 },
  );
});

const WELL: Scene = {
  ...{ voterCount: 3, learnerCount: 1, leader: 0 },
  ...{ down: NODES.map(() => false), lagging: NODES.map(() => false) },
};
const [, , N3, N4] = NODES as [NodeId, NodeId, NodeId, NodeId];
const REPLACE = { kind: 'replace', oldNodeId: N3, newNodeId: N4, raftAddress: '' } as const;

function changedMember(view: GroupView, nodeId: NodeId, changes: Partial<MemberView>): GroupView {
  const members = view.members.map((one) => (one.nodeId === nodeId ? { ...one, ...changes } : one));
  return { ...view, members };
}

function failedIn(checks: readonly Check[]): readonly string[] {
  return checks.flatMap(({ id, verdict }) => (verdict === 'failed' ? [id] : []));
}

test('a replacement goes on to the exchange only when the core would take the new node', () => {
  for (const [lagBytes, next] of [
    [HANDOVER_LAG_BYTES_MAX, 'joint'],
    [HANDOVER_LAG_BYTES_MAX + 1, 'catchUp'],
    [WELL_LAG_SIZE_BYTES_MAX, 'catchUp'],
  ] as const) {
    const view = changedMember(viewOf(WELL), N4, { lagBytes });
    equal(nextStepOf(planOf(REPLACE, view))?.kind, next, `${lagBytes}`);
  }
});

const HEALTH: NodeHealth = {
  ...{
    nodeId: N4,
    storeUuid: 's-n4',
    version: '1',
    zone: '',
    featureLevelMax: 1,
    state: 'following',
  },
  ...{ uptimeMs: 1, wallMs: 1, term: Term(3), lastIndex: LogIndex(9), durableIndex: LogIndex(9) },
  ...{ commitIndex: LogIndex(9), appliedIndex: LogIndex(9), logSizeBytes: 1_000 },
  ...{ diskFreeBytes: 1e9, diskTotalBytes: 2e9, syncMsP50: 1, syncMsP99: 1, isDiskStalled: false },
  ...{ loopDelayMsP99: 1, swapUsedBytes: 0, repair: '', scrubFinishedAtMs: null, refused: '' },
  ...{ bootCount: 1, departure: null },
};

test('a slow disk is refused unless it is allowed, a sick one always', () => {
  const disk = (syncMsP99: number, isDiskStalled: boolean) => {
    return changedMember(viewOf(WELL), N4, { isDiskStalled, health: { ...HEALTH, syncMsP99 } });
  };
  const risks = ALLOWANCES.filter((one) => one !== 'slowDisk');
  const failed = (view: GroupView, allow: readonly Allowance[]) =>
    failedIn(judge({ kind: 'promote', nodeIds: [N4] }, view, allow)).includes('targetDiskSpeed');
  equal(failed(disk(1, false), []), false);
  equal(failed(disk(80, false), risks), true);
  equal(failed(disk(80, false), ['slowDisk']), false);
  equal(failed(disk(80, true), ALLOWANCES), true);
});

test('of a replacement the disk counts when it has copied the log: copying makes every disk slow', () => {
  const slow = { ...HEALTH, syncMsP99: 80 };
  const failed = (changes: Partial<MemberView>) =>
    failedIn(
      judge(REPLACE, changedMember(viewOf(WELL), N4, { health: slow, ...changes }), []),
    ).includes('targetDiskSpeed');
  equal(failed({ lagBytes: HANDOVER_LAG_BYTES_MAX + 1 }), false);
  equal(failed({ lagBytes: 0 }), true);
  equal(failed({ lagBytes: HANDOVER_LAG_BYTES_MAX + 1, isDiskStalled: true }), true);
});

test('a rolling restart passes exactly when each voter may be down in its turn', () => {
  for (let voterCount = 1; voterCount <= 5; voterCount++) {
    const voters = NODES.slice(0, voterCount);
    for (const down of subsets(voters.slice(1))) {
      const isDown = NODES.map((id) => down.includes(id));
      const view = viewOf({ ...WELL, voterCount, learnerCount: 0, down: isDown });
      const change = { kind: 'rollingRestart' } as const;
      const checks = checksOf(change, view, ACTOR, planOf(change, view), 'op');
      const up = voters.filter((id) => !down.includes(id));
      const everyTurn = voters.every((id) =>
        decides(voters, new Set(up.filter((one) => one !== id))),
      );
      equal(!hasFailed(checks), everyTurn, `${up} of ${voters}: ${failedIn(checks)}`);
      const isShown = planOf(change, view).steps.some(({ kind, quorums }) =>
        kind === 'restart' ? quorums.some(({ tolerates }) => tolerates < 0) : false,
      );
      equal(failedIn(checks).includes('quorumDuring'), isShown);
    }
  }
});

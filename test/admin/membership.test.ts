/** Changing a group by its administration: what works, what is refused, and what is left behind. */
import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex } from '../../src/base/units.ts';
import { TOKEN_LIFETIME_MS } from '../../src/broker/admin/limits.ts';
import { AdminGroup, addressOf, n } from './admin-group.ts';

const add = (number: number) =>
  ({ kind: 'add', nodeId: n(number), raftAddress: addressOf(n(number)) }) as const;
const promote = (...numbers: readonly number[]) =>
  ({ kind: 'promote', nodeIds: numbers.map(n) }) as const;
const remove = (...numbers: readonly number[]) =>
  ({ kind: 'remove', nodeIds: numbers.map(n) }) as const;
const replace = (old: number, fresh: number) =>
  ({
    kind: 'replace',
    oldNodeId: n(old),
    newNodeId: n(fresh),
    raftAddress: addressOf(n(fresh)),
  }) as const;

const membersOf = async (admins: AdminGroup) => {
  const response = await admins.ask({ kind: 'members' });
  ok(response.kind === 'members');
  return response.report;
};

const addAndJoin = async (admins: AdminGroup, number: number) => {
  const { ticket } = await admins.change(add(number));
  ok(ticket);
  await admins.join(ticket);
  await admins.caughtUp(n(number));
};

test('a node is added, joins with its token, and is promoted; asking again is already so', async () => {
  const admins = await AdminGroup.started();
  const added = await admins.change(add(4));
  equal(added.state, 'done');
  ok(added.ticket);
  deepEqual(
    added.ticket.joinAddresses.toSorted(),
    [1, 2, 3].map((i) => addressOf(n(i))),
  );
  deepEqual(
    (await membersOf(admins)).members.map(({ role }) => role),
    [...['voter', 'voter', 'voter', 'learner']],
  );
  ok((await membersOf(admins)).members[3]?.isJoining);
  deepEqual(await admins.refused(promote(4)), [
    ...['oddVoters', 'targetCaughtUp', 'targetJoined', 'targetLive'],
  ]);

  await admins.join(added.ticket);
  await admins.caughtUp(n(4));
  equal((await admins.change(add(4))).state, 'alreadySo');
  deepEqual(await admins.refused(promote(4)), ['oddVoters']);
  equal((await admins.change(promote(4), { allow: ['evenVoters'] })).state, 'done');
  equal((await admins.change(promote(4))).state, 'alreadySo');
  const report = await membersOf(admins);
  deepEqual(report.voters, [n(1), n(2), n(3), n(4)]);
  equal(report.members[3]?.storeUuid, 'store-n4');
  equal(report.lock, null);
  await admins.stopAll();
});

test('every failed check is in the refusal, and a dry run shows the same and changes nothing', async () => {
  const admins = await AdminGroup.started();
  const before = await membersOf(admins);
  const wrong = { kind: 'add', nodeId: n(2), raftAddress: addressOf(n(3)) } as const;
  const options = { ifConfig: LogIndex(before.configIndex + 7) };
  deepEqual(await admins.refused(wrong, options), [
    ...['addressUnused', 'configUnmoved', 'nodeIdUnused'],
  ]);
  const planned = await admins.ask(remove(3), { dryRun: true });
  ok(planned.kind === 'planned');
  const failed = planned.checks.filter(({ verdict }) => verdict === 'failed');
  deepEqual(failed.map(({ id }) => id).sort(), ['faultTolerance', 'oddVoters', 'threeVoters']);
  const after = await membersOf(admins);
  equal(after.configIndex, before.configIndex);
  equal(after.lock, null);
  await admins.stopAll();
});

test('a dead member is replaced: one joint change, resumable, with the arithmetic in the plan', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const dead = admins.group.nodeIds.find((id) => id !== leader)!; // two of three
  await admins.stop(dead);
  await admins.group.pass(2_000);
  const wish = { ...replace(1, 4), oldNodeId: dead };

  const planned = await admins.ask(wish, { dryRun: true });
  ok(planned.kind === 'planned');
  deepEqual(
    planned.plan.steps.map(({ kind }) => kind),
    ['addLearner', 'join', 'catchUp', 'joint', 'leaveJoint', 'tombstone'],
  );
  const joint = planned.plan.steps[3]!;
  deepEqual(
    joint.quorums.map(({ needed, tolerates }) => [needed, tolerates]),
    [
      [2, 0],
      [2, 0],
    ],
  );
  deepEqual(
    planned.checks.filter(({ verdict }) => verdict === 'failed'),
    [],
  );

  const begun = await admins.change(wish, { ifPlan: planned.plan.hash });
  equal(begun.state, 'pending');
  equal(begun.phase, 'join');
  equal((await membersOf(admins)).lock?.owner, 'alice');
  // The ticket was lost: its owner gets another one, nobody else does.
  const fresh = { kind: 'add', nodeId: n(4), raftAddress: '' } as const;
  deepEqual(await admins.refused(fresh, { actor: 'bob' }), ['operatorLock']);
  const { ticket } = await admins.change(fresh);
  ok(ticket);
  // Another operator cannot do anything meanwhile, not even the same.
  deepEqual(await admins.refused(wish, { actor: 'bob' }), ['operatorLock']);
  await admins.join(ticket);
  const ended = await admins.wait(wish, { ifPlan: planned.plan.hash });
  equal(ended.state, 'done');
  const report = await membersOf(admins);
  ok(report.voters.includes(n(4)) && !report.voters.includes(dead));
  deepEqual(report.removed, [dead]);
  equal(report.lock, null);
  equal((await admins.change(wish)).state, 'alreadySo');
  await admins.stopAll();
});

test('a member that works is replaced only when that is planned', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const old = admins.group.nodeIds.find((id) => id !== leader)!; // two of three
  const wish = { ...replace(1, 4), oldNodeId: old };
  deepEqual(await admins.refused(wish), ['oldNodeDown']);
  const begun = await admins.change(wish, { allow: ['planned'] });
  ok(begun.ticket);
  await admins.join(begun.ticket);
  equal((await admins.wait(wish, { allow: ['planned'] })).state, 'done');
  await admins.stopAll();
});

test('a leader that is replaced hands over first, and the next one goes on', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const wish = { ...replace(1, 4), oldNodeId: leader };
  const begun = await admins.change(wish, { allow: ['planned'] });
  ok(begun.ticket);
  await admins.join(begun.ticket);
  const at = admins.group.nodeIds.find((id) => id !== leader)!; // not the one that goes
  equal((await admins.wait(wish, { allow: ['planned'] }, { at })).state, 'done');
  const report = await membersOf(admins);
  notEqual(report.leader, leader);
  deepEqual(report.removed, [leader]);
  const response = await admins.ask(
    { kind: 'events', afterSequence: 0, countMax: 100 },
    {},
    { at },
  );
  ok(response.kind === 'events');
  const phases = response.report.events.map(({ phase }) => phase);
  deepEqual(phases, ['begun', 'token issued', 'token used', 'leaves', 'done']);
  await admins.stopAll();
});

test('during an outage the healthy one is not removed, and the dead one is', async () => {
  const admins = await AdminGroup.started({ size: 5 });
  const leader = (await admins.group.leader()).nodeId;
  const [a, b, c] = admins.group.nodeIds.filter((id) => id !== leader);
  await admins.stop(a!);
  await admins.stop(b!);
  await admins.group.pass(2_000);
  const allow = ['evenVoters', 'belowThree', 'lessTolerance', 'planned'] as const;
  const healthy = { kind: 'remove', nodeIds: [c!] } as const;
  deepEqual(await admins.refused(healthy, { allow }), ['quorumAfter', 'quorumDuring']);
  const dead = { kind: 'remove', nodeIds: [a!] } as const;
  equal((await admins.change(dead, { allow })).state, 'done');
  await admins.stopAll();
});

const votersOf = async (admins: AdminGroup) => (await membersOf(admins)).voters;

test('three become five in one joint change, and five become three in one', async () => {
  const admins = await AdminGroup.started();
  await addAndJoin(admins, 4);
  const half = await admins.refused(promote(4, 5));
  deepEqual(half, ['nodeKnown', 'targetCaughtUp', 'targetJoined', 'targetLive']);
  await addAndJoin(admins, 5);
  const planned = await admins.ask(promote(5, 4), { dryRun: true });
  ok(planned.kind === 'planned');
  const joint = planned.plan.steps.find(({ kind }) => kind === 'joint');
  deepEqual(
    joint?.quorums.map(({ voters, needed, tolerates }) => [voters.length, needed, tolerates]),
    [
      [3, 2, 1],
      [5, 3, 2],
    ],
  );
  const { hash } = planned.plan;
  equal(
    (await admins.change(promote(4, 5), { ifPlan: hash })).sentence,
    'n4, n5 are voters, asked by alice',
  );
  equal((await admins.change(promote(5, 4))).state, 'alreadySo');
  deepEqual(await votersOf(admins), [1, 2, 3, 4, 5].map(n));

  deepEqual(await admins.refused(remove(4, 5)), ['faultTolerance']);
  const allow = ['lessTolerance'] as const;
  equal((await admins.change(remove(4, 5), { allow })).state, 'done');
  equal((await admins.change(remove(5, 4))).state, 'alreadySo');
  const { voters, removed, lock } = await membersOf(admins);
  deepEqual(voters, [1, 2, 3].map(n));
  deepEqual([...removed].sort(), [n(4), n(5)]);
  equal(lock, null);
  const response = await admins.ask({ kind: 'events', afterSequence: 0, countMax: 100 });
  ok(response.kind === 'events');
  const told = response.report.events.map(({ action, phase }) => `${action} ${phase}`);
  deepEqual(told.slice(-6), [
    ...['promote n4 n5 begun', 'promote n4 n5 done', 'remove n4 n5 begun'],
    ...['remove n4 n5 leaves', 'remove n4 n5 leaves', 'remove n4 n5 done'],
  ]);
  await admins.stopAll();
});

test('of several who leave the leader hands over to one who stays', async () => {
  const admins = await AdminGroup.started({ size: 5 });
  const leader = (await admins.group.leader()).nodeId;
  const [beside, ...staying] = admins.group.nodeIds.filter((id) => id !== leader);
  const at = staying[0]!; // three of them
  const nodeIds = [leader, beside!];
  const allow = ['lessTolerance'] as const;
  const ended = await admins.wait({ kind: 'remove', nodeIds }, { allow }, { at });
  equal(ended.state, 'done');
  const report = await admins.ask({ kind: 'members' }, {}, { at });
  ok(report.kind === 'members');
  deepEqual(report.report.voters, staying);
  ok(staying.some((id) => id === report.report.leader));
  await admins.stopAll();
});

test('of several one may be done already; nobody and everybody are no wish', async () => {
  const admins = await AdminGroup.started();
  await addAndJoin(admins, 4);
  await addAndJoin(admins, 5);
  equal((await admins.change(promote(4), { allow: ['evenVoters'] })).state, 'done');
  equal((await admins.change(promote(4, 5))).state, 'done');
  deepEqual(await votersOf(admins), [1, 2, 3, 4, 5].map(n));
  const allow = ['lessTolerance', 'evenVoters'] as const;
  equal((await admins.change(remove(4), { allow })).state, 'done');
  equal((await admins.change(remove(4, 5), { allow })).state, 'done');
  const none = await admins.call(remove());
  ok(none.kind === 'failure' && none.code === 'badRequest');
  match(none.message, /names 0 nodes/);
  const everybody = await admins.refused(remove(1, 2, 3), { allow: [...allow, 'belowThree'] });
  ok(everybody.includes('quorumAfter') && everybody.includes('eligibleLeader'));
  await admins.stopAll();
});

test('a removed id is refused for ever, also with a new directory', async () => {
  const admins = await AdminGroup.started({ size: 3 });
  await addAndJoin(admins, 4);
  equal((await admins.change(remove(4))).state, 'done');
  equal((await admins.change(remove(4))).state, 'alreadySo');
  deepEqual(await admins.refused(add(4)), ['nodeIdUnused']);
  const join = { kind: 'join', nodeId: n(4), token: 'x', storeUuid: 'y' } as const;
  const reply = await admins.call({
    ...{ ...join, raftAddress: addressOf(n(4)), clusterId: '', groupId: '', diskFreeBytes: null },
  });
  ok(reply.kind === 'failure' && reply.code === 'joinRefused');
  match(reply.message, /was removed from this group/);
  await admins.stopAll();
});

test('a token works once, for one directory, for a day', async () => {
  const admins = await AdminGroup.started();
  const { ticket } = await admins.change(add(4));
  ok(ticket);
  const joinAs = (storeUuid: string, token: string, more: object = {}) =>
    admins.call({
      ...{ kind: 'join', token, nodeId: n(4), storeUuid, raftAddress: addressOf(n(4)) },
      ...{ clusterId: '', groupId: '', diskFreeBytes: 2 ** 40 },
      ...more,
    });
  const sentenceOf = async (...args: Parameters<typeof joinAs>) => {
    const reply = await joinAs(...args);
    return reply.kind === 'failure' ? reply.message : reply.kind;
  };
  match(await sentenceOf('s', 'wrong'), /not that of n4/);
  match(await sentenceOf('s', ticket.token, { clusterId: 'other' }), /of cluster c, not of other/);
  match(await sentenceOf('s', ticket.token, { diskFreeBytes: 10 }), /10 bytes free, but needs/);
  match(await sentenceOf('s', ticket.token, { raftAddress: 'n4:1' }), /added at n4:10912/);

  const again = await admins.change(add(4));
  ok(again.ticket);
  match(await sentenceOf('s', ticket.token), /a newer one has taken its place/);
  equal(await sentenceOf('s', again.ticket.token), 'answer');
  equal(await sentenceOf('s', again.ticket.token), 'answer', 'the answer may have been lost');
  match(await sentenceOf('t', again.ticket.token), /has joined with store s/);

  await admins.change(add(5));
  const late = await admins.change(add(5));
  ok(late.ticket);
  // A day in one move: nothing ticks in between, the leader has to find its followers again afterwards.
  admins.group.clock.jump(TOKEN_LIFETIME_MS);
  await admins.group.pass(3_000);
  const five = { nodeId: n(5), raftAddress: addressOf(n(5)) };
  match(await sentenceOf('u', late.ticket.token, five), /has expired/);
  await admins.stopAll();
});

test('one operator at a time: the other takes over only by stealing, and the trail says so', async () => {
  const admins = await AdminGroup.started();
  const wish = replace(2, 4);
  const allow = ['planned'] as const;
  equal((await admins.change(wish, { allow })).state, 'pending');
  deepEqual(await admins.refused(add(5), { actor: 'bob' }), ['operatorLock']);
  deepEqual(await admins.refused({ kind: 'unlock' }, { actor: 'bob' }), ['operatorLock']);
  equal((await admins.change(add(5), { actor: 'bob', steal: true })).state, 'done');
  const response = await admins.ask({ kind: 'events', afterSequence: 0, countMax: 100 });
  ok(response.kind === 'events');
  const stolen = response.report.events.find(({ phase }) => phase === 'stolen');
  match(stolen?.details ?? '', /taken from alice/);
  equal((await membersOf(admins)).lock, null);
  // What was begun is resumed, or given up by its owner.
  equal((await admins.change(wish, { allow })).state, 'pending');
  equal((await admins.change({ kind: 'unlock' })).state, 'done');
  equal((await admins.change({ kind: 'unlock' })).state, 'alreadySo');
  await admins.stopAll();
});

test('a drained node hands over, is not chosen, and may lead when it is undrained', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const drained = await admins.change({ kind: 'drain', nodeId: leader });
  equal(drained.state, 'done');
  await admins.group.until('another one leads', () => {
    const serving = admins.group.serving?.nodeId;
    return serving !== undefined && serving !== leader;
  });
  deepEqual(await admins.refused({ kind: 'transfer', to: leader }), ['transferTarget']);
  const others = admins.group.nodeIds.filter((id) => id !== leader);
  equal((await admins.change({ kind: 'drain', nodeId: others[0]! })).state, 'done');
  deepEqual(await admins.refused({ kind: 'drain', nodeId: others[1]! }), ['eligibleLeader']);
  equal((await admins.change({ kind: 'undrain', nodeId: leader })).state, 'done');
  equal((await admins.change({ kind: 'undrain', nodeId: leader })).state, 'alreadySo');
  equal((await admins.change({ kind: 'transfer', to: leader })).state, 'done');
  await admins.group.until('it leads', () => admins.group.serving?.nodeId === leader);
  equal((await admins.change({ kind: 'transfer', to: leader })).state, 'alreadySo');
  await admins.stopAll();
});

test('a drain is under way until the clients of the node are elsewhere, and is recorded once', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const [a, b] = admins.group.nodeIds.filter((id) => id !== leader);
  const drain = { kind: 'drain', nodeId: a! } as const;
  admins.facts.set(a!, { departure: { state: 'leaving', userCount: 2 } });
  const isUnderWay = async (): Promise<void> => {
    const { state, phase, sentence } = await admins.change(drain);
    deepEqual([state, phase], ['pending', 'leave']);
    match(sentence, /2 clients still use it/);
  };
  await isUnderWay();
  await admins.stop(b!);
  await admins.group.pass(5_000);
  // Nobody is left who could take over, and that is no reason to give up what has begun.
  await isUnderWay();
  await admins.start(b!);
  await admins.group.pass(5_000);
  admins.facts.set(a!, { departure: { state: 'left', userCount: 0 } });
  const done = await admins.change(drain);
  equal(done.state, 'alreadySo');
  match(done.sentence, /no client needs it/);
  const events = await admins.ask({ kind: 'events', afterSequence: 0, countMax: 100 });
  ok(events.kind === 'events');
  equal(events.report.events.filter(({ action }) => action === `drain ${a}`).length, 1);
  // Nobody can be waited for at a node that is down.
  await admins.change({ kind: 'undrain', nodeId: a! });
  await admins.stop(b!);
  await admins.group.pass(5_000);
  equal((await admins.change({ kind: 'drain', nodeId: b! })).state, 'done');
  await admins.stopAll();
});

test('a drained node that wins an election gives leadership away', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const [a, b] = admins.group.nodeIds.filter((id) => id !== leader);
  await admins.change({ kind: 'drain', nodeId: a! });
  await admins.stop(b!);
  await admins.group.pass(1_000);
  await admins.stop(leader);
  await admins.start(b!);
  await admins.group.until('the one that may lead leads', () => admins.group.serving?.nodeId === b);
  await admins.stopAll();
});

test('without a leader a change is refused in time, and one node still says what it knows', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const [a, b] = admins.group.nodeIds.filter((id) => id !== leader);
  await admins.stop(leader);
  await admins.stop(a!);
  await admins.group.pass(3_000);
  const reply = await admins.call(remove(1), {}, { at: b!, remainingMs: 2_000 });
  ok(reply.kind === 'failure' && reply.code === 'timeout');
  match(reply.message, /no leader.*unknown: ask for the same again/);
  const response = await admins.ask({ kind: 'members' }, {}, { at: b!, stale: true });
  ok(response.kind === 'members');
  equal(response.report.isFromLeader, false);
  equal(response.report.voters.length, 3);
  await admins.stopAll();
});

test('the doctor is green on a healthy group, and red with the numbers when a voter is gone', async () => {
  const admins = await AdminGroup.started();
  const examine = async () => {
    const response = await admins.ask({ kind: 'check' });
    ok(response.kind === 'check');
    return response.report;
  };
  deepEqual(
    (await examine()).checks.filter(({ verdict }) => verdict !== 'ok'),
    [],
  );
  const leader = (await admins.group.leader()).nodeId;
  const [a, b] = admins.group.nodeIds.filter((id) => id !== leader);
  admins.facts.set(b!, { repair: '3 records of segment 17', swapUsedBytes: 2 ** 30 });
  await admins.stop(a!);
  await admins.group.pass(2_000);
  const { checks, members } = await examine();
  const red = checks.filter(({ verdict }) => verdict === 'failed').map(({ id }) => id);
  deepEqual(red, ['quorumMargin', 'twoCopies', 'nobodyUnderRepair', 'membersAnswer']);
  const yellow = checks.filter(({ verdict }) => verdict === 'warning').map(({ id }) => id);
  deepEqual(yellow, ['swap']);
  equal(members.find(({ nodeId }) => nodeId === a)?.health, null);
  // Who is under repair is not counted on, and nobody else may leave.
  const failed = await admins.refused({ kind: 'remove', nodeIds: [a!] }, { allow: ['belowThree'] });
  ok(failed.includes('nobodyUnderRepair') && failed.includes('quorumAfter'));
  await admins.stopAll();
});

test('zones are told to the leader, minded and never refused; that of a dead node is remembered', async () => {
  const admins = await AdminGroup.started();
  const zonesOf = async () => (await membersOf(admins)).members.map(({ zone }) => zone);
  deepEqual(await zonesOf(), ['', '', '']);
  const [first, second, third] = admins.group.nodeIds;
  admins.facts.set(first!, { zone: 'a' });
  admins.facts.set(second!, { zone: 'a' });
  admins.facts.set(third!, { zone: 'b' });
  deepEqual(await zonesOf(), ['a', 'a', 'b']);
  const checked = await admins.ask({ kind: 'check' });
  ok(checked.kind === 'check');
  const spread = checked.report.checks.find(({ id }) => id === 'zoneSpread');
  equal(spread?.verdict, 'warning');
  equal(spread.observed, 'a n1,n2, b n3');

  const leader = (await admins.group.leader()).nodeId;
  const dead = admins.group.nodeIds.find((id) => id !== leader)!; // two of three
  await admins.stop(dead);
  await admins.group.pass(2_000);
  admins.facts.set(n(4), { zone: 'a' });
  deepEqual(await zonesOf(), ['a', 'a', 'b'], 'also of the dead one');
  const { ticket } = await admins.change({ ...replace(1, 4), oldNodeId: dead });
  ok(ticket);
  await admins.join(ticket);
  const at = leader;
  const stale = await admins.ask({ kind: 'members' }, {}, { at, stale: true });
  ok(stale.kind === 'members');
  deepEqual(
    stale.report.members.map(({ nodeId, zone }) => (nodeId === at ? 'own' : zone)).sort(),
    [null, null, null, 'own'].sort(),
  );
  const ended = await admins.wait({ ...replace(1, 4), oldNodeId: dead });
  equal(ended.state, 'done');
  await admins.stopAll();
});

test('what only a damaged and a leaving node have keeps the leaving one', async () => {
  const admins = await AdminGroup.started();
  const leader = (await admins.group.leader()).nodeId;
  const [dead, whole] = admins.group.nodeIds.filter((id) => id !== leader);
  await admins.stop(dead!);
  await admins.group.pass(2_000);
  admins.facts.set(leader, { repair: 'entry 3 of segment 0' });
  const allow = ['belowThree', 'evenVoters', 'lessTolerance'] as const;
  const failedOf = (nodeId: typeof leader) =>
    admins.refused({ kind: 'remove', nodeIds: [nodeId] }, { allow });
  ok((await failedOf(whole!)).includes('soleCopy'));
  ok(!(await failedOf(dead!)).includes('soleCopy'));
  await admins.stopAll();
});

test('snapshots and scrubs are done by the node that is named', async () => {
  const admins = await AdminGroup.started();
  for (const nodeId of admins.group.nodeIds) {
    equal((await admins.change({ kind: 'snapshot', nodeId })).sentence, 'a snapshot was taken');
    equal((await admins.change({ kind: 'scrub', nodeId })).sentence, 'a scrub has begun');
  }
  deepEqual(await admins.refused({ kind: 'scrub', nodeId: n(9) }), ['nodeKnown', 'targetLive']);
  await admins.stopAll();
});

test('a feature level rises when all members answer and support it, and never falls', async () => {
  const admins = await AdminGroup.started();
  deepEqual(await admins.refused({ kind: 'finalizeFeatures', level: 2 }), ['featureLevel']);
  equal((await admins.change({ kind: 'finalizeFeatures', level: 1 })).state, 'done');
  equal((await admins.change({ kind: 'finalizeFeatures', level: 1 })).state, 'alreadySo');
  const response = await admins.ask({ kind: 'features' });
  ok(response.kind === 'features');
  equal(response.report.level, 1);
  await admins.stopAll();
});

test('a rolling restart has a plan: the leader last, each with its arithmetic', async () => {
  const admins = await AdminGroup.started();
  const response = await admins.ask({ kind: 'rollingRestart' }, { dryRun: true });
  ok(response.kind === 'planned');
  const restarts = response.plan.steps.filter(({ kind }) => kind === 'restart');
  equal(restarts.length, 3);
  const leader = (await admins.group.leader()).nodeId;
  match(restarts[2]!.sentence, new RegExp(leader));
  deepEqual(restarts[0]!.quorums[0]?.tolerates, 0);
  equal((await admins.call({ kind: 'rollingRestart' })).kind, 'failure');
  await admins.stopAll();
});

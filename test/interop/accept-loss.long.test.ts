/** The same entry damaged on all three nodes: they refuse, one goes on behind the loss, two new ones join. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clientOf, readWholeTopic } from './audit.ts';
import { aWorkingDirectory, type CommandEnd, jsonLines, mqRaft } from './dev-process.ts';
import { closeClients, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { rawClient, sendRaw } from './raw-calls.ts';
import {
  entriesOf,
  eventsOf,
  flipIn,
  LANES,
  NODE_IDS,
  SEGMENT_SIZE_BYTES,
} from './repair-scene.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const TOPIC = 'payments';
const GROUP = 'booking';
const CONSUMED = 40;
const RETRY_TIMEOUT_MS = 15_000;
/** Of an entry that holds messages, which have some 1,000 bytes each. */
const MESSAGES_SIZE_BYTES_MIN = 1_000;

interface Counted {
  readonly node: string;
  readonly directory: string;
  readonly lostMessages: string;
  readonly givenUpMessages: string;
  readonly givenUpFile: string;
  readonly keptFrom: string | null;
  readonly lostEntries: readonly { readonly from: string; readonly to: string }[];
  readonly queues: readonly {
    readonly lost: readonly { readonly from: string; readonly to: string }[];
  }[];
  readonly groups: readonly {
    readonly group: string;
    readonly unconsumedLost: string;
    readonly unconsumedGivenUp: string;
  }[];
}

function ends(end: CommandEnd, code: number): void {
  equal(end.code, code, `${end.stdout}${end.stderr}`);
}

/** A group with messages in several segments, some of them consumed, and a snapshot behind the first ones. */
async function busyGroup(owner: Owner) {
  const cluster = await TestCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES });
  owner.after(() => cluster.close());
  const cwd = aWorkingDirectory(owner);
  const run = (...words: readonly string[]) =>
    mqRaft(owner, cwd, ...words, '--namesrv', cluster.nameServer);
  const client = clientOf(cluster);
  // One queue: an offset is a place.
  await client.topicPut(TOPIC, 1).finally(() => client.close());
  const producer = await startProducer(owner, cluster.nodes[0]!.grpc, TOPIC);
  const load = new LoadProducer(owner, producer, TOPIC, LANES, 'x'.repeat(1000));
  await sentMore(load, 500);
  ends(await run('consume', TOPIC, '--group', GROUP, '--max', String(CONSUMED)), 0);
  ends(await run('node', 'snapshot', 'n2'), 0);
  await sentMore(load, 200);
  await load.stop();
  equal(load.failures.length, 0);
  await cluster.converged();
  await closeClients(owner);
  return { cluster, cwd, run, sent: load.sent };
}

async function joined(
  owner: Owner,
  cwd: string,
  cluster: TestCluster,
  { nodeId, through }: { readonly nodeId: string; readonly through: string },
): Promise<void> {
  const endpoints = ['--endpoints', cluster.node(through).raft];
  const alone = (...words: readonly string[]) => mqRaft(owner, cwd, ...words, ...endpoints);
  const { raft } = await cluster.addNode(nodeId);
  const added = await alone('add', nodeId, '--addr', raft);
  ends(added, 0);
  const token = /--token (\S+)/.exec(added.stdout)?.[1] ?? '';
  await cluster.startNodeWith(nodeId, ['--join', cluster.node(through).raft, '--token', token]);
  await waitFor(`${nodeId} caught up`, async () =>
    (await alone('catchup', nodeId)).code === 0 ? true : null,
  );
  ends(await alone('promote', nodeId, '--allow-even', '--allow-slow-disk'), 0);
}

test('what the report does not name as lost is there', { timeout: 290_000 }, () =>
  owning(async (owner) => {
    const { cluster, cwd, run, sent } = await busyGroup(owner);
    for (const nodeId of NODE_IDS) await cluster.kill(nodeId, 'SIGTERM');
    const victims = entriesOf(cluster, 'n1').filter(
      ({ type, sizeBytes }) => type === 'data' && sizeBytes >= MESSAGES_SIZE_BYTES_MIN,
    );
    const victim = victims[Math.floor(victims.length / 2)]!;
    for (const nodeId of NODE_IDS) flipIn(cluster, nodeId, victim);
    const starting = NODE_IDS.map((nodeId) => cluster.startNode(nodeId).catch(() => {}));
    await waitFor('all of them wait for each other', async () =>
      NODE_IDS.every((nodeId) => eventsOf(cluster, nodeId).includes('repair.waiting'))
        ? true
        : null,
    );
    for (const nodeId of NODE_IDS) await cluster.kill(nodeId);
    await Promise.all(starting);

    const directories = NODE_IDS.map((nodeId) => cluster.node(nodeId).directory);
    const range = String(victim.index);
    const offline = (...words: readonly string[]) =>
      mqRaft(owner, cwd, 'recover', '--accept-loss', range, ...words);
    ends(await offline(directories[0]!, directories[1]!), 4);
    const screen = await offline(...directories);
    ends(screen, 0);
    match(screen.stdout, new RegExp(`^lost +entry ${range}, in it \\d+ message`, 'm'));
    const shown = await offline(...directories, '-o', 'json');
    ends(shown, 0);
    const [plan] = jsonLines<{ plan: Counted }>(shown.stdout).map((line) => line.plan);
    ok(plan !== undefined);
    deepEqual(plan.lostEntries, [{ from: range, to: range }]);
    ok(plan.keptFrom !== null, 'later segments are kept');
    const gone = Number(plan.lostMessages) + Number(plan.givenUpMessages);
    const [group] = plan.groups.filter((each) => each.group === GROUP);
    equal(Number(group?.unconsumedLost) + Number(group?.unconsumedGivenUp), gone - CONSUMED);
    ends(await offline(...directories, '--execute', '--confirm', `broker-a ${gone + 1}`), 10);
    const confirmed = ['--execute', '--confirm', `broker-a ${gone}`];
    const done = await offline(...directories, ...confirmed);
    ends(done, 0);
    match(done.stdout, /cluster test-r1 from entry/);

    const lostOffsets = new Set<number>();
    for (const { from, to } of plan.queues.flatMap(({ lost }) => lost)) {
      for (let at = Number(from); at <= Number(to); at++) lostOffsets.add(at);
    }
    equal(lostOffsets.size, Number(plan.lostMessages));
    ok(lostOffsets.size > 0);
    ok(plan.givenUpFile.startsWith(plan.directory), plan.givenUpFile);
    // As if the command had been interrupted: nobody starts what is half of each.
    const reportPath = join(plan.directory, 'recovery-report.json');
    const report = readFileSync(reportPath, 'utf8');
    writeFileSync(reportPath, report.replace('"state": "done"', '"state": "begun"'));
    await cluster.startRenamed(plan.node, 'test-r1').catch(() => {});
    equal(await cluster.exitOf(plan.node), 77);
    ends(await offline(...directories), 7);
    ends(await offline(...directories, '--execute'), 0);

    await cluster.startRenamed(plan.node, 'test-r1');
    for (const nodeId of NODE_IDS) if (nodeId !== plan.node) cluster.dropNode(nodeId);
    const after = await run('send', TOPIC, 'after the loss', '-o', 'json');
    ends(after, 0);
    for (const nodeId of ['n4', 'n5']) {
      await joined(owner, cwd, cluster, { nodeId, through: plan.node });
    }
    await cluster.converged();

    await everythingIsThere(cluster, sent, lostOffsets, plan.givenUpFile);
    const retried = sent.find(({ offset }) => !lostOffsets.has(offset) && offset < gone - 1);
    const last = sent.toSorted((a, b) => b.offset - a.offset)[0];
    for (const each of [retried!, last!]) {
      const at = rawClient(owner, cluster.node('n5').grpc);
      const offset = await sendRaw(at, TOPIC, each.messageId, each.body, RETRY_TIMEOUT_MS);
      equal(offset, each.offset, 'who sends again gets the first outcome, also of what is gone');
    }
  }),
);

/** Each message once: in the queue at its offset, in the file of what was given up, or named as lost. */
async function everythingIsThere(
  cluster: TestCluster,
  sent: LoadProducer['sent'],
  lostOffsets: ReadonlySet<number>,
  givenUpFile: string,
): Promise<void> {
  const lines = jsonLines<{
    kind: string;
    records?: { messageId: string; queueOffset: string; body: string }[];
  }>(readFileSync(givenUpFile, 'utf8'));
  const inFile = new Map<string, { offset: number; body: string }>();
  for (const { messageId, queueOffset, body } of lines.flatMap(({ records = [] }) => records)) {
    inFile.set(messageId, { offset: Number(queueOffset), body });
  }
  const stored = await readWholeTopic(cluster, TOPIC);
  const inQueue = new Map(
    stored.map(({ messageId, queueOffset, body }) => [
      messageId,
      { offset: Number(queueOffset), body: Buffer.from(body).toString() },
    ]),
  );
  equal(inQueue.size, stored.length, 'nothing is there twice');
  let lostCount = 0;
  for (const { messageId, offset, body } of sent) {
    const places = [inQueue.get(messageId), inFile.get(messageId)].filter((at) => at !== undefined);
    if (lostOffsets.has(offset)) {
      deepEqual(places, [], `${messageId} is named as lost`);
      lostCount += 1;
    } else deepEqual(places, [{ offset, body }], `${messageId} at ${offset}`);
  }
  equal(lostCount, lostOffsets.size);
  const offsets = stored.map(({ queueOffset }) => Number(queueOffset)).sort((a, b) => a - b);
  const [first = 0] = offsets;
  deepEqual(
    offsets,
    [...offsets.keys()].map((i) => first + i),
    'the queue has no gap',
  );
  equal(first + offsets.length, sent.length + 1, 'offsets go on behind the old ones');
}

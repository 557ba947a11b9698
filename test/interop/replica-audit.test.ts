/** The audit of replicas speaks when it should: what it must find is planted by hand. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { LogIndex, Term } from '../../src/base/units.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { NodeDisk } from '../../src/io/node/node-disk.ts';
import {
  appendRecords,
  messageRecord,
  SMALL_IDENTITY,
  TOPIC_PUT,
} from '../../src/store/inspect/inspect-fixture.ts';
import { EntryChain, openTestLog, persisted, term } from '../../src/store/log-fixture.ts';
import { type Acknowledged, problemsOfReplicas, type ReplicaDirectory } from './replica-audit.ts';

const MESSAGES = 20;
const BODY_SIZE_BYTES = 700;
const TOPIC = 'orders';

interface Plan {
  readonly queueOffset: number;
  readonly body: string;
  readonly id: string;
}

/** The fixture names a message after its place; the id of the plan takes its room. */
function recordOf({ queueOffset, body }: Plan): Uint8Array {
  return messageRecord({ topic: TOPIC, queueId: 0, queueOffset, body });
}

function plans(): Plan[] {
  return Array.from({ length: MESSAGES }, (_, i) => ({
    queueOffset: i,
    body: `${i} `.repeat(BODY_SIZE_BYTES).slice(0, BODY_SIZE_BYTES),
    id: `ID-0-${i}`,
  }));
}

function chainOf(messages: readonly Plan[]): EntryChain {
  const chain = new EntryChain(SMALL_IDENTITY.segmentSizeBytes);
  appendRecords(chain, [{ kind: 'command', bytes: TOPIC_PUT }]);
  for (const plan of messages) appendRecords(chain, [{ kind: 'message', bytes: recordOf(plan) }]);
  chain.append({ payload: new Uint8Array(0), term: Term(1), type: 'noop' });
  return chain;
}

/** A log as a replica writes it, in a directory of this machine. */
async function writeReplica(directory: string, messages: readonly Plan[]): Promise<void> {
  const chain = chainOf(messages);
  const disk = new NodeDisk();
  const options = { directory, identity: SMALL_IDENTITY, clock: new NodeClock() };
  const log = await openTestLog(disk, options);
  await persisted(log, { hardState: term(1), entries: chain.entries });
  await log.close();
  await disk.close();
}

suite('the audit of replicas', () => {
  let folder: string;
  const lastIndex = LogIndex(chainOf(plans()).entries.length);
  const acknowledged: readonly Acknowledged[] = plans().map(({ id, body, queueOffset }) => ({
    ...{ messageId: id, body, offset: queueOffset },
  }));
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mq-raft-audit-'));
    await writeReplica(join(folder, 'whole'), plans());
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Three copies of the whole log, each of which `damage` may change. */
  async function problemsAfter(
    damage: (replica: ReplicaDirectory) => void | Promise<void>,
    claims: readonly Acknowledged[] = acknowledged,
  ): Promise<readonly string[]> {
    const replicas = ['n1', 'n2', 'n3'].map((nodeId) => ({
      nodeId,
      directory: join(folder, nodeId),
    }));
    for (const { directory } of replicas) {
      rmSync(directory, { recursive: true, force: true });
      cpSync(join(folder, 'whole'), directory, { recursive: true });
    }
    for (const replica of replicas) await damage(replica);
    const claim = { topic: TOPIC, acknowledged: claims, lastIndex };
    return problemsOfReplicas(replicas, claim);
  }

  const only =
    (nodeId: string, act: (directory: string) => void | Promise<void>) =>
    (replica: ReplicaDirectory) =>
      replica.nodeId === nodeId ? act(replica.directory) : undefined;

  const rewrite = (messages: readonly Plan[]) => async (directory: string) => {
    rmSync(directory, { recursive: true, force: true });
    await writeReplica(directory, messages);
  };

  test('three whole replicas have no problem', async () => {
    deepEqual(await problemsAfter(() => {}), []);
  });

  test('a flipped bit anywhere in the log of one replica is found', async () => {
    const name = '00000000000000008192.seg';
    const size = readFileSync(join(folder, 'whole', 'data', name)).length;
    for (let at = 1; at < size; at += 509) {
      const flip = (directory: string): void => {
        const path = join(directory, 'data', name);
        const bytes = readFileSync(path);
        bytes[at]! ^= 1 << (at % 8);
        writeFileSync(path, bytes);
      };
      const problems = await problemsAfter(only('n2', flip));
      ok(problems.length > 0, `bit at ${at}`);
      ok(
        problems.every((problem) => problem.startsWith('n2: ')),
        problems.join('; '),
      );
    }
  });

  test('a message that one replica never had is named', async () => {
    const without = plans().filter(({ queueOffset }) => queueOffset !== MESSAGES - 1);
    const problems = await problemsAfter(only('n3', rewrite(without)));
    ok(
      problems.includes(`n3: ID-0-${MESSAGES - 1} was acknowledged and is not there`),
      problems.join('; '),
    );
  });

  test('a message that all replicas have lost alike is named for each', async () => {
    const claims = [...acknowledged, { messageId: 'ID-0-99', body: 'gone', offset: 99 }];
    const problems = await problemsAfter(() => {}, claims);
    deepEqual(
      problems,
      ['n1', 'n2', 'n3'].map((node) => `${node}: ID-0-99 was acknowledged and is not there`),
    );
  });

  test('a body that was written so, with good checksums, is found', async () => {
    const other = plans().map((plan) =>
      plan.queueOffset === 4 ? { ...plan, body: 'y'.repeat(BODY_SIZE_BYTES) } : plan,
    );
    const [first, ...more] = await problemsAfter(only('n1', rewrite(other)));
    equal(first, 'n1: ID-0-4 in queue 0 at 4 has another body');
    match(more[0] ?? '', /^n2: the segment from \d+ on is not that of n1, from byte \d+ on$/);
  });

  test('another place than the acknowledged one is found', async () => {
    const [first, ...more] = acknowledged;
    ok(first);
    const problems = await problemsAfter(() => {}, [{ ...first, offset: 7 }, ...more]);
    equal(problems[0], 'n1: ID-0-0 in queue 0 at 0 was acknowledged at 7');
    equal(problems.length, 3);
  });

  test('a message that is there twice is found', async () => {
    const [first] = plans();
    ok(first);
    const twice = [...plans(), first];
    const problems = await problemsAfter(only('n2', rewrite(twice)));
    ok(problems.includes('n2: ID-0-0 in queue 0 at 0 is there 2 times'), problems.join('; '));
  });

  test('a missing segment, and a log that ends too early, are found', async () => {
    const remove = (name: string) => (directory: string) => rmSync(join(directory, 'data', name));
    const missing = await problemsAfter(only('n2', remove('00000000000000008192.seg')));
    ok(missing.includes('n2: the segment from 8192 on is not there'), missing.join('; '));
    const short = await problemsAfter(only('n3', rewrite(plans().slice(0, 5))));
    ok(short.includes(`n3: the log ends before entry ${lastIndex}`), short.join('; '));
  });
});

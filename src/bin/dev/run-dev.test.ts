import { deepEqual, equal, rejects } from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NodeId, Term } from '../../base/units.ts';
import { CliError } from '../../cli/cli-error.ts';
import type { DevOptions } from '../../cli/dev-options.ts';
import { type DevRecord, formatDevRecord, parseDevRecord } from '../../cli/dev-record.ts';
import { MemoryOutput } from '../../cli/memory-environment.ts';
import { aNodeReport } from '../../client/memory-cluster.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import { startChild } from '../../io/node/child-processes.ts';
import type { NodeReport } from '../../protocol/verbs.ts';
import { type DevWorld, isSettled, runDev } from './run-dev.ts';

const options: DevOptions = {
  directory: '.mq-raft',
  nodeCount: null,
  basePort: null,
  json: false,
  autoCreateTopics: true,
  wipe: false,
  yes: false,
  restartNodes: false,
  segmentSizeBytes: 65536,
};

const ofThree: DevRecord = {
  clusterId: 'dev',
  pid: null,
  nodes: ['n1', 'n2', 'n3'].map((id) => ({
    id,
    grpc: '127.0.0.1:1',
    raft: '127.0.0.1:2',
    http: '127.0.0.1:3',
    dir: id,
  })),
  nameServers: ['127.0.0.1:4', '127.0.0.1:5'],
};

/** A working directory with a `.mq-raft` in it, and a world whose user gives `answer`. */
function aWorld(t: TestContext, record: DevRecord, answer: boolean | null = null) {
  const workingDirectory = mkdtempSync(join(tmpdir(), 'mq-raft-dev-'));
  t.after(() => rmSync(workingDirectory, { recursive: true }));
  const directory = join(workingDirectory, '.mq-raft');
  mkdirSync(join(directory, 'n1'), { recursive: true });
  writeFileSync(join(directory, 'dev.json'), formatDevRecord(record));
  writeFileSync(join(directory, 'mine.txt'), 'not of mq-raft');
  const asked: string[] = [];
  const world: DevWorld = {
    stdout: new MemoryOutput(false),
    stderr: new MemoryOutput(false),
    variables: {},
    clock: new ManualClock(),
    version: { mqRaft: '0.1.0', node: 'v20' },
    workingDirectory,
    interrupted: new AbortController().signal,
    interruptedAgain: new AbortController().signal,
    openClient: () => {
      throw new Error('No process may be started');
    },
    ask: async (question) => {
      asked.push(question);
      return answer;
    },
    onEnter: () => null,
  };
  return { world, directory, asked };
}

const refusedWith = (exit: number, what: RegExp) => (error: unknown) =>
  error instanceof CliError && error.exit === exit && what.test(error.what);

test('another number of nodes than the directory has is refused with the way out', async (t) => {
  const { world } = aWorld(t, ofThree);
  await rejects(runDev({ ...options, nodeCount: 5 }, world), (error: unknown) => {
    return (
      refusedWith(4, /holds a cluster of 3, not of 5/)(error) &&
      /--nodes 3/.test((error as CliError).todo ?? '')
    );
  });
});

test('a directory without a readable record counts its node folders', async (t) => {
  const { world, directory } = aWorld(t, ofThree);
  writeFileSync(join(directory, 'dev.json'), '{ torn');
  await rejects(
    runDev({ ...options, nodeCount: 3 }, world),
    refusedWith(4, /holds a cluster of 1, not of 3/),
  );
});

test('two clusters in one directory: the second is refused and names the first', async (t) => {
  const script = join(mkdtempSync(join(tmpdir(), 'mq-raft-dev-')), 'other.mjs');
  t.after(() => rmSync(join(script, '..'), { recursive: true }));
  writeFileSync(script, "console.log('up'); process.stdin.resume()");
  const logPath = `${script}.log`;
  const other = await startChild({ name: 'other', script, args: ['dev'], logPath });
  t.after(() => other.kill('SIGKILL'));
  await other.readyLine;
  const { world } = aWorld(t, { ...ofThree, pid: other.pid });
  await rejects(runDev(options, world), refusedWith(4, /A cluster runs in .\/.mq-raft already/));
  await rejects(
    runDev({ ...options, wipe: true, yes: true }, world),
    refusedWith(4, /runs in/),
    'wiping does not come first',
  );
});

test('a directory that cannot be one is refused with the reason', async (t) => {
  const { world } = aWorld(t, ofThree);
  await rejects(
    runDev({ ...options, directory: '.mq-raft/mine.txt' }, world),
    (error: unknown) =>
      refusedWith(4, /Nothing can be kept in .\/.mq-raft\/mine.txt/)(error) &&
      /EEXIST|ENOTDIR/.test((error as CliError).why ?? ''),
  );
});

test('wiping asks, and a no leaves everything and ends with 10', async (t) => {
  const { world, directory, asked } = aWorld(t, ofThree, false);
  equal(await runDev({ ...options, wipe: true }, world), 10);
  deepEqual(asked, ['Delete the data of n1 in ./.mq-raft?']);
  equal(existsSync(join(directory, 'n1')), true);
});

test('wiping without a terminal needs --yes', async (t) => {
  const { world, directory } = aWorld(t, ofThree, null);
  await rejects(runDev({ ...options, wipe: true }, world), refusedWith(10, /was not wiped/));
  equal(existsSync(join(directory, 'n1')), true);
});

test('wiping deletes what mq-raft made and nothing else', async (t) => {
  const { world, directory, asked } = aWorld(t, ofThree);
  await rejects(runDev({ ...options, wipe: true, yes: true, nodeCount: 1 }, world), {
    message: 'No process may be started',
  });
  deepEqual(asked, []);
  equal(existsSync(join(directory, 'n1')), false);
  equal(existsSync(join(directory, 'dev.json')), false);
  equal(existsSync(join(directory, 'mine.txt')), true);
});

test('a record survives its file; what is not one is no record', () => {
  deepEqual(parseDevRecord(formatDevRecord(ofThree)), ofThree);
  for (const text of ['', '[]', 'null', '{}', '{"apiVersion":"mq-raft/v2"}']) {
    equal(parseDevRecord(text), null);
  }
  const wrong = { ...ofThree, nodes: [{ id: 'n1' }] } as unknown as DevRecord;
  equal(parseDevRecord(formatDevRecord(wrong)), null);
});

/** Two nodes of term 2, n1 the leader, except for the changes to n2. */
function twoNodes(changes: Partial<NodeReport> | null) {
  const base = { term: Term(2), leader: NodeId('n1') };
  const n1 = aNodeReport('n1', { ...base, role: 'leader', serving: true });
  const n2 = changes === null ? null : aNodeReport('n2', { ...base, role: 'follower', ...changes });
  const nodes = [n1, n2].map((report, i) => {
    return { nodeId: `n${i + 1}`, raft: '', grpc: null, http: null, report, why: '' };
  });
  return { cluster: 'dev', group: 'broker-a', leader: 'n1', nodes };
}

const unsettled: readonly (readonly [string, Partial<NodeReport> | null])[] = [
  ['does not answer', null],
  ['is still of the term before', { term: Term(1) }],
  ['follows nobody', { leader: null }],
  ['follows another one', { leader: NodeId('n3') }],
  ['was the leader until now', { role: 'leader', serving: true }],
  ['is about to stand for election', { role: 'preCandidate' }],
];

test('a group is settled when one leads and all others follow it in its term', () => {
  equal(isSettled(twoNodes({})), true);
  equal(isSettled({ ...twoNodes({}), leader: null }), false);
});

for (const [what, changes] of unsettled) {
  test(`a group is not settled while a node ${what}`, () => {
    equal(isSettled(twoNodes(changes)), false);
  });
}

/**
 * Every verb of administration once against real brokers, right and wrong, at the leader and at a
 * follower, over the wire and by the command line: whatever is asked, no broker ends by it.
 */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { NodeId } from '../../src/base/units.ts';
import { commandNodes } from '../../src/cli/command-nodes.ts';
import { buildProgram } from '../../src/cli/main.ts';
import { MemoryTerminal, reportOf } from '../../src/cli/memory-environment.ts';
import { createAdminCallClient } from '../../src/client/admin-client.ts';
import {
  type AdminReply,
  type AdminRequest,
  type ChangeOptions,
  type JoinRequest,
  NO_OPTIONS,
} from '../../src/protocol/admin.ts';
import { aWorkingDirectory, mqRaft } from './dev-process.ts';
import { type Owner, owning } from './owner.ts';
import { TestCluster } from './test-cluster.ts';

const CALL_MS = 15_000;
const NOWHERE = '127.0.0.1:1';

type Kind = AdminRequest['kind'];
/** What came back, in a word or two: the kind of an answer or the code of a failure. */
type Outcome = string;
type Row<K extends Kind> = readonly [Extract<AdminRequest, { kind: K }>, readonly Outcome[]];
/** A verb that is new in the contract does not compile without its row. */
type Table = { readonly [K in Kind]: readonly Row<K>[] };

const id = NodeId;
const nodeIdsOf = (...names: readonly string[]) => names.map(id);
const [N1, N9] = [id('n1'), id('n9')];
const join: JoinRequest = {
  ...{ token: 'guessed', nodeId: N9, storeUuid: 's', raftAddress: NOWHERE },
  ...{ kind: 'join', clusterId: '', groupId: '', diskFreeBytes: null },
};

const TABLE: Table = {
  members: [[{ kind: 'members' }, ['members']]],
  health: [[{ kind: 'health' }, ['health']]],
  check: [[{ kind: 'check' }, ['check']]],
  events: [
    [{ kind: 'events', afterSequence: 0, countMax: 10 }, ['events']],
    [{ kind: 'events', afterSequence: 1e9, countMax: 0 }, ['events']],
  ],
  catchup: [
    [{ kind: 'catchup', nodeId: N1 }, ['catchup']],
    [{ kind: 'catchup', nodeId: N9 }, ['badRequest']],
  ],
  features: [[{ kind: 'features' }, ['features']]],
  add: [
    [{ kind: 'add', nodeId: N1, raftAddress: NOWHERE }, ['refused']],
    [{ kind: 'add', nodeId: N9, raftAddress: '' }, ['refused']],
  ],
  promote: [
    [{ kind: 'promote', nodeIds: [N1] }, ['changed']],
    [{ kind: 'promote', nodeIds: [N9] }, ['refused']],
    [{ kind: 'promote', nodeIds: [N1, N9] }, ['refused']],
    [{ kind: 'promote', nodeIds: [] }, ['badRequest']],
  ],
  remove: [['n1'], ['n2'], ['n3'], ['n9'], ['n1', 'n2'], ['n3', 'n9']].map((names) => [
    { kind: 'remove', nodeIds: nodeIdsOf(...names) },
    ['refused'],
  ]),
  replace: [
    [{ kind: 'replace', oldNodeId: N1, newNodeId: N9, raftAddress: NOWHERE }, ['refused']],
    [{ kind: 'replace', oldNodeId: N1, newNodeId: N1, raftAddress: '' }, ['refused']],
    [{ kind: 'replace', oldNodeId: N9, newNodeId: N9, raftAddress: '' }, ['refused']],
  ],
  transfer: [
    [{ kind: 'transfer', to: N9 }, ['refused']],
    [{ kind: 'transfer', to: N1 }, ['changed']],
  ],
  drain: [
    [{ kind: 'drain', nodeId: N9 }, ['refused']],
    [{ kind: 'drain', nodeId: N1 }, ['changed']],
  ],
  undrain: [
    [{ kind: 'undrain', nodeId: N9 }, ['changed']],
    [{ kind: 'undrain', nodeId: N1 }, ['changed']],
  ],
  snapshot: nodeIdsOf('n1', 'n2', 'n3').map((nodeId) => [
    { kind: 'snapshot', nodeId },
    ['changed'],
  ]),
  scrub: nodeIdsOf('n1', 'n2', 'n3').map((nodeId) => [{ kind: 'scrub', nodeId }, ['changed']]),
  finalizeFeatures: [
    [{ kind: 'finalizeFeatures', level: 99 }, ['refused']],
    [{ kind: 'finalizeFeatures', level: 1 }, ['changed']],
  ],
  unlock: [[{ kind: 'unlock' }, ['changed']]],
  rollingRestart: [[{ kind: 'rollingRestart' }, ['badRequest']]],
  join: [
    [join, ['joinRefused']],
    [{ ...join, nodeId: N1 }, ['joinRefused']],
  ],
};

const NOUNS: readonly string[] = ['member', 'node', 'cluster'];
const OFFLINE: readonly string[] = ['unsafe-recover', 'recover'];

/** By what is typed, the long form; of several exit codes any is right. */
const COMMANDS: Readonly<Record<string, readonly (readonly [string, ...number[]])[]>> = {
  'cluster status': [['', 0]],
  'cluster verify': [['', 0]],
  'cluster init': [['--voters a=h:1,b=h:2,c=h:3 --cluster-id new --overwrite', 0]],
  'member list': [
    ['', 0],
    ['--stale', 0],
  ],
  'member add': [
    [`n9 --addr ${NOWHERE} --dry-run`, 0],
    [`n1 --addr ${NOWHERE}`, 4],
  ],
  'member promote': [
    ['n1', 0],
    ['n9', 4],
    ['n1 n9', 4],
  ],
  'member remove': [
    ['n1 --yes', 4],
    ['n9 --yes', 4],
    ['n1 n9 --yes', 4],
  ],
  'member replace': [
    [`n1 n9 --addr ${NOWHERE} --planned --dry-run`, 0],
    ['n1 n9 --yes', 4],
  ],
  'member transfer': [
    ['', 0],
    ['--to n9', 4],
  ],
  'member catchup': [
    ['n1', 0],
    ['n9', 2],
  ],
  'node status': [
    ['', 0],
    ['n9', 3],
  ],
  'node repair': [['--status', 0]],
  'node drain': [
    ['n1', 0],
    ['n9', 4],
  ],
  'node undrain': [['n1', 0]],
  'node snapshot': [
    ['n1', 0],
    ['n2', 0],
    ['n9', 4],
  ],
  'node scrub': [
    ['n1', 0],
    ['n2', 0],
    ['n9', 4],
  ],
  'cluster check': [['', 0, 8]],
  'cluster events': [['', 0]],
  'cluster features': [['', 0]],
  'cluster rolling-restart': [['--plan', 0]],
  'cluster unlock': [['', 0]],
  'unsafe-recover': [['DIRECTORY', 4]],
  recover: [['DIRECTORY --accept-loss 2-3', 4]],
};

suite('every verb of administration against real brokers', { timeout: 280_000 }, () => {
  const releases: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (release) => releases.push(release) };
  let cluster: TestCluster;
  let pids = '';
  const pidsNow = (): string =>
    ['n1', 'n2', 'n3'].map((node) => (cluster.isRunning(node) ? cluster.pidOf(node) : 0)).join();

  before(async () => {
    cluster = await TestCluster.start();
    owner.after(() => cluster.close());
    pids = pidsNow();
  });
  after(() =>
    owning(async (all) => {
      for (const release of releases) all.after(release);
    }),
  );

  async function asked(
    at: string,
    request: AdminRequest,
    options: Partial<ChangeOptions>,
  ): Promise<Outcome> {
    const client = createAdminCallClient(cluster.node(at).raft);
    try {
      const call = { remainingMs: CALL_MS, hops: 0, stale: false, request };
      const all = { ...call, options: { ...NO_OPTIONS, actor: 'alice', ...options } };
      return outcomeOf(await client.call(all, new AbortController().signal));
    } finally {
      client.close();
    }
  }

  for (const [kind, rows] of Object.entries(TABLE)) {
    test(`${kind} over the wire, at each node`, async () => {
      for (const [request, outcomes] of rows) {
        for (const at of ['n1', 'n2', 'n3']) {
          await asked(at, request, { dryRun: true });
          const outcome = await asked(at, request, {});
          const what = `${JSON.stringify(request)} at ${at}: ${outcome}`;
          ok(outcomes.includes(outcome), what);
          equal(pidsNow(), pids, what);
        }
      }
      ok(await cluster.leader());
    });
  }

  test('nameless and endless words of an operator are refused', async () => {
    for (const actor of ['', 'a'.repeat(1_000)]) {
      equal(await asked('n1', { kind: 'unlock' }, { actor }), 'badRequest');
    }
    equal(pidsNow(), pids);
  });

  test('the table of commands is whole', () => {
    const terminal = new MemoryTerminal((_, address) => reportOf(address));
    const program = buildProgram(terminal.environment(), async () => {});
    const words = (path: readonly string[]) => path.join(' ');
    const verbs = commandNodes(program).filter(({ path: [noun = '', verb] }) =>
      verb === undefined ? OFFLINE.includes(noun) : NOUNS.includes(noun),
    );
    deepEqual(verbs.map(({ path }) => words(path)).sort(), Object.keys(COMMANDS).sort());
  });

  for (const [command, rows] of Object.entries(COMMANDS)) {
    test(`mq-raft ${command}`, async () => {
      const cwd = aWorkingDirectory(owner);
      for (const [words, ...codes] of rows) {
        const typed = words.replace('DIRECTORY', cluster.node('n1').directory).split(' ');
        const line = [...command.split(' '), ...typed.filter((word) => word !== '')];
        for (const form of ['table', 'json']) {
          const where = ['--namesrv', cluster.nameServer];
          const end = await mqRaft(owner, cwd, ...line, ...where, '-o', form);
          const what = `${line.join(' ')}: ${end.code}\n${end.stdout}${end.stderr}`;
          ok(end.code !== null && codes.includes(end.code), what);
          if (end.code !== 0 && end.code !== 8) match(end.stderr, /^error: /m, what);
          equal(pidsNow(), pids, what);
        }
      }
    });
  }
});

function outcomeOf(reply: AdminReply): Outcome {
  if (reply.kind === 'answer') return reply.response.kind;
  return reply.kind === 'failure' ? reply.code : reply.kind;
}

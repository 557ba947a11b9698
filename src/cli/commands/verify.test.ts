import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex } from '../../base/units.ts';
import type { VerifyRun, VerifyVerdict } from '../../protocol/verify-codec.ts';
import { MemoryTerminal, reportOf } from '../memory-environment.ts';

function verdictOf(nodeId: string, changes: Partial<VerifyVerdict> = {}): VerifyVerdict {
  return {
    nodeId,
    storeUuid: `uuid-${nodeId}`,
    log: {
      ...{ firstIndex: LogIndex(1), goodIndex: LogIndex(57), lastIndex: LogIndex(57) },
      ...{ readBytes: 4096, isFromDevice: true, damageCount: 0, damages: [] },
    },
    standings: [20, 40, 57].map((index) => standingAt(index)),
    state: {
      ...{ outcome: 'same', index: LogIndex(57), rowCount: 30 },
      ...{ differenceCount: 0, details: [] },
    },
    ...changes,
  };
}

function standingAt(index: number, digest = 'aa'.repeat(8)) {
  return { index: LogIndex(index), headerCrc: 0xabc, digest };
}

function terminalWith(outcomes: Readonly<Record<string, VerifyVerdict | string>>) {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  const runs: { readonly address: string; readonly run: VerifyRun }[] = [];
  terminal.verifier = {
    checkpoint: async (address) => (address === 'n1:raft' ? LogIndex(57) : null),
    run: async (address, run, onProgress) => {
      runs.push({ address, run });
      onProgress({ phase: 'log', done: 10, total: 20 });
      return outcomes[address.split(':')[0] ?? ''] ?? 'it is down';
    },
  };
  return { terminal, runs };
}

const SOUND = { n1: verdictOf('n1'), n2: verdictOf('n2'), n3: verdictOf('n3') };

test('sound replicas: the leader makes a checkpoint, all are asked at it, and the exit code is 0', async () => {
  const { terminal, runs } = terminalWith(SOUND);
  equal(await terminal.run('verify', '--rate', '20M'), 0, terminal.stderr.text);
  match(terminal.stdout.text, /n3 +57 +57 +4.00 KiB +00000abc +a{16} +30 rows, the same/);
  match(terminal.stdout.text, /\nsound, and equal at entry 57\n$/);
  const run = { bytesPerSecond: 20 * 1024 ** 2, skipsDerived: false, checkpointIndex: 57 };
  deepEqual(runs[0], { address: 'n1:raft', run });
  equal(runs.length, 3);
});

test('another state at the same entry is a divergence, with the sides', async () => {
  const standings = [standingAt(40), standingAt(57, 'bb'.repeat(8))];
  const { terminal } = terminalWith({ ...SOUND, n2: verdictOf('n2', { standings }) });
  equal(await terminal.run('verify'), 8);
  match(terminal.stdout.text, /DIVERGED at entry 57: n1, n3 against n2\n$/);
});

test('replicas are compared at the newest checkpoint that all know', async () => {
  const standings = [standingAt(20), standingAt(40)];
  const { terminal } = terminalWith({ ...SOUND, n2: verdictOf('n2', { standings }) });
  equal(await terminal.run('verify', '-o', 'json'), 0);
  const said = JSON.parse(terminal.stdout.text);
  equal(said.comparedAtIndex, '40');
  deepEqual(said.camps, [
    { headerCrc: 0xabc, digest: 'aa'.repeat(8), nodeIds: ['n1', 'n2', 'n3'] },
  ]);
});

test('damage is listed, and so are rows that differ', async () => {
  const log = {
    ...verdictOf('n2').log,
    goodIndex: LogIndex(6),
    damageCount: 1,
    damages: ['entry 7'],
  };
  const state = {
    ...verdictOf('n3').state,
    ...{ outcome: 'differs' as const, differenceCount: 1, details: ['table G, key 47: other'] },
  };
  const { terminal } = terminalWith({
    ...SOUND,
    n2: verdictOf('n2', { log }),
    n3: verdictOf('n3', { state }),
  });
  equal(await terminal.run('verify'), 8);
  const { text } = terminal.stdout;
  match(text, /n2 +6 +57/);
  match(text, /^ {2}n2 +entry 7$/m);
  match(text, /n3 .*1 of 30 rows differ/);
  match(text, /^ {2}n3 +table G, key 47: other$/m);
  match(text, /DAMAGED: see above\n$/);
});

test('a node that does not answer is no success; if none does, nothing is known', async () => {
  const { terminal } = terminalWith({ n1: SOUND.n1, n2: SOUND.n2 });
  equal(await terminal.run('verify'), 8);
  match(terminal.stdout.text, /INCOMPLETE: no answer of n3\n$/);
  equal(await terminalWith({}).terminal.run('verify'), 6);
});

test('some nodes only; a node that is not there; a rate that is none', async () => {
  const { terminal, runs } = terminalWith(SOUND);
  equal(await terminal.run('verify', '--node', 'n3', '--skip', 'derived'), 0);
  deepEqual(
    runs.map(({ address, run }) => [address, run.skipsDerived]),
    [['n3:raft', true]],
  );
  match(terminal.stdout.text, /\nsound\n$/);
  equal(await terminalWith(SOUND).terminal.run('verify', '--node', 'n9'), 3);
  equal(await terminalWith(SOUND).terminal.run('verify', '--rate', 'fast'), 2);
  equal(await terminalWith(SOUND).terminal.run('verify', '--skip', 'log'), 2);
});

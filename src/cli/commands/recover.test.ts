import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId } from '../../base/units.ts';
import type { EntryRange } from '../../store/recover/entry-marks.ts';
import { judgeLoss } from '../../store/recover/lost-range.ts';
import { aGroupLog, aGroupStore, RECOVERED_GROUP } from '../../store/recover/recovery-fixture.ts';
import type { Survivor } from '../../store/recover/survivor.ts';
import { MemoryTerminal, reportOf } from '../memory-environment.ts';

/** Entries whose bodies are damaged, by node: what a disk does to 21 messages behind three other entries. */
async function aTerminal(damaged: Readonly<Record<string, readonly number[]>>) {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  for (const [node, indices] of Object.entries(damaged)) {
    const chain = aGroupLog(21);
    await aGroupStore(terminal.writable, `/${node}`, NodeId(node), chain);
    for (const index of indices) {
      const { desc } = chain.entries[index - 1]!; // in the log
      const start = Math.floor(desc.physicalOffset / 8192) * 8192;
      const path = `/${node}/data/${String(start).padStart(20, '0')}.seg`;
      terminal.writable.rot(path, desc.physicalOffset - start + 70, Uint8Array.of(1, 2, 3));
    }
  }
  return terminal;
}

const LOST = ['recover', '--accept-loss', '10-11'];

test('what nobody can read is told to the entry; --execute is refused with the way on', async () => {
  const terminal = await aTerminal({ n1: [10, 11, 15], n2: [9, 10], n3: [10] });
  const files = await terminal.writable.list('/n1');
  equal(await terminal.run(...LOST, '/n1', '/n2', '/n3'), 0);
  match(terminal.stdout.text, /^ {2}n1 +\d+ +\d+ +10-11 +\/n1$/m);
  match(terminal.stdout.text, /^lost +10, 1 entry; the group had committed all of it/m);
  match(terminal.stderr.text, /Nothing was changed[\s\S]*mq-raft restore/);
  equal(await terminal.run(...LOST, '/n1', '/n2', '/n3', '--execute'), 4);
  match(terminal.stderr.text, /no directory holds a whole snapshot at or behind entry 11/);
  deepEqual(await terminal.writable.list('/n1'), files);
});

test('what one of them can read is not lost', async () => {
  const terminal = await aTerminal({ n1: [10, 11], n2: [] });
  equal(await terminal.run(...LOST, '/n1', '/n2'), 4);
  match(terminal.stderr.text, /entries 10-11 are not lost[\s\S]*start n1, n2/);
});

test('whoever was not asked may have it, unless it is named as lost', async () => {
  const terminal = await aTerminal({ n1: [10, 11] });
  equal(await terminal.run(...LOST, '/n1'), 4);
  match(terminal.stderr.text, /n2, n3 may still hold/);
  equal(await terminal.run(...LOST, '/n1', '--lost', 'n2,n3', '-o', 'json'), 0);
  const line = JSON.parse(terminal.stdout.text.trimEnd().split('\n').at(-1) ?? '');
  deepEqual([line.kind, line.verdict], ['acceptedLoss', 'lost']);
  deepEqual(line.lost, [{ from: '10', to: '11' }]);
});

test('ranges that are none, and directories that are none', async () => {
  const terminal = await aTerminal({ n1: [10] });
  for (const range of ['', 'x', '0', '5-4', '1-2-3', '-1']) {
    equal(await terminal.run('recover', `--accept-loss=${range}`, '/n1'), 2, range);
  }
  equal(await terminal.run(...LOST, '/nowhere'), 3);
  equal(await terminal.run(...LOST, '/n1', '/n1'), 4);
  match(terminal.stderr.text, /given twice/);
});

const LENGTH = 12;

/** Apart and in order, of a set of entries. */
function rangesOf(entries: readonly number[]): readonly EntryRange[] {
  const starts = entries.filter((entry) => !entries.includes(entry - 1));
  return starts.map((from) => {
    let to = from;
    while (entries.includes(to + 1)) to += 1;
    return { from: LogIndex(from), to: LogIndex(to) };
  });
}

test('lost is exactly what every directory lacks', () => {
  const entries = fc
    .uniqueArray(fc.integer({ min: 1, max: LENGTH }))
    .map((all) => all.sort(byNumber));
  fc.assert(
    fc.property(fc.array(entries, { minLength: 1, maxLength: 3 }), (lacks) => {
      const holdings = lacks.map((missing, i) => ({
        survivor: aSurvivor(`n${i + 1}`),
        missing: rangesOf(missing),
      }));
      const all = ['n1', 'n2', 'n3'].map(NodeId);
      const verdict = judgeLoss(holdings, all);
      const [first = []] = lacks;
      const want = rangesOf(first.filter((entry) => lacks.every((one) => one.includes(entry))));
      if (want.length === 0) equal(verdict.kind, 'held');
      else deepEqual(verdict.kind === 'lost' && verdict.ranges, want);
      const alone = judgeLoss(holdings, []);
      equal(alone.kind === 'unasked', want.length > 0 && lacks.length < 3);
    }),
    {
      examples: [
        [
          [
            [1, 2, 5],
            [2, 3, 5],
          ],
        ],
        [[[1]]],
        [[[]]],
      ],
    },
  );
});

function byNumber(a: number, b: number): number {
  return a - b;
}

function aSurvivor(node: string): Survivor {
  return {
    ...{
      directory: `/${node}`,
      clusterId: 'c',
      groupId: 'g',
      nodeId: NodeId(node),
      storeUuid: 's',
    },
    ...{ term: 1, lastIndex: LogIndex(LENGTH), lastTerm: 1, provenCommitIndex: LogIndex(LENGTH) },
    ...{ membership: RECOVERED_GROUP, peersMet: [], problem: null },
    traffic: { lastAtMs: null, provenAtMs: null, messagesPerSecond: 0 },
  } as unknown as Survivor;
}

/** Which test shows which hazard of storage, identity and wire. test/hazards.test.ts holds it to the tests that exist. */

/** A named test, or a scenario file (then the name is the file's). */
export interface Evidence {
  readonly file: string;
  /** As it stands in the file, up to what a template fills in. */
  readonly test: string;
}

export interface Hazard {
  readonly id: string;
  readonly what: string;
  /** On modelled disks, network and time. */
  readonly scenarios: readonly Evidence[];
  /** Real processes on real disks; empty where neither disk nor kernel can matter. */
  readonly processes: readonly Evidence[];
}

const HAZARDS_FILE = 'test/stack/hazards.test.ts';
const STORE = 'src/store';
const INTEROP = 'test/interop';

const at = (folder: string, file: string, test: string): Evidence => ({
  file: `${folder}/${file}`,
  test,
});
const stack = (test: string): Evidence => ({ file: HAZARDS_FILE, test });
const script = (name: string): Evidence => at('test/sim/scenarios', name, name);

export const HAZARDS: readonly Hazard[] = [
  {
    id: 'H1',
    what: 'acknowledged before it is synced',
    scenarios: [
      stack('H1: power fails in the very moment of an acknowledgement'),
      at(STORE, 'last-two-writes.test.ts', 'every subset of the sectors of the last two writes'),
    ],
    processes: [
      at(INTEROP, 'power-cut.long.test.ts', 'of the leader: the others go on'),
      at(INTEROP, 'power-cut.test.ts', 'of the leader and a follower at once'),
      at(INTEROP, 'power-cut.test.ts', 'of all three at once'),
    ],
  },
  {
    id: 'H2',
    what: 'a sync fails once, then "succeeds"',
    scenarios: [
      stack('H2: a sync fails once and leaves a page cache that lies'),
      at(STORE, 'crash.test.ts', 'at any point is fatal, completes nothing, and loses nothing'),
    ],
    processes: [
      at(INTEROP, 'disk-error.test.ts', 'the process ends with 74 and a note'),
      at(INTEROP, 'disk-error.long.test.ts', 'three times within an hour'),
    ],
  },
  {
    id: 'H3',
    what: 'torn tail',
    scenarios: [
      stack('H3: the last writes are torn, at every step of them'),
      at(STORE, 'recovery.test.ts', 'every subset of the sectors of the last batch'),
      at(STORE, 'recovery.test.ts', 'a cut at any byte leaves the whole entries above W'),
    ],
    processes: [at(INTEROP, 'power-cut.test.ts', 'of all three at once')],
  },
  {
    id: 'H4',
    what: 'rot below the tail',
    scenarios: [
      stack('H4: a bit rots in what was durable'),
      script('log-repair.txt'),
      at(STORE, 'every-byte.test.ts', 'one flipped bit at every byte of every file'),
      at(STORE, 'repair/all-damage.test.ts', 'three logs whose damage does not overlap heal'),
      at(STORE, 'repair/batch-power-cut.test.ts', 'each subset of the sectors of a batch'),
    ],
    processes: [
      at(
        INTEROP,
        'rot-under-load.long.test.ts',
        'of one node, then of all three in different places',
      ),
      at(INTEROP, 'repair.long.test.ts', 'another entry damaged on each of three nodes'),
    ],
  },
  {
    id: 'H5',
    what: 'misdirected and lost writes',
    scenarios: [
      stack('H5: a write that went elsewhere or nowhere is found'),
      at(STORE, 'repair/log-repairer.test.ts', 'a stale entry that passes all checks is found'),
    ],
    processes: [],
  },
  {
    id: 'H6',
    what: 'a secondary file overrules the log',
    scenarios: [
      stack('H6: derived state is lost on each node in turn'),
      at(STORE, 'every-byte.test.ts', 'every combination of kept, missing and stale files'),
    ],
    processes: [at(INTEROP, 'repair.test.ts', 'a deleted segment file comes back')],
  },
  {
    id: 'H7',
    what: 'a term or vote is forgotten',
    scenarios: [
      stack('H7: power fails while a vote is written'),
      script('vote-survives-crash.txt'),
      at(STORE, 'superblock.test.ts', 'a vote cut by a power failure at any step'),
    ],
    processes: [at(INTEROP, 'power-cut.test.ts', 'of the leader and a follower at once')],
  },
  {
    id: 'H8',
    what: 'directory entries, several files at once',
    scenarios: [
      stack('H8: names of files that were not synced are lost'),
      at(STORE, 'base-crash.test.ts', 'a crash at any step of'),
      script('snapshot-crash.txt'),
    ],
    processes: [at(INTEROP, 'power-cut.test.ts', 'of all three at once')],
  },
  {
    id: 'H9',
    what: 'bytes damaged in memory',
    scenarios: [stack('H9: a bit that flips in memory on its way to the disk')],
    processes: [],
  },
  {
    id: 'H10',
    what: 'full disk',
    scenarios: [
      stack('H10: disks are full, of the leader, of a follower and of all, and freed'),
      at(STORE, 'full-disk.test.ts', 'a write that has waited for room does not count as hung'),
    ],
    processes: [
      at(INTEROP, 'disk-full.test.ts', 'of the leader: sends are refused with the number'),
      at(INTEROP, 'disk-full.test.ts', 'of a follower, to the last byte'),
      at(INTEROP, 'disk-full.test.ts', 'of all, to the last byte'),
      at(INTEROP, 'full-file-system.test.ts', 'a log writes entries, votes and notes'),
    ],
  },
  {
    id: 'H11',
    what: 'slow or hung disk',
    scenarios: [
      stack('H11: disks hang for a while'),
      at('test/stack', 'leader-trouble.test.ts', 'a leader whose disk hangs gives way'),
      script('disk-stall.txt'),
    ],
    processes: [
      at(INTEROP, 'disk-error.test.ts', 'the disk of the leader hangs: another one leads'),
    ],
  },
  {
    id: 'H16',
    what: 'what was compacted is asked for, or taken for a conflict',
    scenarios: [
      script('behind-the-base.txt'),
      at(
        'test/replica',
        'snapshots.test.ts',
        'a follower that was away while the log was compacted',
      ),
      at('test/broker', 'reads-beside-compaction.test.ts', 'a message that goes between'),
    ],
    processes: [],
  },
  {
    id: 'H17',
    what: 'retention deletes what is needed',
    scenarios: [
      stack('H17: retention runs beside a follower at a trickle'),
      stack('H17: all followers are down while retention runs'),
      at('test/broker', 'retention.test.ts', 'nothing goes as long as the replica needs it'),
    ],
    processes: [
      at(INTEROP, 'snapshot.test.ts', 'a follower is away while the log is compacted under load'),
      at(INTEROP, 'snapshot.long.test.ts', 'while all followers but one are away, nothing goes'),
      at(
        INTEROP,
        'retention.long.test.ts',
        'consumers that are before the beginning of their queues',
      ),
    ],
  },
  {
    id: 'H18',
    what: 'installation of a snapshot',
    scenarios: [
      stack('H18: power fails in each step of an installation'),
      stack('H18: another leader, and with it another snapshot'),
      script('snapshot-crash.txt'),
      script('snapshot-append-race.txt'),
      script('snapshot-stale.txt'),
      at(STORE, 'base-crash.test.ts', 'a crash at any step of'),
      at(STORE, 'derived/stage-database.test.ts', 'a process that ends at any step of staging'),
    ],
    processes: [
      at(INTEROP, 'snapshot.test.ts', 'killed twice while it installs a snapshot'),
      at(INTEROP, 'snapshot.long.test.ts', 'power is cut at each step of an installation'),
    ],
  },
  {
    id: 'H19',
    what: 'applied index apart from derived state',
    scenarios: [
      stack('H19: nodes die at any step of applying'),
      at(STORE, 'derived/state-machine.test.ts', 'what can be observed equals the plain model'),
    ],
    processes: [at(INTEROP, 'failover.test.ts', 'kill -9 of all three at once')],
  },
  {
    id: 'H21',
    what: 'two nodes of one name, a foreign peer',
    scenarios: [
      stack('H21: a clone runs beside its original'),
      at('test/replica', 'rollback.test.ts', 'a clone that is started beside its original'),
    ],
    processes: [
      at(INTEROP, 'wrong-directory.long.test.ts', 'a clone does not start'),
      at(INTEROP, 'doubled-directory.long.test.ts', 'one of a clone and its original is refused'),
      at(INTEROP, 'hostile-handshake.test.ts', 'another cluster'),
    ],
  },
  {
    id: 'H22',
    what: 'a wiped voter',
    scenarios: [
      stack('H22: a follower is wiped when its acknowledgements decide'),
      script('lost-disk.txt'),
    ],
    processes: [
      at(INTEROP, 'decisive-wipe.long.test.ts', 'it elects nobody, is refused'),
      at(
        INTEROP,
        'wrong-directory.long.test.ts',
        'a wiped node and one restored from an older copy',
      ),
    ],
  },
  {
    id: 'H23',
    what: 'an older copy of a directory',
    scenarios: [
      stack('H23: an older image comes back'),
      at('test/replica', 'rollback.test.ts', 'an image of the same start is refused'),
    ],
    processes: [
      at(
        INTEROP,
        'wrong-directory.long.test.ts',
        'a wiped node and one restored from an older copy',
      ),
      at(INTEROP, 'doubled-directory.long.test.ts', 'an older copy under a new leader too'),
    ],
  },
  {
    id: 'H28',
    what: 'bytes on the wire',
    scenarios: [stack('H28: bytes flip on the wire')],
    processes: [at(INTEROP, 'hostile.test.ts', 'hung up on at every port, and everything goes on')],
  },
];

/** Rows of the table in docs/TESTING.md. */
export function hazardTable(): string {
  const cell = (evidence: readonly Evidence[]): string =>
    evidence.length === 0 ? '-' : [...fileNames(evidence)].join(', ');
  const rows = HAZARDS.map(({ id, what, scenarios, processes }) => {
    return `| ${id} | ${what} | ${cell(scenarios)} | ${cell(processes)} |`;
  });
  return ['| hazard | | scenario | process test |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}

/** Each file with the words by which its tests are found. */
function fileNames(evidence: readonly Evidence[]): Iterable<string> {
  const testsOf = new Map<string, string[]>();
  for (const { file, test } of evidence) {
    testsOf.set(file, [...(testsOf.get(file) ?? []), ...(file.endsWith('.ts') ? [test] : [])]);
  }
  return [...testsOf].map(([file, tests]) => {
    const words = tests.map((test) => `"${test}"`).join(', ');
    return words === '' ? `\`${file}\`` : `\`${file}\` ${words}`;
  });
}

/** Planted bugs of the log, of elections and of the disk below them. */
import { advance, LogIndex } from '../../src/base/units.ts';
import { standardRules } from '../../src/raft/rules.ts';
import { type Canary, withRules } from './canary.ts';
import { NO_BUGS } from './planted-bugs.ts';

export const DISK_CASES: readonly Canary[] = [
  {
    id: 'C1',
    bug: 'The driver sends replies without waiting for the disk',
    hazard: 'H1',
    bugs: { ...NO_BUGS, driver: 'repliesBeforeDurable' },
    witnesses: [
      { muted: [], foundBy: ['N5'], profile: 'slow-disk-3', seedCountMax: 2 },
      { muted: ['N5', 'N1'], foundBy: ['I7'], profile: 'slow-disk-3', seedCountMax: 10 },
      {
        muted: ['N5', 'N1', 'I7', 'I6', 'core'],
        foundBy: ['I1', 'I4', 'I5', 'I8', 'I9', 'I10'],
        profile: 'slow-disk-3',
        seedCountMax: 100,
      },
    ],
  },
  {
    id: 'count-undurable',
    bug: 'The core counts entries that are not on disk yet',
    hazard: 'H1',
    bugs: withRules({ countableIndex: (lastIndex) => lastIndex }),
    witnesses: [
      { muted: [], foundBy: ['N5', 'I7'], profile: 'slow-disk-3', seedCountMax: 2 },
      { muted: ['N5', 'N1', 'N2'], foundBy: ['I7'], profile: 'slow-disk-3', seedCountMax: 10 },
      {
        muted: ['N5', 'N1', 'N2', 'I7'],
        foundBy: ['I6'],
        profile: 'slow-disk-3',
        seedCountMax: 10,
      },
    ],
  },
  {
    id: 'C2',
    bug: 'The vote does not survive a restart',
    hazard: 'H7',
    bugs: { ...NO_BUGS, disk: 'votesForgotten' },
    witnesses: [
      { muted: [], foundBy: ['N1'], profile: 'elections-3', seedCountMax: 50 },
      { muted: ['N1'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'C3',
    bug: 'The term does not survive a restart',
    hazard: 'H7',
    bugs: { ...NO_BUGS, disk: 'termsForgotten' },
    witnesses: [
      { muted: [], foundBy: ['N1'], profile: 'elections-3', seedCountMax: 20 },
      { muted: ['N1', 'N5', 'E1'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'C14',
    bug: 'A cut removes entries front to back, and a crash in between leaves a hole',
    hazard: 'H13',
    bugs: { ...NO_BUGS, disk: 'cutsFrontToBack' },
    witnesses: [{ muted: [], foundBy: ['N4'], profile: 'cut-and-crash-3', seedCountMax: 50 }],
  },
  {
    id: 'C15',
    bug: 'A finished write counts although a queued cut will remove what it wrote',
    hazard: 'H14',
    bugs: withRules({ durableAfter: (lastIndex) => lastIndex }),
    witnesses: [
      { muted: [], foundBy: ['N5', 'N2', 'I7', 'core'], profile: 'slow-disk-3', seedCountMax: 50 },
    ],
  },
  {
    id: 'C25',
    bug: 'Segments of the old log outlive the installation of a snapshot',
    hazard: 'H18',
    bugs: { ...NO_BUGS, disk: 'keepsLogOverSnapshot' },
    witnesses: [
      { muted: [], foundBy: ['I3', 'I4', 'N4'], profile: 'crashed-installs-3', seedCountMax: 100 },
    ],
  },
];

export const ELECTION_CASES: readonly Canary[] = [
  {
    id: 'vote-before-durable',
    bug: 'A granted vote leaves before it is on disk',
    hazard: 'H7',
    bugs: withRules({ voteWaitsForDisk: () => false }),
    witnesses: [
      { muted: [], foundBy: ['N5'], profile: 'elections-3', seedCountMax: 2 },
      { muted: ['N5'], foundBy: ['N1'], profile: 'elections-3', seedCountMax: 50 },
      { muted: ['N5', 'N1'], foundBy: ['I1'], profile: 'split-votes-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'two-votes',
    bug: 'A voter says yes to every candidate of a term',
    hazard: 'H7',
    bugs: { ...NO_BUGS, driver: 'grantsEveryVote' },
    witnesses: [
      { muted: [], foundBy: ['N1', 'N5'], profile: 'elections-3', seedCountMax: 2 },
      { muted: ['N1', 'N5'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'C30',
    bug: 'Heartbeats keep a leader in place whose disk is stalled',
    hazard: 'H11',
    bugs: withRules({ stalledLeaderStepsDown: () => false }),
    witnesses: [{ muted: [], foundBy: ['L8'], profile: 'slow-disk-3', seedCountMax: 20 }],
  },
  {
    id: 'C31',
    bug: 'A node campaigns without asking first whether it could win',
    hazard: 'H27',
    bugs: withRules({ asksBeforeCampaign: () => false }),
    witnesses: [{ muted: [], foundBy: ['E1'], profile: 'churn-3', seedCountMax: 2 }],
  },
  {
    id: 'C34',
    bug: 'The log of a candidate is judged before its term, which is then not taken over',
    hazard: 'H12',
    bugs: withRules({ adoptsTermOfStaleCandidate: () => false }),
    witnesses: [{ muted: [], foundBy: ['N7'], profile: 'churn-3', seedCountMax: 50 }],
  },
  {
    id: 'C39',
    bug: 'Leadership is handed to whoever was named, however far behind it is',
    hazard: 'H11',
    bugs: withRules({ mayHandOverTo: () => true }),
    witnesses: [{ muted: [], foundBy: ['L9'], profile: 'transfers-3', seedCountMax: 50 }],
  },
];

export const LOG_CASES: readonly Canary[] = [
  {
    id: 'C4',
    bug: 'A leader commits entries of older terms by counting copies (Raft figure 8)',
    hazard: 'H12',
    bugs: withRules({ mayCommitByCounting: () => true }),
    witnesses: [
      { muted: [], foundBy: ['L2'], profile: 'churn-3', seedCountMax: 10 },
      {
        muted: ['L2', 'L6', 'L7', 'O3'],
        foundBy: ['I4', 'I5', 'I7', 'I9', 'I10', 'N3'],
        profile: 'figure-8-3',
        seedCountMax: 400,
      },
    ],
  },
  {
    id: 'C5',
    bug: 'Every append cuts what the follower has from its first entry on, conflict or not',
    hazard: 'H13',
    bugs: withRules({
      cutFrom: (log, incoming) => {
        const first = incoming[0]?.index ?? LogIndex(0);
        return first > 0 && first <= log.lastIndex ? first : null;
      },
    }),
    witnesses: [{ muted: [], foundBy: ['N3', 'core'], profile: 'replay-3', seedCountMax: 2 }],
  },
  {
    id: 'C6',
    bug: 'A follower appends without asking whether the term of the entry before matches',
    hazard: 'H12',
    bugs: withRules({ matchesPrev: (ours) => ours !== 'absent' }),
    witnesses: [{ muted: [], foundBy: ['I3', 'core'], profile: 'churn-3', seedCountMax: 20 }],
  },
  {
    id: 'C7',
    bug: 'An append that is shorter than the log cuts the rest of it',
    hazard: 'H13',
    bugs: withRules({
      cutFrom: (log, incoming) => {
        const conflict = standardRules.cutFrom(log, incoming);
        const last = incoming.at(-1)?.index;
        if (conflict !== null || last === undefined || last >= log.lastIndex) return conflict;
        return advance(last, 1);
      },
    }),
    witnesses: [{ muted: [], foundBy: ['N3', 'core'], profile: 'replay-3', seedCountMax: 5 }],
  },
  {
    id: 'C8',
    bug: 'A heartbeat, which is an append without entries, lets a follower commit what it never matched',
    hazard: 'H12',
    bugs: { ...NO_BUGS, driver: 'heartbeatsCommitPastMatch' },
    witnesses: [{ muted: [], foundBy: ['I4'], profile: 'churn-3', seedCountMax: 50 }],
  },
  {
    id: 'ack-unapplied',
    bug: 'Clients are told of success when the leader has appended',
    hazard: 'H29',
    bugs: { ...NO_BUGS, driver: 'acknowledgesUnapplied' },
    witnesses: [{ muted: [], foundBy: ['I8'], profile: 'churn-3', seedCountMax: 10 }],
  },
  {
    id: 'C24',
    bug: 'A snapshot replaces a log that holds more than it',
    hazard: 'H18',
    bugs: withRules({ snapshotReplacesLog: () => true }),
    witnesses: [
      { muted: [], foundBy: ['N3', 'core'], profile: 'old-snapshots-3', seedCountMax: 50 },
    ],
  },
  {
    id: 'C32',
    bug: 'An entry that was compacted counts as a conflict',
    hazard: 'H16',
    bugs: withRules({ matchesPrev: (ours, theirs) => ours === theirs }),
    witnesses: [{ muted: [], foundBy: ['core'], profile: 'snapshots-3', seedCountMax: 50 }],
  },
];

/** Planted bugs of membership, of identity and of reads. */
import { type Canary, withRules } from './canary.ts';
import type { InvariantId } from './checkers/violation.ts';
import { NO_BUGS } from './planted-bugs.ts';

/** All that notice at once when the wrong nodes decide. */
const DECIDED_WRONGLY: readonly InvariantId[] = ['E1', 'L6', 'L7', 'L8', 'L9', 'I7'];

export const MEMBERSHIP_CASES: readonly Canary[] = [
  {
    id: 'C16',
    bug: 'A new leader changes the membership before it has committed anything of its term',
    hazard: 'H20',
    bugs: withRules({ mayChangeMembership: ({ hasChangeInFlight }) => !hasChangeInFlight }),
    witnesses: [{ muted: [], foundBy: ['L7'], profile: 'membership-3', seedCountMax: 200 }],
  },
  {
    id: 'C17',
    bug: 'A leader begins a change while another one is open',
    hazard: 'H20',
    bugs: withRules({ mayChangeMembership: ({ hasCommittedInOwnTerm }) => hasCommittedInOwnTerm }),
    // The core's own assertion is quicker than any checker.
    witnesses: [{ muted: [], foundBy: ['L7', 'core'], profile: 'membership-3', seedCountMax: 100 }],
  },
  {
    id: 'C18',
    bug: 'Learners count like voters',
    hazard: 'H20',
    bugs: withRules({
      decidingSets: ({ voters, outgoing, learners }) => {
        const all = [...voters, ...learners];
        return outgoing.length > 0 ? [all, outgoing] : [all];
      },
    }),
    witnesses: [
      { muted: ['E1', 'L6', 'L8'], foundBy: ['I7'], profile: 'membership-3', seedCountMax: 50 },
      // A majority of the wrong nodes elects and commits nothing once the right ones are gone.
      { muted: DECIDED_WRONGLY, foundBy: ['V1', 'V2'], profile: 'membership-3', seedCountMax: 20 },
    ],
  },
  {
    id: 'C19',
    bug: 'In a joint phase the new set of voters decides alone',
    hazard: 'H20',
    bugs: withRules({ decidingSets: ({ voters }) => [voters] }),
    witnesses: [
      { muted: ['E1', 'L6', 'L8'], foundBy: ['I7'], profile: 'membership-3', seedCountMax: 100 },
    ],
  },
  {
    id: 'C20',
    bug: 'A membership stays in force when its entry is cut from the log',
    hazard: 'H20',
    bugs: withRules({ rollsBackMembership: () => false }),
    witnesses: [{ muted: [], foundBy: ['G1', 'core'], profile: 'membership-3', seedCountMax: 200 }],
  },
  {
    id: 'C38',
    bug: 'What a removed voter acknowledges still counts',
    hazard: 'H20',
    bugs: withRules({
      forgetsRemovedPeers: () => false,
      decidingSets: ({ voters, outgoing, removed }) =>
        outgoing.length > 0 ? [voters, outgoing] : [[...voters, ...removed]],
    }),
    witnesses: [
      { muted: ['E1', 'L6', 'L8'], foundBy: ['I7'], profile: 'membership-3', seedCountMax: 100 },
      // A majority of the wrong nodes elects and commits nothing once the right ones are gone.
      { muted: DECIDED_WRONGLY, foundBy: ['V1', 'V2'], profile: 'membership-3', seedCountMax: 20 },
    ],
  },
];

export const IDENTITY_CASES: readonly Canary[] = [
  {
    id: 'C21',
    bug: 'A voter whose directory was wiped votes and acknowledges as before',
    hazard: 'H22',
    bugs: { ...NO_BUGS, identity: 'wipedVoterVotes' },
    witnesses: [
      { muted: [], foundBy: ['N8'], profile: 'identity-3', seedCountMax: 20 },
      {
        muted: ['N8', 'N1'],
        foundBy: ['I1', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10'],
        profile: 'identity-3',
        seedCountMax: 200,
      },
    ],
  },
  {
    id: 'C22',
    bug: 'The handshake does not compare store ids',
    hazard: 'H21',
    bugs: { ...NO_BUGS, identity: 'storeNotChecked' },
    witnesses: [{ muted: [], foundBy: ['N8'], profile: 'identity-3', seedCountMax: 50 }],
  },
  {
    id: 'C23',
    bug: 'An older copy of a directory is taken for the directory',
    hazard: 'H23',
    bugs: { ...NO_BUGS, identity: 'oldImageAccepted' },
    witnesses: [
      { muted: [], foundBy: ['N8'], profile: 'identity-3', seedCountMax: 20 },
      {
        muted: ['N8', 'N1', 'E1'],
        foundBy: ['I1', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10'],
        profile: 'identity-3',
        seedCountMax: 200,
      },
    ],
  },
];

export const READ_CASES: readonly Canary[] = [
  {
    id: 'C27',
    bug: 'An answer to an earlier round of heartbeats confirms a read',
    hazard: 'H24',
    bugs: withRules({ roundConfirms: (answered, asked) => answered >= asked - 1 }),
    witnesses: [
      { muted: [], foundBy: ['L6'], profile: 'reads-3', seedCountMax: 5 },
      { muted: ['L6'], foundBy: ['O3'], profile: 'reads-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'C28',
    bug: 'A new leader reads before it has committed in its own term',
    hazard: 'H24',
    bugs: withRules({ readWaitsForOwnTermCommit: () => false }),
    witnesses: [
      { muted: [], foundBy: ['L6'], profile: 'reads-3', seedCountMax: 20 },
      { muted: ['L6'], foundBy: ['O3'], profile: 'reads-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'C29',
    bug: 'A leader answers reads because it was leader a moment ago',
    hazard: 'H25',
    bugs: withRules({ readWaitsForRound: () => false }),
    witnesses: [
      { muted: [], foundBy: ['L6'], profile: 'reads-3', seedCountMax: 5 },
      { muted: ['L6'], foundBy: ['O3'], profile: 'reads-3', seedCountMax: 100 },
    ],
  },
];

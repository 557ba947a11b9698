/** Planted mistakes of administration and of changing members, and what must find them (canaries.ts). */
import type { StackCanary, StackWitness } from './canaries.ts';
import type { CheckId } from './check-id.ts';
import {
  believesAppended,
  countsRemoved,
  forgetsIfConfig,
  forgetsRemoved,
  forgetsRetiredStores,
  ignoresConfig,
  takesAllForLive,
  takesAnyLock,
  takesAnyToken,
  takesNoLock,
} from './planted/careless-admin.ts';
import { NO_BUGS } from './stack-bugs.ts';

const SEED_COUNT_MAX = 60;

function witness(
  profile: string,
  foundBy: readonly CheckId[],
  fromSeed: number,
  muted: readonly CheckId[] = [],
): StackWitness {
  return { profile, foundBy, muted, fromSeed, seedCountMax: SEED_COUNT_MAX };
}

export const MEMBERSHIP_CANARIES: readonly StackCanary[] = [
  {
    id: 'C19',
    bug: 'In a joint phase the new set of voters decides alone, in every core of the stack',
    bugs: { ...NO_BUGS, coreRules: { decidingSets: ({ voters }) => [voters] } },
    witnesses: [witness('membership-crash', ['I7', 'M7'], 30)],
  },
  {
    id: 'removed-decides',
    bug: 'Whoever was removed last still belongs to those who decide',
    bugs: { ...NO_BUGS, coreRules: { decidingSets: countsRemoved } },
    witnesses: [witness('membership-calm', ['L1', 'L2', 'L3', 'M4'], 3)],
  },
  {
    id: 'lock-for-all',
    bug: 'An operation takes the lock from whoever has it',
    bugs: { ...NO_BUGS, wrapAdminReplica: takesAnyLock },
    witnesses: [witness('membership-calm', ['M1'], 1)],
  },
  {
    id: 'no-lock',
    bug: 'An operation writes down that it begins, and takes no lock',
    bugs: { ...NO_BUGS, wrapAdminReplica: takesNoLock },
    witnesses: [witness('membership-calm', ['M1'], 1)],
  },
  {
    id: 'no-cas',
    bug: 'The config entry that was asked for is not compared with the one in force',
    bugs: { ...NO_BUGS, wrapAdminReplica: ignoresConfig, wrapAdmin: forgetsIfConfig },
    witnesses: [witness('membership-calm', ['M1'], 8)],
  },
  {
    id: 'done-too-early',
    bug: 'A change is called done when it is appended',
    bugs: { ...NO_BUGS, wrapAdminReplica: believesAppended },
    witnesses: [witness('membership-calm', ['M4', 'M5'], 5)],
  },
  {
    id: 'all-live',
    bug: 'Checks take every member for live',
    bugs: { ...NO_BUGS, wrapAdminReplica: takesAllForLive },
    witnesses: [witness('membership-disk', ['M6', 'L3'], 10)],
  },
  {
    id: 'any-token',
    bug: 'A token lets in another node than its own',
    bugs: { ...NO_BUGS, wrapAdminReplica: takesAnyToken },
    witnesses: [witness('membership-crash', ['M3'], 4)],
  },
  {
    id: 'store-again',
    bug: 'The store of a node that was removed is let in under another id',
    bugs: { ...NO_BUGS, wrapAdminReplica: forgetsRetiredStores },
    witnesses: [witness('membership-crash', ['M3'], 25)],
  },
  {
    id: 'tombstone-forgotten',
    bug: 'Handshakes do not know who was removed',
    bugs: { ...NO_BUGS, wrapRoster: forgetsRemoved },
    witnesses: [witness('membership-crash', ['M3'], 1)],
  },
];

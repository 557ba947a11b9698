/** Administration that is careless in one way each. Everything below it, the log included, is that of production. */
import type { NodeId } from '../../../src/base/units.ts';
import type { Admin } from '../../../src/broker/admin/admin.ts';
import type { AdminDeed } from '../../../src/protocol/admin-command.ts';
import { encodeCommandRecord } from '../../../src/protocol/command-record.ts';
import { recordsOf } from '../../../src/protocol/records.ts';
import type { LoggedMembership, Membership } from '../../../src/raft/membership.ts';
import type { ProposeOutcome, RecordsProposal, Replica } from '../../../src/replica/replica.ts';
import type { AdminOutcome } from '../../../src/store/derived/admin-view.ts';
import { withOverrides } from './with-overrides.ts';

/** An operation takes the lock from whoever has it, without being told to. */
export function takesAnyLock(replica: Replica): Replica {
  return withDeeds(hidesLock(replica), (deed) =>
    deed.kind === 'takeLock' ? { ...deed, steal: true } : deed,
  );
}

/** An operation writes down that it begins, and takes no lock. */
export function takesNoLock(replica: Replica): Replica {
  return withDeeds(replica, (deed) => (deed.kind === 'takeLock' ? { kind: 'note' } : deed));
}

/** Whatever is in force when the change is appended is taken for what was looked at. */
export function ignoresConfig(replica: Replica): Replica {
  return withOverrides(replica, {
    changeMembership: (steps) => replica.changeMembership(steps, replica.status().membership.index),
  });
}

export function forgetsIfConfig(admin: Admin): Admin {
  return withOverrides(admin, {
    answer: (call, signal) =>
      admin.answer({ ...call, options: { ...call.options, ifConfig: null } }, signal),
  });
}

/** What is appended is taken for committed, and a joint phase for its end. */
export function believesAppended(replica: Replica): Replica {
  return withOverrides(replica, {
    status: () => {
      const status = replica.status();
      const { index, membership } = status.membership;
      const settled = { index, membership: { ...membership, outgoing: [] } };
      return { ...status, membership: settled, isMembershipCommitted: true };
    },
  });
}

/** Nobody is ever down. */
export function takesAllForLive(replica: Replica): Replica {
  return withOverrides(replica, {
    status: () => {
      const status = replica.status();
      const peers = status.peers.map((peer) => ({
        ...{ ...peer, connected: true, isActive: true },
        ...{ lagBytes: 0, isDiskStalled: false },
      }));
      return { ...status, peers };
    },
  });
}

/** Any token lets in any node: one that was voided, or is for another one. */
export function takesAnyToken(replica: Replica): Replica {
  return withOutcomes(replica, 'noToken');
}

/** The store of a node that left is a store like any other. */
export function forgetsRetiredStores(replica: Replica): Replica {
  return withOutcomes(replica, 'storeRetired');
}

/** Handshakes do not know who was removed. */
export function forgetsRemoved({ index, membership }: LoggedMembership): LoggedMembership {
  return { index, membership: { ...membership, removed: [] } };
}

/** Whoever was removed last still belongs to those who decide. */
export function countsRemoved({ voters, outgoing, removed }: Membership): readonly NodeId[][] {
  const last = removed.slice(-1);
  return (outgoing.length === 0 ? [voters] : [voters, outgoing]).map((set) => [...set, ...last]);
}

function hidesLock(replica: Replica): Replica {
  return withOverrides(replica, {
    get state() {
      const { admin } = replica.state;
      return withOverrides(replica.state, { admin: withOverrides(admin, { lock: null }) });
    },
  });
}

function withDeeds(replica: Replica, deedOf: (deed: AdminDeed) => AdminDeed): Replica {
  return withOverrides(replica, {
    propose: (proposal, onQueued) => {
      const [record] = recordsOf(proposal.records);
      if (record?.kind !== 'command' || record.command.kind !== 'admin') {
        return replica.propose(proposal, onQueued);
      }
      const { command } = record;
      const records = encodeCommandRecord({ ...command, deed: deedOf(command.deed) });
      return replica.propose({ ...proposal, records }, onQueued);
    },
  });
}

/** One reason to say no is taken for a yes. */
function withOutcomes(replica: Replica, forgiven: AdminOutcome): Replica {
  return withOverrides(replica, {
    propose: async (proposal: RecordsProposal, onQueued?: () => void): Promise<ProposeOutcome> => {
      const outcome = await replica.propose(proposal, onQueued);
      if (outcome.kind !== 'applied') return outcome;
      const results = outcome.results.map((result) =>
        result.kind === 'adminApplied' && result.outcome === forgiven
          ? { ...result, outcome: 'done' as const }
          : result,
      );
      return { ...outcome, results };
    },
  });
}

/** By what the situations of marks.ts are recognised, a watcher per subject. */
import type { NodeId } from '../../src/base/units.ts';
import type {
  ChangeResult,
  Effect,
  PersistEffect,
  TransferResult,
} from '../../src/raft/effects.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import {
  type ChangeProblem,
  isJoint,
  isMember,
  isVoter,
  type LoggedMembership,
} from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import { entryKey } from './checkers/entry-registry.ts';
import type { Checker, Step, Switchboard } from './checkers/observers.ts';
import type { Mark } from './marks.ts';
import { leaderOf } from './members.ts';
import type { SimNode } from './node.ts';
import { ELECTION_TICKS_MIN } from './timing.ts';
import type { World } from './world.ts';

type Hit = (mark: Mark) => void;

export function addWatchers(switchboard: Switchboard, world: World, hit: Hit): void {
  switchboard.add(electionWatcher(world, hit));
  switchboard.add(pollWatcher(hit));
  switchboard.add(logWatcher(hit));
  switchboard.add(snapshotWatcher(world, hit));
  switchboard.add(membershipWatcher(hit));
  switchboard.add(changeWatcher(hit));
  switchboard.add(transferWatcher(hit));
  switchboard.add(readWatcher(hit));
}

function electionWatcher(world: World, hit: Hit): Checker {
  /** Per leader, the tick of its life at which it heard each peer last. */
  const heard = new Map<SimNode, Map<NodeId, number>>();
  const ticks = new Map<SimNode, number>();

  function hearsMajority(node: SimNode): boolean {
    const { voters } = node.membership.membership;
    const now = ticks.get(node) ?? 0;
    const heardAt = heard.get(node);
    const active = voters.filter((id) => {
      return id === node.id || now - (heardAt?.get(id) ?? 0) < ELECTION_TICKS_MIN;
    });
    return active.length > voters.length / 2;
  }

  return {
    elected(node: SimNode): void {
      hit('elected');
      ticks.set(node, ELECTION_TICKS_MIN);
      heard.set(node, new Map(world.nodes.map(({ id }) => [id, ELECTION_TICKS_MIN])));
      const newest = leaderOf(world.nodes);
      if (newest !== undefined && newest.status.term > node.status.term) {
        hit('electedBehindNewerLeader');
      }
    },
    stepped({ node, input, before, after }: Step): void {
      if (input.kind === 'diskHealth' && input.isStalled) {
        hit('diskStalled');
        if (before.role === 'leader' && after.role !== 'leader') hit('steppedDownDiskStalled');
      }
      if (before.role !== 'leader') return;
      if (input.kind === 'resumed') hit('resumedAsLeader');
      if (input.kind === 'receive') heard.get(node)?.set(input.from, ticks.get(node) ?? 0);
      if (input.kind !== 'tick') return;
      ticks.set(node, (ticks.get(node) ?? 0) + 1);
      if (after.role === 'leader' || after.term !== before.term) return;
      hit(hearsMajority(node) ? 'steppedDownWithoutProgress' : 'steppedDownUnheard');
    },
    released(node: SimNode, to: NodeId, message: Message): void {
      if (message.kind === 'voteReply') {
        if (!message.granted) hit('voteRefused');
        else if (node.status.membership.membership.learners.includes(node.id)) {
          hit('voteGrantedByLearner');
        }
        if (!message.granted && node.status.isDiskStalled) hit('voteRefusedDiskStalled');
      }
      if (message.kind !== 'preVoteReply') return;
      const { leader } = node.status;
      if (message.granted && leader === to) hit('preVoteGrantedToOwnLeader');
      if (!message.granted && leader !== null && leader !== to) hit('preVoteRefusedBySticky');
      if (message.hasTornTail) hit('tornTailReported');
    },
  };
}

/** Pre-candidates that could go on and wait for more answers, or leave it to another. */
function pollWatcher(hit: Hit): Checker {
  const granted = new Map<SimNode, Set<NodeId>>();
  return {
    stepped({ node, input, before, after }: Step): void {
      if (after.role !== 'preCandidate' && before.role !== 'preCandidate') return;
      if (before.role !== 'preCandidate') granted.set(node, new Set([node.id]));
      if (input.kind !== 'receive' || input.message.kind !== 'preVoteReply') return;
      const { message, from } = input;
      const grants = granted.get(node) ?? new Set<NodeId>();
      if (message.granted) grants.add(from);
      if (before.role !== 'preCandidate') return;
      const { voters } = after.membership.membership;
      const count = voters.filter((id) => grants.has(id)).length;
      const hasMajority = count > voters.length / 2;
      if (hasMajority && message.granted && after.role === 'preCandidate') hit('extentPollWaited');
      if (after.role !== 'follower' || after.term !== before.term) return;
      hit(hasMajority ? 'extentPollGaveWay' : 'preVoteLost');
    },
  };
}

function logWatcher(hit: Hit): Checker {
  /** Per node, the entries that were cut while they waited for the disk. */
  const cutWhileQueued = new Map<SimNode, Set<number>>();
  return {
    started(node: SimNode): void {
      cutWhileQueued.delete(node);
    },
    emitted(_node: SimNode, effect: Effect): void {
      if (effect.kind !== 'proposeResult') return;
      if (effect.result === 'overwritten') hit('overwrittenReported');
      if (effect.result !== 'rejected') return;
      if (effect.why === 'uncommittedBytesFull') hit('proposalRefusedFull');
      if (effect.why === 'transferring') hit('proposalRefusedTransferring');
    },
    released(_node: SimNode, _to: NodeId, message: Message): void {
      if (message.kind === 'appendRejected') hit('appendRejected');
    },
    stepped({ input, before, effects }: Step): void {
      if (input.kind !== 'receive' || input.message.kind !== 'appendRequest') return;
      if (input.message.prev.index >= before.baseIndex) return;
      const isRejected = effects.some((effect) => {
        return effect.kind === 'send' && effect.message.kind === 'appendRejected';
      });
      if (!isRejected && input.message.term >= before.term) hit('compactedPrevAccepted');
    },
    persisting(node: SimNode, { truncateFrom, entries }: PersistEffect): void {
      const cut = cutWhileQueued.get(node);
      if (cut !== undefined && node.disk.queue.length > 0) {
        const isAgain = entries.some(({ index, term }) => cut.has(entryKey(index, term)));
        if (isAgain) hit('sameEntryQueuedAgain');
      }
      if (truncateFrom === null) return;
      hit('logCut');
      if (node.termAt(truncateFrom) !== node.termAt(node.lastIndex)) hit('severalTermsCut');
      // The situation of hazard H14: an index is written, cut and written while writes are queued.
      const queued = node.disk.queue.flatMap(({ persist }) => {
        return persist.entries.filter(({ index }) => index >= truncateFrom);
      });
      if (queued.length === 0) return;
      hit('queuedEntriesCut');
      const known = cut ?? new Set<number>();
      for (const { index, term } of queued) known.add(entryKey(index, term));
      cutWhileQueued.set(node, known);
    },
    cut(_node: SimNode, removed: readonly EntryDesc[]): void {
      if (removed.length > 0) hit('durableEntriesCut');
    },
    committed(node: SimNode, entry: EntryDesc): void {
      if (entry.term < node.status.term) hit('oldTermCommitted');
      if (entry.type === 'filler') hit('fillerCommitted');
    },
    refused(): void {
      hit('proposalRefused');
    },
  };
}

function snapshotWatcher(world: World, hit: Hit): Checker {
  const membershipBefore = new Map<SimNode, number>();
  return {
    started(node: SimNode): void {
      const { installRemains } = node.disk;
      if (installRemains === 'staged') hit('installTornBeforeSwitch');
      if (installRemains === 'switched') hit('installTornAfterSwitch');
      if (node.disk.hasLostInstall) hit('installLostInCrash');
    },
    persisting(node: SimNode, { snapshot }: PersistEffect): void {
      if (snapshot !== null) membershipBefore.set(node, node.membership.index);
    },
    snapshotInstalled(node: SimNode, { membership }): void {
      hit('snapshotInstalled');
      if (membership.index > (membershipBefore.get(node) ?? 0)) hit('snapshotBroughtMembership');
    },
    compacted(): void {
      hit('compacted');
    },
    stepped({ node, input, effects }: Step): void {
      if (input.kind !== 'receive') return;
      if (input.message.kind === 'installSnapshot') {
        const isTaken = effects.some((effect) => {
          return effect.kind === 'persist' && effect.snapshot !== null;
        });
        if (!isTaken) hit('snapshotNotNeeded');
      }
      if (input.message.kind !== 'appendRequest' || input.message.entries.length === 0) return;
      const isRace = node.disk.isInstalling || world.transfers.isUnderWayTo(node);
      if (isRace) hit('snapshotRacedAppend');
    },
  };
}

function membershipWatcher(hit: Hit): Checker {
  const current = new Map<SimNode, LoggedMembership>();
  const jointBy = new Map<number, NodeId>();

  function compare(node: SimNode, was: LoggedMembership, now: LoggedMembership): void {
    const before = was.membership;
    const after = now.membership;
    if (now.index < was.index) {
      hit('membershipRolledBack');
      if (isJoint(before)) hit('jointRolledBack');
      return;
    }
    if (after.learners.some((id) => !isMember(before, id))) hit('learnerAdded');
    const isAnyPromoted = after.voters.some((id) => before.learners.includes(id));
    const isAnyRemoved = after.removed.length > before.removed.length;
    if (isAnyPromoted) hit('learnerPromoted');
    if (isJoint(after)) {
      hit('jointEntered');
      const gone = after.outgoing.filter((id) => !after.voters.includes(id));
      if (gone.length > 0) hit(isAnyPromoted ? 'voterReplaced' : 'voterRemoved');
      if (node.isLeader) {
        jointBy.set(now.index, node.id);
        if (gone.includes(node.id)) hit('leaderRemovedItself');
      }
    } else if (isJoint(before)) {
      hit('jointLeft');
      const by = jointBy.get(was.index);
      if (node.isLeader && by !== undefined && by !== node.id) hit('jointLeftByNewLeader');
    }
    const pinned = after.members.some(({ nodeId, storeUuid }) => {
      const old = before.members.find((member) => member.nodeId === nodeId);
      return storeUuid !== null && old?.storeUuid === null;
    });
    if (pinned) hit('storePinned');
    if (isAnyRemoved && isJoint(before)) hit('voterRemoved');
  }

  return {
    started(node: SimNode, start): void {
      const newest = start.memberships.at(-1);
      if (newest !== undefined && newest.index > start.commitIndex)
        hit('membershipSurvivedRestart');
      current.set(node, newest ?? start.base.membership);
    },
    membershipChanged(node: SimNode, now: LoggedMembership): void {
      const was = current.get(node);
      current.set(node, now);
      if (was !== undefined) compare(node, was, now);
    },
    released(node: SimNode, _to: NodeId, message: Message): void {
      if (message.kind === 'campaignNow' && !isVoter(node.membership.membership, node.id)) {
        hit('removedLeaderHandedOver');
      }
      if (message.kind !== 'preVoteRequest') return;
      const isRemoved = [...current.values()].some(({ membership }) => {
        return membership.removed.includes(node.id);
      });
      if (isRemoved) hit('removedVoterCampaigned');
    },
    alarmed(_node: SimNode, id): void {
      if (id === 'strangerMessage') hit('strangerMet');
    },
  };
}

function changeWatcher(hit: Hit): Checker {
  const markOf: Readonly<Partial<Record<ChangeProblem['kind'], Mark>>> = {
    notLeader: 'changeRefusedNotLeader',
    ownTermNotCommitted: 'changeRefusedOwnTerm',
    changeInFlight: 'changeRefusedInFlight',
    membershipMoved: 'changeRefusedStale',
    learnerBehind: 'changeRefusedBehind',
    noQuorumAfter: 'changeRefusedNoQuorum',
    invalidStep: 'changeRefusedInvalid',
  };
  return {
    changeEnded(node: SimNode, result: ChangeResult): void {
      if (result.result === 'accepted') return;
      for (const problem of result.problems) {
        const mark = markOf[problem.kind];
        if (mark !== undefined) hit(mark);
        if (problem.kind !== 'invalidStep' || problem.step.kind !== 'addLearner') continue;
        const { removed } = node.membership.membership;
        if (removed.includes(problem.step.member.nodeId)) hit('removedIdRefused');
      }
    },
  };
}

function transferWatcher(hit: Hit): Checker {
  const asked = new Set<SimNode>();
  return {
    stepped({ node, input, before, after }: Step): void {
      if (input.kind === 'transfer') asked.add(node);
      if (after.transferTo === null) asked.delete(node);
      const isOwnIdea = input.kind !== 'transfer' && input.kind !== 'changeMembership';
      const begins = before.transferTo === null && after.transferTo !== null;
      if (begins && isOwnIdea && isVoter(after.membership.membership, node.id)) {
        hit('transferByPriority');
      }
    },
    released(_node: SimNode, _to: NodeId, message: Message): void {
      if (message.kind === 'voteRequest' && message.isTransfer) hit('campaignedWithoutAsking');
    },
    transferEnded(_node: SimNode, { result }: TransferResult): void {
      if (result === 'handedOver') hit('transferDone');
      else hit(result === 'aborted' ? 'transferAborted' : 'transferRefused');
    },
  };
}

function readWatcher(hit: Hit): Checker {
  /** Reads that the node has not answered. */
  const open = new Map<SimNode, number>();
  const add = (node: SimNode, by: number) => open.set(node, (open.get(node) ?? 0) + by);
  return {
    started(node: SimNode): void {
      open.set(node, 0);
    },
    readAsked(node: SimNode): void {
      if (node.isLeader) {
        const { commitIndex, term } = node.status;
        const committedTerm = node.termAt(commitIndex);
        if (committedTerm !== undefined && committedTerm < term) hit('readWaitedForOwnTerm');
        else if ((open.get(node) ?? 0) > 0) hit('readWaitedForNextRound');
      }
      add(node, 1);
    },
    emitted(node: SimNode, effect: Effect): void {
      if (effect.kind !== 'readResult') return;
      add(node, -1);
      if (effect.result === 'confirmed') {
        hit('readConfirmed');
        if (effect.index > node.appliedIndex) hit('readWaitedForApply');
      }
    },
    readRefused(node: SimNode): void {
      hit('readRefused');
      // The status is that of the last finished step: it led when this one began.
      if (node.isLeader) hit('readRefusedAtStepDown');
    },
  };
}

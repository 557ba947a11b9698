/**
 * How scenario transcripts show messages, effects and nodes. Entries are `index/term:what`, places in
 * the log `index/term`. A membership is `index{voters}`, in the joint phase `index{new <- old}`.
 */
import { unreachable } from '../../src/base/assert.ts';
import type { ChangeResult, Effect, PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc, EntryId, SnapshotDesc } from '../../src/raft/entry.ts';
import type { ChangeProblem, LoggedMembership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import { show } from './checkers/entry-registry.ts';
import type { SimNode } from './node.ts';

export function formatMessage(message: Message): string {
  const head = `${message.kind} term=${message.term}`;
  switch (message.kind) {
    case 'preVoteRequest':
      return `${head} last=${formatId(message.last)}`;
    case 'voteRequest':
      return `${head} last=${formatId(message.last)}${message.isTransfer ? ' for a transfer' : ''}`;
    case 'preVoteReply': {
      const torn = message.hasTornTail ? ' torn tail' : '';
      return `${head} ${verdict(message)} last=${formatId(message.last)}${torn}`;
    }
    case 'voteReply':
      return `${head} ${verdict(message)}`;
    case 'appendRequest': {
      const entries = formatEntries(message.entries);
      return `${head} prev=${formatId(message.prev)} ${entries} commit=${message.commitIndex}`;
    }
    case 'appendAccepted':
      return `${head} match=${message.matchIndex}`;
    case 'appendRejected':
      return `${head} rejected=${formatId(message.rejected)} hint=${formatId(message.hint)}`;
    case 'installSnapshot':
      return `${head} ${formatSnapshot(message.snapshot)}`;
    case 'heartbeat':
      return `${head}${formatRound(message)} commit=${message.commitIndex}`;
    case 'heartbeatReply': {
      const indexes = `last=${message.lastIndex} durable=${message.durableIndex}`;
      const stalled = message.isDiskStalled ? ' disk stalled' : '';
      return `${head}${formatRound(message)} ${indexes}${stalled}`;
    }
    case 'campaignNow':
      return head;
    default:
      return unreachable(message);
  }
}

export function formatPersist(persist: PersistEffect): string {
  const { hardState, snapshot, truncateFrom, entries, after } = persist;
  const parts: string[] = [];
  if (hardState !== null) parts.push(`term=${hardState.term} vote=${hardState.votedFor ?? '-'}`);
  if (snapshot !== null) parts.push(`${formatSnapshot(snapshot)} in place of the log`);
  if (truncateFrom !== null) parts.push(`cut from ${truncateFrom}`);
  if (entries.length > 0) parts.push(formatEntries(entries));
  if (parts.length === 0) parts.push('nothing new');
  for (const { to, message } of after) parts.push(`then ${to} ${message.kind}`);
  return parts.join(', ');
}

/** Null for what is shown where it happens: sends, persists, applies and refused proposals. */
export function formatEffect(effect: Effect): string | null {
  switch (effect.kind) {
    case 'role':
      return `becomes ${effect.role} term=${effect.term} leader=${effect.leader ?? '-'}`;
    case 'proposeResult':
      if (effect.result !== 'accepted') return null;
      return `accepts at ${effect.index}/${effect.term}`;
    case 'readResult':
      if (effect.result === 'refused') return `refuses read ${effect.tag}: ${effect.why}`;
      return `may answer read ${effect.tag} from ${effect.index} on`;
    case 'transferResult': {
      const why = effect.result === 'refused' ? `: ${effect.why}` : '';
      return `transfer ${effect.result}${why}`;
    }
    case 'changeResult':
      return formatChangeResult(effect);
    case 'sendSnapshot':
      return `wants a snapshot brought to ${effect.to}`;
    case 'membership':
      return `goes by membership ${formatMembership(effect.current)}`;
    case 'alarm':
      return `alarm ${effect.id}`;
    case 'persist':
    case 'send':
    case 'apply':
      return null;
    default:
      return unreachable(effect);
  }
}

export function formatNode(node: SimNode): string {
  const { base, entries } = node.disk.image;
  if (!node.isUp) return `${node.id} down, on disk ${formatLog(base, entries)}`;
  const { role, term, votedFor, durableIndex, commitIndex, appliedIndex } = node.status;
  const memory = `term=${term} vote=${votedFor ?? '-'}`;
  const indexes = `durable=${durableIndex} commit=${commitIndex} applied=${appliedIndex}`;
  const { membership } = node.status;
  // The founding one is known to every reader.
  const group = membership.index === 0 ? '' : ` group=${formatMembership(membership)}`;
  return `${node.id} ${role} ${memory} ${indexes} log=${formatLog(node.base, node.log)}${group}`;
}

export function formatEntries(entries: readonly EntryDesc[]): string {
  return `[${entries.map((entry) => show(entry)).join(' ')}]`;
}

export function formatMembership({ index, membership }: LoggedMembership): string {
  const { voters, outgoing, learners, removed } = membership;
  const parts = [voters.join(' ')];
  if (outgoing.length > 0) parts.push(`<- ${outgoing.join(' ')}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(' ')}`);
  if (removed.length > 0) parts.push(`removed ${removed.join(' ')}`);
  return `${index}{${parts.join(', ').replace(', <-', ' <-')}}`;
}

function formatChangeResult(result: ChangeResult): string {
  if (result.result === 'accepted') return `accepts the change at ${result.index}/${result.term}`;
  return `refuses the change: ${result.problems.map(formatProblem).join(', ')}`;
}

function formatProblem(problem: ChangeProblem): string {
  switch (problem.kind) {
    case 'changeInFlight':
      return `${problem.kind} of ${problem.index}`;
    case 'membershipMoved':
      return `${problem.kind} from ${problem.asked} to ${problem.current}`;
    case 'transferInProgress':
      return `${problem.kind} to ${problem.to}`;
    case 'invalidStep':
      return `${problem.step.kind} makes no sense: ${problem.reason}`;
    case 'learnerBehind':
      return `${problem.nodeId} is ${problem.lagBytes} bytes behind`;
    case 'noQuorumAfter':
      return `${problem.kind}: ${problem.active} active, ${problem.needed} needed`;
    case 'notLeader':
    case 'noSteps':
    case 'ownTermNotCommitted':
    case 'noRoom':
      return problem.kind;
    default:
      return unreachable(problem);
  }
}

function formatLog({ last }: SnapshotDesc, entries: readonly EntryDesc[]): string {
  const base = last.index === 0 ? '' : `snapshot ${formatId(last)} + `;
  return base + formatEntries(entries);
}

function formatSnapshot({ last, membership }: SnapshotDesc): string {
  const group = membership.index === 0 ? '' : ` group=${formatMembership(membership)}`;
  return `snapshot=${formatId(last)}${group}`;
}

function formatRound({ round }: { readonly round: number }): string {
  return round === 0 ? '' : ` round=${round}`;
}

function verdict({ granted }: { readonly granted: boolean }): string {
  return granted ? 'granted' : 'refused';
}

function formatId({ index, term }: EntryId): string {
  return `${index}/${term}`;
}

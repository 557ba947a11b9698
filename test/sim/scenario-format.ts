/** How scenario transcripts show messages, persists and nodes. Entries are `index/term:what`. */
import { unreachable } from '../../src/base/assert.ts';
import type { Effect, PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc, EntryId } from '../../src/raft/entry.ts';
import type { Message } from '../../src/raft/messages.ts';
import { show } from './checkers/entry-registry.ts';
import type { SimNode } from './node.ts';

export function formatMessage(message: Message): string {
  const head = `${message.kind} term=${message.term}`;
  switch (message.kind) {
    case 'preVoteRequest':
    case 'voteRequest':
      return `${head} last=${formatId(message.last)}`;
    case 'preVoteReply':
    case 'voteReply':
      return `${head} ${message.granted ? 'granted' : 'refused'}`;
    case 'appendRequest': {
      const entries = formatEntries(message.entries);
      return `${head} prev=${formatId(message.prev)} ${entries} commit=${message.commitIndex}`;
    }
    case 'appendAccepted':
      return `${head} match=${message.matchIndex}`;
    case 'appendRejected':
      return `${head} rejected=${formatId(message.rejected)} hint=${formatId(message.hint)}`;
    case 'heartbeat':
      return `${head} commit=${message.commitIndex}`;
    case 'heartbeatReply':
      return `${head} last=${message.lastIndex} durable=${message.durableIndex}`;
    default:
      return unreachable(message);
  }
}

export function formatPersist({ hardState, truncateFrom, entries, after }: PersistEffect): string {
  const parts: string[] = [];
  if (hardState !== null) parts.push(`term=${hardState.term} vote=${hardState.votedFor ?? '-'}`);
  if (truncateFrom !== null) parts.push(`cut from ${truncateFrom}`);
  if (entries.length > 0) parts.push(formatEntries(entries));
  if (parts.length === 0) parts.push('nothing new');
  for (const { to, message } of after) parts.push(`then ${to} ${message.kind}`);
  return parts.join(', ');
}

/** Sends, persists and applies are shown where they happen: null. */
export function formatEffect(effect: Effect): string | null {
  switch (effect.kind) {
    case 'role':
      return `becomes ${effect.role} term=${effect.term} leader=${effect.leader ?? '-'}`;
    case 'proposeResult':
      if (effect.result === 'accepted') return `accepts at ${effect.index}/${effect.term}`;
      return effect.result === 'rejected' ? `rejects: ${effect.why}` : 'overwritten';
    case 'alarm':
      return `alarm ${effect.id}`;
    default:
      return null;
  }
}

export function formatNode(node: SimNode): string {
  const durable = formatEntries(node.disk.image.entries);
  if (!node.isUp) return `${node.id} down, on disk ${durable}`;
  const { role, term, votedFor, durableIndex, commitIndex, appliedIndex } = node.status;
  const memory = `term=${term} vote=${votedFor ?? '-'}`;
  const indexes = `durable=${durableIndex} commit=${commitIndex} applied=${appliedIndex}`;
  return `${node.id} ${role} ${memory} ${indexes} log=${formatEntries(node.log)}`;
}

export function formatEntries(entries: readonly EntryDesc[]): string {
  return `[${entries.map((entry) => show(entry)).join(' ')}]`;
}

function formatId({ index, term }: EntryId): string {
  return `${index}/${term}`;
}

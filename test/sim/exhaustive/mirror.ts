/**
 * What a core knows and does not tell in its status, rebuilt from what went in and what came out.
 * With it, two nodes that look alike are alike; audit.ts checks that on samples.
 *
 * Not mirrored, because the search never lets them matter: how long ago something was heard (leaders
 * see fewer ticks than any timeout, except in `expire`), alarms that were raised, tags of transfers.
 */
import type { NodeId } from '../../../src/base/units.ts';
import type { CoreStatus } from '../../../src/raft/core-types.ts';
import type { Effect, Input } from '../../../src/raft/effects.ts';
import type { Envelope, Message } from '../../../src/raft/messages.ts';
import { BEAT_TICKS } from './group.ts';

interface SentAppend {
  readonly lastIndex: number;
  readonly atTicks: number;
}

interface PeerMirror {
  sent: SentAppend[];
  matchIndex: number;
  matchedAtTicks: number;
  roundEchoed: number;
}

interface WaitingRead {
  readonly tag: number;
  /** The highest round sent before the read arrived. */
  readonly afterRound: number;
  /** Commit index then; what it waits for depends on it. */
  readonly commitIndex: number;
}

export interface MirroredStep {
  readonly input: Input;
  readonly before: CoreStatus;
  readonly effects: readonly Effect[];
  readonly after: CoreStatus;
}

export class Mirror {
  /** A leader of the present term was heard since the last lapse: others are not helped (4.2.3). */
  hasHeardLeader = false;
  #ticks = 0;
  #votes: string[] = [];
  #round = 0;
  #hasAskedTarget = false;
  #reads: WaitingRead[] = [];
  readonly #peers = new Map<NodeId, PeerMirror>();

  observe(step: MirroredStep): void {
    const { input, before, effects, after } = step;
    if (input.kind === 'tick') this.#ticks++;
    const isNewRole = before.role !== after.role || before.term !== after.term;
    if (isNewRole) this.#forgetRole();
    if (after.transferTo !== before.transferTo) this.#hasAskedTarget = false;
    const sends = envelopesOf(effects);
    if (sends.some(({ message }) => isCandidacy(message))) this.#votes = [];
    if (input.kind === 'receive') this.#onReceive(input.from, input.message, after);
    if (input.kind === 'read') {
      const { commitIndex } = before;
      this.#reads.push({ tag: input.tag, afterRound: this.#round, commitIndex });
    }
    for (const effect of effects) {
      if (effect.kind !== 'readResult') continue;
      this.#reads = this.#reads.filter(({ tag }) => tag !== effect.tag);
    }
    for (const { to, message } of sends) this.#onSend(to, message, after);
    this.#followPeers(after);
    if (after.leader === null || after.leader === after.self) this.hasHeardLeader = false;
  }

  /** Everything above as plain data, without absolute times. */
  key(): unknown {
    const peers = [...this.#peers].map(([id, peer]) => {
      const sent = peer.sent.map(({ lastIndex, atTicks }) => [lastIndex, this.#age(atTicks)]);
      return [id, sent, this.#age(peer.matchedAtTicks), this.#reads.length && peer.roundEchoed];
    });
    const reads = this.#reads.map(({ tag, afterRound, commitIndex }) => [
      tag,
      afterRound,
      commitIndex,
    ]);
    return [this.hasHeardLeader, this.#votes, this.#round, this.#hasAskedTarget, reads, peers];
  }

  #forgetRole(): void {
    this.#votes = [];
    this.#round = 0;
    this.#reads = [];
    this.#peers.clear();
  }

  #onReceive(from: NodeId, message: Message, after: CoreStatus): void {
    if (message.term === after.term && isLeading(message)) this.hasHeardLeader = true;
    const isAnswer = message.kind === 'voteReply' || message.kind === 'preVoteReply';
    if (isAnswer && (after.role === 'candidate' || after.role === 'preCandidate')) {
      const vote = `${from} ${message.kind} ${message.term} ${message.granted}`;
      if (!this.#votes.includes(vote)) this.#votes = [...this.#votes, vote].toSorted();
    }
    if (message.kind === 'heartbeatReply' && after.role === 'leader') {
      const peer = this.#peer(from);
      peer.roundEchoed = Math.max(peer.roundEchoed, message.round);
    }
  }

  #onSend(to: NodeId, message: Message, after: CoreStatus): void {
    if (message.kind === 'heartbeat') this.#round = Math.max(this.#round, message.round);
    if (message.kind === 'campaignNow') this.#hasAskedTarget = true;
    if (message.kind !== 'appendRequest') return;
    const peer = this.#peer(to);
    const lastIndex = message.prev.index + message.entries.length;
    const isProbe = after.peers.find(({ nodeId }) => nodeId === to)?.state !== 'replicating';
    // A probe is alone on its way.
    peer.sent = isProbe ? [] : peer.sent;
    peer.sent.push({ lastIndex, atTicks: this.#ticks });
  }

  #followPeers(after: CoreStatus): void {
    for (const { nodeId, matchIndex } of after.peers) {
      const peer = this.#peer(nodeId);
      if (matchIndex !== peer.matchIndex) peer.matchedAtTicks = this.#ticks;
      peer.matchIndex = matchIndex;
      peer.sent = peer.sent.filter(({ lastIndex }) => lastIndex > matchIndex);
    }
  }

  #peer(id: NodeId): PeerMirror {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const fresh = { sent: [], matchIndex: 0, matchedAtTicks: this.#ticks, roundEchoed: 0 };
    this.#peers.set(id, fresh);
    return fresh;
  }

  /** A leader asks only whether its patience is over. */
  #age(atTicks: number): number {
    return Math.min(this.#ticks - atTicks, BEAT_TICKS);
  }
}

export function envelopesOf(effects: readonly Effect[]): readonly Envelope[] {
  return effects.flatMap((effect) => {
    if (effect.kind === 'send') return [{ to: effect.to, message: effect.message }];
    return effect.kind === 'persist' ? effect.after : [];
  });
}

function isLeading({ kind }: Message): boolean {
  return kind === 'appendRequest' || kind === 'heartbeat' || kind === 'installSnapshot';
}

function isCandidacy({ kind }: Message): boolean {
  return kind === 'preVoteRequest' || kind === 'voteRequest';
}

/** L6 and O3: when a read may be answered, and what it must see. */
import type { LogIndex, NodeId } from '../../../src/base/units.ts';
import type { Effect } from '../../../src/raft/effects.ts';
import type { Accepted } from '../node.ts';
import type { CommitHistory } from './commit-history.ts';
import type { LogBook } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import { isDecided } from './quorums.ts';
import type { Judge } from './violation.ts';

interface Rounds {
  readonly term: number;
  /** Round to the number of the step that first asked it. */
  readonly askedAt: Map<number, number>;
  /** Peer to the highest round that it has answered. */
  readonly answered: Map<NodeId, number>;
}

/**
 * L6: a read is confirmed by a leader that has committed in its own term, after a majority answered a
 * heartbeat that was asked after the read had arrived (thesis 6.4, H24, H25).
 */
export function readConfirmedChecker(judge: Judge, book: LogBook): Checker {
  const rounds = new Map<NodeView, Rounds>();
  const arrivals = new Map<string, number>();
  let stepCount = 0;

  function roundsOf(node: NodeView, term: number): Rounds {
    const known = rounds.get(node);
    if (known !== undefined && known.term === term) return known;
    const fresh = { term, askedAt: new Map(), answered: new Map() };
    rounds.set(node, fresh);
    return fresh;
  }

  function requireConfirmed({ node, after }: Step, tag: number): void {
    const key = `${node.id} ${tag}`;
    const arrivedAt = arrivals.get(key);
    arrivals.delete(key);
    judge.require(
      arrivedAt !== undefined,
      'L6',
      () => `${node.id} confirms a read nobody asked for`,
    );
    const log = book.of(node);
    const commitTerm = log.termAt(after.commitIndex);
    judge.require(commitTerm === after.term, 'L6', () => {
      return `${node.id} confirms a read in term ${after.term}, having committed in ${commitTerm}`;
    });
    const { askedAt, answered } = roundsOf(node, after.term);
    const hasAnswered = (id: NodeId) => {
      if (id === node.id) return true;
      const at = askedAt.get(answered.get(id) ?? 0);
      return at !== undefined && at >= (arrivedAt ?? 0);
    };
    judge.require(isDecided(log.membership.membership, hasAnswered), 'L6', () => {
      return `${node.id} confirms a read without an answer of a majority after it arrived`;
    });
  }

  return {
    readAsked(node: NodeView, tag: number): void {
      arrivals.set(`${node.id} ${tag}`, stepCount);
    },
    readRefused(node: NodeView, tag: number): void {
      arrivals.delete(`${node.id} ${tag}`);
    },
    emitted(node: NodeView, effect: Effect): void {
      if (effect.kind !== 'send' || effect.message.kind !== 'heartbeat') return;
      const { term, round } = effect.message;
      const { askedAt } = roundsOf(node, term);
      if (!askedAt.has(round)) askedAt.set(round, stepCount);
    },
    stepped(step: Step): void {
      stepCount++;
      const { node, input, effects, after } = step;
      if (input.kind === 'receive' && input.message.kind === 'heartbeatReply') {
        const { term, round } = input.message;
        const { answered } = roundsOf(node, after.term);
        const known = answered.get(input.from) ?? 0;
        if (term === after.term) answered.set(input.from, Math.max(known, round));
      }
      for (const effect of effects) {
        if (effect.kind !== 'readResult' || effect.result !== 'confirmed') continue;
        requireConfirmed(step, effect.tag);
      }
    },
  };
}

interface OpenRead {
  readonly index: number;
  readonly valueCount: number;
}

/**
 * O3: what a client reads contains everything that any client knew when it asked: values that were
 * acknowledged, and values that an earlier read has shown.
 */
export function readSeesChecker(judge: Judge, history: CommitHistory): Checker {
  const open = new Map<string, OpenRead>();
  let knownIndex = 0;
  let knownValueCount = 0;
  return {
    acknowledged(_node: NodeView, { index }: Accepted): void {
      knownIndex = Math.max(knownIndex, index);
      knownValueCount = Math.max(knownValueCount, history.valueCountAt(index));
    },
    readAsked(node: NodeView, tag: number): void {
      open.set(`${node.id} ${tag}`, { index: knownIndex, valueCount: knownValueCount });
    },
    readRefused(node: NodeView, tag: number): void {
      open.delete(`${node.id} ${tag}`);
    },
    readAnswered(node: NodeView, tag: number, index: LogIndex, valueCount: number): void {
      const known = open.get(`${node.id} ${tag}`);
      open.delete(`${node.id} ${tag}`);
      if (known === undefined) return;
      judge.require(index >= known.index && valueCount >= known.valueCount, 'O3', () => {
        const seen = `${valueCount} values at index ${index}`;
        return `${node.id} shows ${seen}, known were ${known.valueCount} at index ${known.index}`;
      });
      judge.require(valueCount <= history.valueCountAt(history.lastIndex), 'O3', () => {
        return `${node.id} shows ${valueCount} values, fewer are committed`;
      });
      knownValueCount = Math.max(knownValueCount, valueCount);
    },
  };
}

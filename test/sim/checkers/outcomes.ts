/** I8, I9, O1, O2: what state machines saw and what clients were told. */
import type { LogIndex } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { EntryDesc, SnapshotDesc } from '../../../src/raft/entry.ts';
import { isMember } from '../../../src/raft/membership.ts';
import type { Accepted } from '../node.ts';
import { digestAfter, StateMachine } from '../state-machine.ts';
import type { DurabilityBooks } from './durability.ts';
import { isSameEntry, show } from './entry-registry.ts';
import type { NodeView } from './node-view.ts';
import type { Checker } from './observers.ts';
import type { Judge } from './violation.ts';

/**
 * I9: all nodes apply the same entry at an index, each index once per life, in order, and a snapshot
 * carries the digest of exactly what it stands for.
 */
export function stateMachineSafetyChecker(judge: Judge): Checker {
  const first: EntryDesc[] = [];
  /** By index: of the state that the applied entries up to there lead to. */
  const digests: number[] = [new StateMachine().digest];
  const appliedBy = new Map<NodeView, LogIndex>();
  return {
    started(node: NodeView, start: CoreStart): void {
      appliedBy.set(node, start.appliedIndex);
    },
    applied(node: NodeView, entry: EntryDesc): void {
      const before = appliedBy.get(node) ?? 0;
      judge.require(entry.index === before + 1, 'I9', () => {
        return `${node.id} applies ${show(entry)} after index ${before}`;
      });
      appliedBy.set(node, entry.index);
      const known = first[entry.index - 1];
      if (known === undefined) {
        first[entry.index - 1] = entry;
        digests[entry.index] = digestAfter(digests[entry.index - 1] ?? 0, entry);
        return;
      }
      judge.require(isSameEntry(known, entry), 'I9', () => {
        return `${node.id} applies ${show(entry)}, elsewhere ${show(known)} was applied`;
      });
    },
    snapshotInstalled(node: NodeView, { last }: SnapshotDesc, digest: number): void {
      const { index } = last;
      const before = appliedBy.get(node) ?? 0;
      judge.require(index >= before, 'I9', () => {
        return `${node.id} has applied ${before} and goes back to a snapshot of ${index}`;
      });
      appliedBy.set(node, index);
      judge.require(digests[index] === digest, 'I9', () => {
        return `${node.id} installs digest ${digest} at ${index}, applied was ${digests[index]}`;
      });
    },
  };
}

/** I8: what a client was told to be in is in the log of every later leader and in the end. */
export function ackedForeverChecker(judge: Judge, books: DurabilityBooks): Checker {
  const { nodes, book, history, identity } = books;
  const acked = new Map<LogIndex, Accepted>();

  function require(node: NodeView, accepted: Accepted): void {
    const log = book.of(node);
    // Whether a snapshot stands for the right entries is I4 and I9.
    if (accepted.index <= log.base.last.index) return;
    const own = log.entryAt(accepted.index);
    const isThere = own?.term === accepted.term && own.payloadCrc === accepted.value;
    judge.require(isThere, 'I8', () => {
      const was = `${accepted.index}/${accepted.term}:data${accepted.value}`;
      return `${was} was acknowledged, ${node.id} has ${show(own)} there`;
    });
  }

  return {
    acknowledged(node: NodeView, accepted: Accepted): void {
      const other = acked.get(accepted.index);
      judge.require(other === undefined || other.value === accepted.value, 'I8', () => {
        return `values ${other?.value} and ${accepted.value} are both acknowledged at ${accepted.index}`;
      });
      acked.set(accepted.index, accepted);
      require(node, accepted);
    },
    elected(node: NodeView): void {
      const from = book.of(node).base.last.index + 1;
      const to = history.lastCommittedBelow(node.status.term);
      for (let index = from; index <= to; index++) {
        const accepted = acked.get(index as LogIndex);
        if (accepted !== undefined) require(node, accepted);
      }
    },
    committed(node: NodeView, entry: EntryDesc): void {
      const other = acked.get(entry.index);
      if (other !== undefined) require(node, other);
    },
    ended(): void {
      const holders = nodes.filter((node) => {
        if (!node.isUp || !identity.isTrue(node)) return false;
        // Never the one in force at the node: a change that its leader lost may have made it a member.
        const { membership } = history.membership ?? book.of(node).base.membership;
        return isMember(membership, node.id);
      });
      for (const accepted of acked.values()) {
        const entry = history.at(accepted.index);
        judge.require(entry?.payloadCrc === accepted.value, 'I8', () => {
          return `value ${accepted.value} was acknowledged, in the end it is not committed`;
        });
        for (const node of holders) require(node, accepted);
      }
    },
  };
}

/** O1: a value that was proposed once is committed at most once. O2: a refused one never. */
export function outcomeChecker(judge: Judge): Checker {
  const committedAt = new Map<number, LogIndex>();
  const refused = new Set<number>();
  return {
    refused(node: NodeView, value: number): void {
      judge.require(!committedAt.has(value), 'O2', () => {
        return `${node.id} refuses value ${value}, committed at ${committedAt.get(value)}`;
      });
      refused.add(value);
    },
    committed(node: NodeView, entry: EntryDesc): void {
      if (entry.type !== 'data') return;
      const value = entry.payloadCrc;
      judge.require(!committedAt.has(value), 'O1', () => {
        return `${node.id} commits value ${value} again, first at ${committedAt.get(value)}`;
      });
      judge.require(!refused.has(value), 'O2', () => {
        return `${node.id} commits value ${value}, which was refused`;
      });
      committedAt.set(value, entry.index);
    },
  };
}

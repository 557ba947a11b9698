/** I8, I9, O1, O2: what state machines saw and what clients were told. */
import type { LogIndex, NodeId } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import type { Accepted, SimNode } from '../node.ts';
import type { CommitHistory } from './commit-history.ts';
import { isSameEntry, show } from './entry-registry.ts';
import type { Checker } from './observers.ts';
import type { Judge } from './violation.ts';

/** I9: all nodes apply the same entry at an index, each index once per life, in order. */
export function stateMachineSafetyChecker(judge: Judge): Checker {
  const first: EntryDesc[] = [];
  const appliedBy = new Map<NodeId, LogIndex>();
  return {
    started(node: SimNode, start: CoreStart): void {
      appliedBy.set(node.id, start.appliedIndex);
    },
    applied(node: SimNode, entry: EntryDesc): void {
      const before = appliedBy.get(node.id) ?? 0;
      judge.require(entry.index === before + 1, 'I9', () => {
        return `${node.id} applies ${show(entry)} after index ${before}`;
      });
      appliedBy.set(node.id, entry.index);
      const known = first[entry.index - 1];
      if (known === undefined) {
        first[entry.index - 1] = entry;
        return;
      }
      judge.require(isSameEntry(known, entry), 'I9', () => {
        return `${node.id} applies ${show(entry)}, elsewhere ${show(known)} was applied`;
      });
    },
  };
}

/** I8: what a client was told to be in is in the log of every later leader and in the end. */
export function ackedForeverChecker(
  judge: Judge,
  nodes: readonly SimNode[],
  history: CommitHistory,
): Checker {
  const acked = new Map<LogIndex, Accepted>();
  function require(node: SimNode, accepted: Accepted): void {
    const own = node.log[accepted.index - 1];
    const isThere = own?.term === accepted.term && own.payloadCrc === accepted.value;
    judge.require(isThere, 'I8', () => {
      const was = `${accepted.index}/${accepted.term}:data${accepted.value}`;
      return `${was} was acknowledged, ${node.id} has ${show(own)} there`;
    });
  }
  return {
    acknowledged(node: SimNode, accepted: Accepted): void {
      const other = acked.get(accepted.index);
      judge.require(other === undefined || other.value === accepted.value, 'I8', () => {
        return `values ${other?.value} and ${accepted.value} are both acknowledged at ${accepted.index}`;
      });
      acked.set(accepted.index, accepted);
      require(node, accepted);
    },
    elected(node: SimNode): void {
      history.forEachCommittedBelow(node.status.term, ({ index }) => {
        const accepted = acked.get(index);
        if (accepted !== undefined) require(node, accepted);
      });
    },
    committed(node: SimNode, entry: EntryDesc): void {
      const other = acked.get(entry.index);
      if (other !== undefined) require(node, other);
    },
    ended(): void {
      for (const accepted of acked.values()) {
        const entry = history.at(accepted.index);
        judge.require(entry?.payloadCrc === accepted.value, 'I8', () => {
          return `value ${accepted.value} was acknowledged, in the end it is not committed`;
        });
        for (const node of nodes) require(node, accepted);
      }
    },
  };
}

/** O1: a value that was proposed once is committed at most once. O2: a refused one never. */
export function outcomeChecker(judge: Judge): Checker {
  const committedAt = new Map<number, LogIndex>();
  const refused = new Set<number>();
  return {
    refused(node: SimNode, value: number): void {
      judge.require(!committedAt.has(value), 'O2', () => {
        return `${node.id} refuses value ${value}, committed at ${committedAt.get(value)}`;
      });
      refused.add(value);
    },
    committed(node: SimNode, entry: EntryDesc): void {
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

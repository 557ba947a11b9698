/** I7 and N5: what was promised or committed is on disks, and stays there. */
import type { NodeId } from '../../../src/base/units.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import type { Message } from '../../../src/raft/messages.ts';
import type { SimNode } from '../node.ts';
import type { CommitHistory } from './commit-history.ts';
import { show } from './entry-registry.ts';
import type { Checker } from './observers.ts';
import type { Judge } from './violation.ts';

/** I7: an entry is on the disks of a majority when it commits, and no disk loses it later. */
export function committedIsDurableChecker(
  judge: Judge,
  nodes: readonly SimNode[],
  history: CommitHistory,
): Checker {
  const quorum = Math.floor(nodes.length / 2) + 1;
  return {
    committed(node: SimNode, entry: EntryDesc): void {
      const holders = nodes.filter(
        ({ disk }) => disk.image.entries[entry.index - 1]?.term === entry.term,
      );
      judge.require(holders.length >= quorum, 'I7', () => {
        const names = holders.map(({ id }) => id).join(', ');
        return `${node.id} commits ${show(entry)}, which is durable only on [${names}]`;
      });
    },
    cut(node: SimNode, removed: readonly EntryDesc[]): void {
      for (const entry of removed) {
        judge.require(history.at(entry.index)?.term !== entry.term, 'I7', () => {
          return `the disk of ${node.id} loses the committed ${show(entry)}`;
        });
      }
    },
  };
}

/** N5: no promise leaves a node before its disk can keep it. */
export function promiseIsDurableChecker(judge: Judge): Checker {
  return {
    released(node: SimNode, to: NodeId, message: Message): void {
      const { hardState } = node.disk.image;
      if (message.kind === 'voteReply' && message.granted) {
        const isKept = hardState.term === message.term && hardState.votedFor === to;
        judge.require(isKept, 'N5', () => {
          const kept = `term ${hardState.term}, vote ${hardState.votedFor}`;
          return `${node.id} grants ${to} term ${message.term}, on disk is ${kept}`;
        });
      }
      if (message.kind === 'appendAccepted') {
        judge.require(message.matchIndex <= node.disk.durableIndex, 'N5', () => {
          return `${node.id} accepts up to ${message.matchIndex}, durable is ${node.disk.durableIndex}`;
        });
        judge.require(hardState.term >= message.term, 'N5', () => {
          return `${node.id} accepts in term ${message.term}, on disk is ${hardState.term}`;
        });
      }
    },
    elected(node: SimNode): void {
      const { hardState } = node.disk.image;
      const { term } = node.status;
      judge.require(hardState.term === term && hardState.votedFor === node.id, 'N5', () => {
        return `${node.id} leads in term ${term} before its own vote is durable`;
      });
    },
  };
}

/** Snapshots between the replicas of one process: answers come through memory, when the cable is whole. */
import type { NodeId } from '../../src/base/units.ts';
import type {
  Answer,
  PeerAddress,
  SnapshotAnswers,
  SnapshotPort,
} from '../../src/replica/snapshot/snapshot-port.ts';
import type { MemoryNetwork } from './memory-peer-transport.ts';

/** What happens to a chunk on its way; null: it never arrives. */
export type ChunkFate = (chunk: Uint8Array, from: NodeId, number: number) => Uint8Array | null;

interface Here {
  readonly answers: SnapshotAnswers;
  /** Resolves when it is gone. */
  readonly left: Promise<Answer<never>>;
  readonly leave: () => void;
}

export class MemorySnapshots {
  readonly #cables: Pick<MemoryNetwork, 'isCut'>;
  readonly #here = new Map<NodeId, Here>();
  fate: ChunkFate = (chunk) => chunk;
  /** Chunks that arrived, as `from>to number`. */
  readonly log: string[] = [];

  constructor(cables: Pick<MemoryNetwork, 'isCut'>) {
    this.#cables = cables;
  }

  join(nodeId: NodeId, answers: SnapshotAnswers): void {
    let leave = () => {};
    const left = new Promise<Answer<never>>((resolve) => {
      leave = () => resolve({ kind: 'failed', why: 'the connection broke' });
    });
    this.#here.set(nodeId, { answers, left, leave });
  }

  /** Whoever waits for it waits no longer. */
  leave(nodeId: NodeId): void {
    this.#here.get(nodeId)?.leave();
    this.#here.delete(nodeId);
  }

  portOf(self: NodeId): SnapshotPort {
    let closed = false;
    const ask = async <T>(
      { nodeId }: PeerAddress,
      question: (answers: SnapshotAnswers) => Promise<Answer<T>>,
    ): Promise<Answer<T>> => {
      await Promise.resolve();
      const there = this.#reach(self, nodeId);
      if (there === null || closed) return { kind: 'failed', why: 'unreachable' };
      const answer = await Promise.race([question(there.answers), there.left]);
      const isBack = this.#reach(nodeId, self) !== null;
      return isBack && !closed ? answer : { kind: 'failed', why: 'the connection broke' };
    };
    return {
      offer: (to, offer) => ask(to, (answers) => answers.offer(offer)),
      read: async (from, read) => {
        const answer = await ask(from, (answers) => answers.read(read));
        if (answer.kind !== 'answer') return answer;
        const value = this.fate(answer.value, from.nodeId, read.number);
        if (value === null) return { kind: 'failed', why: 'lost' };
        this.log.push(`${from.nodeId}>${self} ${read.number}`);
        return { kind: 'answer', value };
      },
      newest: (of, question) => ask(of, (answers) => answers.newest(question)),
      close: () => {
        closed = true;
      },
    };
  }

  #reach(from: NodeId, to: NodeId): Here | null {
    return this.#cables.isCut(from, to) ? null : (this.#here.get(to) ?? null);
  }
}

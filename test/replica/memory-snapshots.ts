/** Snapshots between the replicas of one process: answers come through memory, when the cable is whole. */
import { NodeId } from '../../src/base/units.ts';
import type {
  Answer,
  PeerAddress,
  SnapshotAnswers,
  SnapshotPort,
} from '../../src/replica/snapshot/snapshot-port.ts';
import type { MemoryNetwork } from './memory-peer-transport.ts';

/** What happens to a chunk on its way; null: it never arrives. */
export type ChunkFate = (chunk: Uint8Array, from: NodeId, number: number) => Uint8Array | null;

export class MemorySnapshots {
  readonly #cables: Pick<MemoryNetwork, 'isCut'>;
  readonly #answers = new Map<NodeId, SnapshotAnswers>();
  fate: ChunkFate = (chunk) => chunk;
  /** Chunks that arrived, as `from>to number`. */
  readonly log: string[] = [];

  constructor(cables: Pick<MemoryNetwork, 'isCut'>) {
    this.#cables = cables;
  }

  join(nodeId: NodeId, answers: SnapshotAnswers): void {
    this.#answers.set(nodeId, answers);
  }

  leave(nodeId: NodeId): void {
    this.#answers.delete(nodeId);
  }

  portOf(self: NodeId): SnapshotPort {
    let closed = false;
    const ask = async <T>(
      { nodeId }: PeerAddress,
      question: (answers: SnapshotAnswers) => Promise<Answer<T>>,
    ): Promise<Answer<T>> => {
      await Promise.resolve();
      const answers = this.#reach(self, nodeId);
      if (answers === null || closed) return { kind: 'failed', why: 'unreachable' };
      const answer = await question(answers);
      const isBack = this.#reach(nodeId, self) !== null && this.#answers.get(nodeId) === answers;
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

  #reach(from: NodeId, to: NodeId): SnapshotAnswers | null {
    return this.#cables.isCut(NodeId(from), NodeId(to)) ? null : (this.#answers.get(to) ?? null);
  }
}

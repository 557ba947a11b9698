/**
 * N8: a node whose directory was wiped, or replaced by an older copy, has forgotten what it promised
 * (H22, H23). From then on nobody may listen to it under its old name.
 */
import type { NodeId } from '../../../src/base/units.ts';
import type { Message } from '../../../src/raft/messages.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import type { Judge } from './violation.ts';

type Loss = 'wiped' | 'rolled back';

export class IdentityBook {
  readonly #losses = new Map<NodeView, Loss>();

  readonly reader: Checker = {
    wiped: (node: NodeView) => {
      this.#losses.set(node, 'wiped');
    },
    rolledBack: (node: NodeView) => {
      this.#losses.set(node, 'rolled back');
    },
  };

  /** Its directory is the one whose promises the group relies on. */
  isTrue(node: NodeView): boolean {
    return !this.#losses.has(node);
  }

  lossOf(node: NodeView): Loss | undefined {
    return this.#losses.get(node);
  }
}

export function identityChecker(judge: Judge, identity: IdentityBook): Checker {
  /** Sent by a store that has forgotten; what it sent before may still be under way. */
  const forgetful = new WeakMap<Message, NodeView>();
  return {
    released(node: NodeView, _to: NodeId, message: Message): void {
      if (!identity.isTrue(node)) forgetful.set(message, node);
    },
    stepped({ node, input }: Step): void {
      if (input.kind !== 'receive') return;
      const { from, message } = input;
      const sender = forgetful.get(message);
      // Two that have both forgotten have nobody left to mislead.
      judge.require(sender === undefined || !identity.isTrue(node), 'N8', () => {
        const loss = sender === undefined ? 'well' : identity.lossOf(sender);
        return `${node.id} takes a ${message.kind} from ${from}, which was ${loss}`;
      });
    },
  };
}

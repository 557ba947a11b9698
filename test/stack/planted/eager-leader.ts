/**
 * A replica whose broker believes that it may serve as soon as the election is won: it takes queue
 * offsets from a state in which entries of earlier leaders are still missing (H15, design section 4).
 */
import { Term } from '../../../src/base/units.ts';
import type { Leadership, ProposeOutcome, Replica } from '../../../src/replica/replica.ts';
import { withOverrides } from './with-overrides.ts';

export function servesBeforeNoop(replica: Replica): Replica {
  const listeners: ((leadership: Leadership | null) => void)[] = [];
  const waiting: (() => void)[] = [];
  let leading: Leadership | null = null;
  const release = () => {
    for (const go of waiting.splice(0)) go();
  };
  replica.onRoleChange(({ role, term }) => {
    const now = role === 'leader' ? { term: Term(term) } : null;
    if (now?.term === leading?.term) return;
    leading = now;
    if (now === null) release();
    for (const listener of listeners) listener(now);
  });
  replica.onLeadership((leadership) => {
    if (leadership !== null) release();
  });
  return withOverrides(replica, {
    leadership: () => leading,
    onLeadership: (listener) => {
      listeners.push(listener);
    },
    propose: (proposal, onQueued) => {
      if (leading === null || replica.leadership() !== null) {
        return replica.propose(proposal, onQueued);
      }
      onQueued?.();
      return new Promise<ProposeOutcome>((resolve) => {
        waiting.push(() => void replica.propose(proposal).then(resolve));
      });
    },
  });
}

/** A replica that says it leads until it hears of another leader; whoever asks gets answers from its state. */
import type { Leadership, Replica } from '../../../src/replica/replica.ts';
import { withOverrides } from '../../stack/planted/with-overrides.ts';

export function clingsToLeadership(replica: Replica): Replica {
  let last: Leadership | null = null;
  return withOverrides(replica, {
    leadership: () => {
      const now = replica.leadership();
      if (now !== null || replica.leader() !== null) last = now;
      return last;
    },
  });
}

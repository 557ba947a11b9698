/** Retention by size that does not ask who has read what goes. */
import { decideLogStart as decide } from '../../../src/broker/services/retention-decision.ts';
import { withOverrides } from '../../stack/planted/with-overrides.ts';

export * from '../../../src/broker/services/retention-decision.ts';

export const decideLogStart: typeof decide = (options) => {
  if (process.env['MQ_RAFT_CANARY'] !== 'expired-unread') return decide(options);
  return decide({ ...options, state: withOverrides(options.state, { groups: () => [] }) });
};

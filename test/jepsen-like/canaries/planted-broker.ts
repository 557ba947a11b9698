/** A broker that goes on answering when its node has lost the group (see planted-fresh-answer.ts). */
import { createBroker as create } from '../../../src/broker/broker.ts';
import { clingsToLeadership } from './clinging-replica.ts';

export * from '../../../src/broker/broker.ts';

export const createBroker: typeof create = (options) => {
  if (process.env['MQ_RAFT_CANARY'] !== 'stale-read') return create(options);
  return create({ ...options, replica: clingsToLeadership(options.replica) });
};

/** Answers from derived state, without the proof that they are of the present. */
import { freshAnswer as fresh } from '../../../src/broker/fresh-answer.ts';

export const freshAnswer: typeof fresh = async (replica, answer, needsProof) => {
  if (process.env['MQ_RAFT_CANARY'] !== 'stale-read') return fresh(replica, answer, needsProof);
  return answer();
};

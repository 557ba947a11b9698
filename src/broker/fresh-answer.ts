/**
 * Answers that come from derived state alone, and never pass through the log: lists, descriptions,
 * and every "there is no such thing". A leader that was paused or cut off would answer them from the
 * past, while its successor has long acknowledged something else (hazard H24).
 *
 * So the answer is made first, and then a majority is asked whether we lead. If it says so, and the
 * term is still the same, we led when the answer was made, and had applied everything acknowledged.
 */
import type { Replica } from '../replica/replica.ts';
import { LeadershipLost } from './leadership-lost.ts';
import { BrokerError, type BrokerErrorCode } from './verbs.ts';

/** What is refused because of what derived state holds, and not because of the request itself. */
const ABOUT_STATE: readonly BrokerErrorCode[] = [
  'topicNotFound',
  'groupNotFound',
  'invalidHandle',
  'forbidden',
  'typeNotAccepted',
];

/**
 * @param needsProof whether an answer says something that another leader could contradict
 * @throws LeadershipLost when nobody confirms that the answer is of the present
 */
export async function freshAnswer<T>(
  replica: Replica,
  answer: () => Promise<T> | T,
  needsProof: (answer: T) => boolean,
): Promise<T> {
  const leadership = replica.leadership();
  if (leadership === null) throw new LeadershipLost();
  const prove = async (): Promise<void> => {
    const outcome = await replica.readBarrier();
    if (outcome.kind === 'rejected' && outcome.why === 'busy') {
      throw new BrokerError('busy', 'Too many reads wait for the group. Try again in a moment.');
    }
    const isSame = replica.leadership()?.term === leadership.term;
    if (outcome.kind === 'rejected' || !isSame) throw new LeadershipLost();
  };
  try {
    const made = await answer();
    if (needsProof(made)) await prove();
    return made;
  } catch (error) {
    if (error instanceof BrokerError && ABOUT_STATE.includes(error.code)) await prove();
    throw error;
  }
}

/**
 * One call to one group: round after round over its nodes, the leader by the name servers' word first, until
 * one answers or the deadline is over. Routes are asked for again after each round, since what was known led
 * nowhere.
 *
 * Requires: what is called may be repeated, for an attempt without an answer may have had its effect.
 *
 * Not here: what goes over the wire, and what an answer means (mq-client.ts, admin-client.ts).
 */
import type { Clock } from '../io/clock.ts';
import { delay } from './delay.ts';
import { RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN } from './limits.ts';
import {
  type KnownGroup,
  type KnownNode,
  type NodeDirectory,
  NoNodesKnown,
} from './node-directory.ts';

/** `trouble`: another node or moment may cure it. */
export type AttemptOutcome<Answer, Trouble> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'trouble'; readonly trouble: Trouble };

export interface RoundsOptions<Answer, Trouble> {
  readonly directory: Pick<NodeDirectory, 'forget'>;
  readonly clock: Clock;
  /** Of all rounds together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** @throws NoNodesKnown for now; anything else ends the call. */
  readonly findGroup: () => Promise<KnownGroup>;
  /** Rejects with what nothing cures. */
  readonly attempt: (node: KnownNode, how: Attempt) => Promise<AttemptOutcome<Answer, Trouble>>;
}

export interface Attempt {
  /** Until the deadline of the whole call. */
  readonly leftMs: number;
  /** An earlier attempt of this call may have had its effect. */
  readonly isRetry: boolean;
}

/** What was tried in vain, for the sentence at the end. */
export interface FailedAttempt<Trouble> {
  readonly node: string;
  readonly trouble: Trouble;
}

export type RoundsOutcome<Answer, Trouble> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** In the order in which they were made. */
  | { readonly kind: 'unanswered'; readonly attempts: readonly FailedAttempt<Trouble>[] };

/** @throws NoNodesKnown when there was nobody to ask, all the time: nothing can have had an effect. */
export async function inRounds<Answer, Trouble>(
  options: RoundsOptions<Answer, Trouble>,
): Promise<RoundsOutcome<Answer, Trouble>> {
  const { directory, clock, timeoutMs, signal, attempt } = options;
  const deadlineAtMs = clock.monotonicMs() + timeoutMs;
  const attempts: FailedAttempt<Trouble>[] = [];
  let pauseMs = RETRY_DELAY_MS_MIN;
  // Ends at the deadline; each round takes at least its pause.
  for (;;) {
    const group = await groupOrNone(options.findGroup);
    for (const node of group instanceof NoNodesKnown ? [] : leaderFirst(group)) {
      const leftMs = deadlineAtMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      const outcome = await attempt(node, { leftMs, isRetry: attempts.length > 0 });
      if (outcome.kind === 'answer') return outcome;
      signal.throwIfAborted();
      attempts.push({ node: nameOf(node), trouble: outcome.trouble });
    }
    directory.forget();
    const leftMs = deadlineAtMs - clock.monotonicMs();
    if (leftMs <= 0) {
      if (attempts.length === 0 && group instanceof NoNodesKnown) throw group;
      return { kind: 'unanswered', attempts };
    }
    await delay(clock, Math.min(pauseMs, leftMs), signal);
    pauseMs = Math.min(pauseMs * 2, RETRY_DELAY_MS_MAX);
  }
}

/** `n1 (h:1): nobody listens there; n2 (h:2): ...`: of each node the last word. */
export function attemptsText(attempts: readonly FailedAttempt<Error>[]): string {
  const last = new Map(attempts.map(({ node, trouble }) => [node, trouble.message]));
  return [...last].map(([node, message]) => `${node}: ${message}`).join('; ');
}

async function groupOrNone(find: () => Promise<KnownGroup>): Promise<KnownGroup | NoNodesKnown> {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof NoNodesKnown)) throw error;
    return error;
  }
}

/** It need not forward. */
function leaderFirst({ master, nodes }: KnownGroup): readonly KnownNode[] {
  const isMaster = ({ nodeId }: KnownNode): boolean => nodeId !== null && nodeId === master;
  return [...nodes.filter(isMaster), ...nodes.filter((node) => !isMaster(node))];
}

function nameOf({ nodeId, raft }: KnownNode): string {
  return nodeId === null ? raft : `${nodeId} (${raft})`;
}

/** Questions to a group, with a sign of life while they take long, and only the answer that was asked for. */
import type { Command } from 'commander';
import { AdminError, type AdminQuestion, type AdminResponse } from '../protocol/admin.ts';
import { brokerGroupOption } from './change.ts';
import type { Invocation } from './invocation.ts';
import { Progress } from './progress.ts';

type Answer<Kind extends AdminResponse['kind']> = Extract<AdminResponse, { kind: Kind }>;

/** @param stale what the asked node knows by itself is enough */
export async function askGroup<Kind extends AdminResponse['kind']>(
  invocation: Invocation,
  question: AdminQuestion,
  kind: Kind,
  stale = false,
): Promise<Answer<Kind>> {
  const { environment, signal } = invocation;
  const asking = new Progress(environment.stderr, environment.clock, () => 'asking the group ...');
  const answer = await invocation
    .admin()
    .question(question, { signal, stale })
    .finally(() => asking.stop());
  if (answer.kind === kind) return answer as Answer<Kind>;
  throw new AdminError('internal', `The group answered ${answer.kind} where ${kind} was asked`);
}

export interface StaleFlag {
  readonly stale?: true;
}

export function addStaleOption(command: Command): Command {
  return command
    .addOption(brokerGroupOption())
    .option('--stale', 'also without a leader: what one node knows by itself');
}

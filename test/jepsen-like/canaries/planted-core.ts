/**
 * A core whose driver believes that what is durable here is committed: it is applied, answered and given
 * away at once (C36). The core itself is the true one, and is told nothing of it.
 */
import { advance, type LogIndex } from '../../../src/base/units.ts';
import type { Effect, Input } from '../../../src/raft/effects.ts';
import { RaftCore as Honest } from '../../../src/raft/raft-core.ts';

export * from '../../../src/raft/raft-core.ts';

const isPlanted = process.env['MQ_RAFT_CANARY'] === 'uncommitted-read';

export class RaftCore extends Honest {
  /** Given to be applied, committed or not. */
  #reached: LogIndex | null = null;
  /** What of it the core has given. */
  #committed: LogIndex | null = null;

  override step(input: Input): readonly Effect[] {
    if (!isPlanted) return super.step(input);
    const { appliedIndex } = this.status();
    this.#reached ??= appliedIndex;
    this.#committed ??= appliedIndex;
    const isAhead = input.kind === 'applied' && input.index > this.#committed;
    const told = isAhead ? { ...input, index: this.#committed } : input;
    return [...this.#withoutWaiting(super.step(told)), ...this.#ahead()];
  }

  /** What was applied before it was committed is not applied again. */
  #withoutWaiting(effects: readonly Effect[]): readonly Effect[] {
    return effects.flatMap((effect): readonly Effect[] => {
      if (effect.kind !== 'apply') return [effect];
      this.#committed = effect.to;
      const reached = this.#reached ?? effect.to;
      if (effect.to > reached) {
        this.#reached = effect.to;
        return [{ ...effect, from: advance(reached, 1) }];
      }
      return super.step({ kind: 'applied', index: effect.to });
    });
  }

  #ahead(): readonly Effect[] {
    const { durableIndex } = this.status();
    const reached = this.#reached ?? durableIndex;
    if (durableIndex <= reached) return [];
    this.#reached = durableIndex;
    return [{ kind: 'apply', from: advance(reached, 1), to: durableIndex }];
  }
}

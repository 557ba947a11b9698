/**
 * Is there an order of the operations that respects real time and explains every answer? The search goes
 * through the events in time and keeps every state that the object can be in, with the open operations
 * that have taken effect already (Wing and Gong 1993; Lowe 2017, just-in-time linearization).
 *
 * Operations whose outcome is open may take effect at any later moment or never. Of those that do the
 * same, it does not matter which one did it: they are counted, not told apart, which keeps the search small.
 */

export interface Act<Input> {
  readonly startMs: number;
  /** Infinity: its outcome is open. */
  readonly endMs: number;
  readonly input: Input;
  readonly text: string;
}

/** @returns the state after it, or null when the answer cannot be given in this state */
export type Model<State, Input> = (state: State, input: Input) => State | null;

export type Linearity =
  | { readonly kind: 'linearizable' }
  /** After the operation named here no order explains what was answered. */
  | { readonly kind: 'notLinearizable'; readonly at: string }
  | { readonly kind: 'unknown' };

/** What may be, after the events so far. */
interface Branch<State> {
  readonly state: State;
  /** Operations under way that have taken effect. */
  readonly done: ReadonlySet<number>;
}

export function linearityOf<State extends string | number | boolean, Input>(
  acts: readonly Act<Input>[],
  initial: State,
  model: Model<State, Input>,
  statesMax: number,
): Linearity {
  const events = acts
    .flatMap(({ startMs, endMs }, act) => [
      { atMs: startMs, isEnd: false, act },
      { atMs: endMs, isEnd: true, act },
    ])
    // At one moment beginnings come first: then the two overlap, which allows more.
    .sort((a, b) => a.atMs - b.atMs || Number(a.isEnd) - Number(b.isEnd));
  let branches: readonly Branch<State>[] = [{ state: initial, done: new Set() }];
  const open = new Set<number>();
  let visited = 0;
  for (const { isEnd, act, atMs } of events) {
    if (atMs === Infinity) break;
    if (!isEnd) {
      open.add(act);
      continue;
    }
    const found = new Map<string, Branch<State>>();
    const seen = new Set<string>();
    const stack = [...branches];
    for (let branch = stack.pop(); branch !== undefined; branch = stack.pop()) {
      const name = nameOf(branch, acts);
      if (seen.has(name)) continue;
      seen.add(name);
      if (++visited > statesMax) return { kind: 'unknown' };
      if (branch.done.has(act)) {
        const done = new Set(branch.done);
        done.delete(act);
        const after = { state: branch.state, done };
        found.set(nameOf(after, acts), after);
        continue;
      }
      for (const next of open) {
        if (branch.done.has(next)) continue;
        const state = model(branch.state, acts[next]!.input); // an index of acts
        if (state !== null) stack.push({ state, done: new Set([...branch.done, next]) });
      }
    }
    open.delete(act);
    if (found.size === 0) return { kind: 'notLinearizable', at: acts[act]!.text };
    branches = [...found.values()];
  }
  return { kind: 'linearizable' };
}

function nameOf<State, Input>({ state, done }: Branch<State>, acts: readonly Act<Input>[]): string {
  const names = [...done].map((each) => {
    const act = acts[each]!; // an index of acts
    return act.endMs === Infinity ? JSON.stringify(act.input) : String(each);
  });
  return `${String(state)}|${names.sort().join()}`;
}

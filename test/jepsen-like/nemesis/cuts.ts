/** Which directions each shape of a partition cuts: pure, by names. */

export type Direction = readonly [from: string, to: string];

export type Shape = 'isolate' | 'majority' | 'ring' | 'bridge';

export function cutsOf(
  shape: Shape,
  nodes: readonly string[],
  target: string,
): readonly Direction[] {
  const others = nodes.filter((node) => node !== target);
  switch (shape) {
    case 'isolate':
      return between([target], others);
    case 'majority': {
      // The target and its neighbours are one fewer than a majority.
      const companionCount = Math.floor((nodes.length - 1) / 2) - 1;
      const minority = [target, ...others.slice(0, companionCount)];
      return between(minority, others.slice(companionCount));
    }
    case 'ring': {
      // Everybody sees a majority, and no two nodes the same one. Three nodes are a ring already.
      const at = (i: number): string => nodes[(i + nodes.length) % nodes.length]!; // in range
      const pairs = nodes.flatMap((node, i) =>
        nodes
          .filter((to) => to !== node && to !== at(i - 1) && to !== at(i + 1))
          .map((to) => [node, to] as const),
      );
      return nodes.length > 3 ? pairs : between([at(0)], [at(1)]);
    }
    case 'bridge': {
      const half = Math.ceil(others.length / 2);
      return between(others.slice(0, half), others.slice(half));
    }
  }
}

/** Nothing of the others reaches the target, or the other way round. */
export function oneWayCutsOf(
  shape: 'deaf' | 'mute',
  nodes: readonly string[],
  target: string,
): readonly Direction[] {
  const others = nodes.filter((node) => node !== target);
  return others.map((other) => (shape === 'deaf' ? [other, target] : [target, other]));
}

/** Both directions of every pair. */
function between(some: readonly string[], others: readonly string[]): readonly Direction[] {
  return some.flatMap((a) =>
    others.flatMap((b): readonly Direction[] => [
      [a, b],
      [b, a],
    ]),
  );
}

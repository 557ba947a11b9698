/** Survivors that hold different entries where both must hold the same. */
import { comparedIndex, type Disagreement, ranked } from './recovery-plan.ts';
import { chainAt, type SurveyOptions, type Survivor } from './survivor.ts';

/**
 * Every pair of whole ones. Where the place to compare is in one of the logs no more, since it lost its beginning,
 * there is nothing to compare: what is removed was committed.
 * @param placeOf where to read the directory of a survivor
 */
export async function disagreementsAmong(
  survivors: readonly Survivor[],
  placeOf: (survivor: Survivor) => SurveyOptions,
): Promise<readonly Disagreement[]> {
  const whole = ranked(survivors).filter(({ problem }) => problem === null);
  const found: Disagreement[] = [];
  for (const [i, better] of whole.entries()) {
    for (const worse of whole.slice(i + 1)) {
      const index = comparedIndex(better, worse);
      if (index === null) continue;
      const crcOf = async (survivor: Survivor) =>
        (await chainAt(placeOf(survivor), [index])).get(index) ?? null;
      const [a, b] = [await crcOf(better), await crcOf(worse)];
      if (a === null || b === null || a === b) continue;
      found.push({ a: better.nodeId, b: worse.nodeId, index });
    }
  }
  return found;
}

/** Which of the known words somebody meant. */

/** More differences, and it was another word. */
const DISTANCE_MAX = 3;
/** Shorter, and it is a part of too much. */
const PART_LENGTH_MIN = 4;

/** @returns null when none is near. */
export function nearestWord(word: string, known: readonly string[]): string | null {
  let nearest: string | null = null;
  let best = Math.min(DISTANCE_MAX, Math.ceil(word.length / 2));
  for (const each of known) {
    const distance = distanceOf(normal(word), normal(each));
    if (distance > best || (distance === best && nearest !== null)) continue;
    [nearest, best] = [each, distance];
  }
  if (nearest !== null || word.length < PART_LENGTH_MIN) return nearest;
  const isPart = (a: string, b: string): boolean => normal(a).includes(normal(b));
  return known.find((each) => isPart(each, word) || isPart(word, each)) ?? null;
}

/** `segmentSizeBytes`, `segment_size_bytes` and `segment-size-bytes` are one word. */
function normal(word: string): string {
  return word.toLowerCase().replaceAll(/[-_.]/g, '');
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
export function distanceOf(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? at(i - 2, j - 2) + 1 : replaced;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped));
    }
  }
  return at(a.length, b.length);
}

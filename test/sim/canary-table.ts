/**
 * The table of planted bugs in docs/TESTING.md: hunted anew, not written by hand.
 *
 *     npm run build && node dist/test/sim/canary-table.js            prints the table
 *     npm run build && node dist/test/sim/canary-table.js --write    puts it into the page
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { ALL_STACK_CANARIES, huntStackCanary, stackCanaryNamed } from '../stack/canaries.ts';
import { CANARIES, type Canary, hunt } from './canaries.ts';

export const CANARY_PAGE = 'docs/TESTING.md';
const BEGIN = '<!-- canaries: begin -->';
const END = '<!-- canaries: end -->';

/** One hunt. Other simulators have tables of their own kind; their rows look the same. */
export interface CanaryRow {
  readonly id: string;
  readonly bug: string;
  readonly foundBy: string;
  readonly profile: string;
  readonly seed: number;
  readonly events: number;
}

/** A simulator with planted bugs. Its canaries are hunted when the table is written. */
export interface CanarySource {
  readonly ids: readonly string[];
  hunt(id: string): readonly CanaryRow[] | Promise<readonly CanaryRow[]>;
}

export const CORE_SOURCE: CanarySource = {
  ids: CANARIES.map(({ id }) => id),
  hunt(id) {
    const canary = CANARIES.find((candidate) => candidate.id === id);
    return canary === undefined ? [] : rowsOf(canary);
  },
};

/** The simulator of whole replicas; a hunt by each witness. */
export const STACK_SOURCE: CanarySource = {
  ids: ALL_STACK_CANARIES.map(({ id }) => id),
  async hunt(id) {
    const { bug, witnesses } = stackCanaryNamed(id);
    const rows: CanaryRow[] = [];
    for (const witness of witnesses) {
      const { seed, eventCount, check } = await huntStackCanary(id, witness);
      const profile = `stack ${witness.profile}`;
      rows.push({ id, bug, foundBy: check, profile, seed, events: eventCount });
    }
    return rows;
  },
};

/** Everybody whose rows the page shows. */
export const SOURCES: readonly CanarySource[] = [CORE_SOURCE, STACK_SOURCE];

export function rowsOf(canary: Canary): readonly CanaryRow[] {
  return canary.witnesses.map((witness) => {
    const { violation, seed, eventCount } = hunt(canary, witness);
    if (violation === null) throw new Error(`${canary.id} is not found in ${seed} seeds`);
    const { id, bug } = canary;
    const { profile } = witness;
    return { id, bug, foundBy: violation.invariant, profile, seed, events: eventCount };
  });
}

export async function tableOf(sources: readonly CanarySource[]): Promise<string> {
  const rows: CanaryRow[] = [];
  for (const source of sources) {
    for (const id of source.ids) rows.push(...(await source.hunt(id)));
  }
  const lines = rows.sort(byId).map((row, i) => {
    // A canary with several witnesses is named once.
    const before = rows[i - 1];
    const isFirst = before?.id !== row.id || before.bug !== row.bug;
    const name = isFirst ? [row.id, row.bug] : ['', ''];
    return cells([...name, row.foundBy, row.profile, String(row.seed), String(row.events)]);
  });
  const head = cells(['id', 'bug', 'found by', 'profile', 'seed', 'after events']);
  return [head, cells(['---', '---', '---', '---', '---:', '---:']), ...lines].join('\n');
}

/** C1 to C39 by number, then those with names. */
function byId(a: CanaryRow, b: CanaryRow): number {
  const [left, right] = [numberOf(a.id), numberOf(b.id)];
  if (left !== right) return left - right;
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}

function numberOf(id: string): number {
  const digits = /^C(\d+)$/.exec(id)?.[1];
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits);
}

function cells(texts: readonly string[]): string {
  return `| ${texts.join(' | ')} |`;
}

/** The page with another table between its marks. */
export function withTable(page: string, table: string): string {
  const [begin, end] = placeOf(page);
  return `${page.slice(0, begin)}\n\n${table}\n\n${page.slice(end)}`;
}

/** Which canaries the page shows. */
export function idsInPage(page: string): readonly string[] {
  const [begin, end] = placeOf(page);
  return page
    .slice(begin, end)
    .split('\n')
    .map((line) => /^\| ([\w-]+) \|/.exec(line)?.[1] ?? '')
    .filter((id) => id !== '' && id !== 'id' && id !== '---');
}

function placeOf(page: string): readonly [begin: number, end: number] {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${CANARY_PAGE} has no place for the table`);
  return [begin + BEGIN.length, end];
}

async function main(sources: readonly CanarySource[]): Promise<void> {
  const table = await tableOf(sources);
  console.log(table);
  if (!process.argv.includes('--write')) return;
  writeFileSync(CANARY_PAGE, withTable(readFileSync(CANARY_PAGE, 'utf8'), table));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(SOURCES);

/** Words into columns. Widths count characters; colour is added after padding. */

export type Style = 'plain' | 'bold' | 'dim' | 'good' | 'bad' | 'accent';

export interface Cell {
  readonly text: string;
  readonly style: Style;
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

const CODES: Readonly<Record<Style, string>> = {
  plain: '',
  bold: '\u001b[1m',
  dim: '\u001b[2m',
  good: '\u001b[32m',
  bad: '\u001b[31m',
  accent: '\u001b[36m',
};
const RESET = '\u001b[0m';
const GAP = '  ';

/** Whether styles show. */
export type Paint = (text: string, style: Style) => string;

export const plainPaint: Paint = (text) => text;
export const colourPaint: Paint = (text, style) =>
  style === 'plain' || text === '' ? text : `${CODES[style]}${text}${RESET}`;

/** https://no-color.org: any value that is not empty switches colour off. */
export function paintFor(
  output: { readonly isTty: boolean },
  variables: Readonly<Record<string, string | undefined>>,
): Paint {
  const isOff = (variables['NO_COLOR'] ?? '') !== '' || variables['TERM'] === 'dumb';
  return output.isTty && !isOff ? colourPaint : plainPaint;
}

export function cell(text: string | number, style: Style = 'plain'): Cell {
  return { text: String(text), style };
}

/** A title line and one line for each row, indented by two, without trailing blanks. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
): readonly string[] {
  const titles = columns.map(({ title }) => cell(title, 'dim'));
  const widths = columns.map((_, i) =>
    Math.max(...[titles, ...rows].map((row) => row[i]?.text.length ?? 0)),
  );
  return [titles, ...rows].map((row) => {
    const padded = row.map(({ text, style }, i) => {
      const blanks = ' '.repeat((widths[i] ?? 0) - text.length);
      const painted = paint(text, style);
      if (columns[i]?.align === 'right') return blanks + painted;
      return i === row.length - 1 ? painted : painted + blanks;
    });
    return `${GAP}${padded.join(GAP)}`.trimEnd();
  });
}

/** What of a table is left out. */
export interface Omissions {
  /** Titles of columns that say nothing here. */
  readonly useless?: readonly string[];
  /** Titles of columns that go, one after the other, where a line is too short for all. */
  readonly dispensable: readonly string[];
}

/** As `tableLines`, within `width` as far as columns can be spared. */
export function fittingTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { useless = [], dispensable }: Omissions,
  width: number,
  paint: Paint,
): readonly string[] {
  for (let count = 0; ; count++) {
    const gone = [...useless, ...dispensable.slice(0, count)];
    const isKept = (_: unknown, i: number): boolean => !gone.includes(columns[i]?.title ?? '');
    const kept = columns.filter(isKept);
    const cells = rows.map((row) => row.filter(isKept));
    const isLast = count === dispensable.length;
    if (isLast || widthOf(kept, cells) <= width) return tableLines(kept, cells, paint);
  }
}

/** Of the longest line of a table. */
export function widthOf(columns: readonly Column[], rows: readonly (readonly Cell[])[]): number {
  return Math.max(...tableLines(columns, rows, plainPaint).map(({ length }) => length));
}

const TIME_CHARACTERS = 'yyyy-mm-dd hh:mm:ss'.length;

/** In UTC, to the second. */
export function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace('T', ' ').slice(0, TIME_CHARACTERS);
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Three digits that matter: `0.19 ms`, `12.4 ms`, `1.20 s`. */
export function durationText(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms >= 10_000 ? 1 : 2)} s`;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)} ms`;
}

/** What a terminal must not interpret is shown as an escape. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is being replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (character === '\r') return '\\r';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Into lines of at most `width`, between words; a longer word has a line of its own. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** The frame of a page: style, escaping, tables. Nothing is loaded from anywhere. */

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

export interface Cell {
  readonly text: string;
  readonly kind?: 'good' | 'bad' | 'open' | 'number' | 'code';
  readonly href?: string;
}

export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  // A column of numbers has its title above them.
  const headCell = (title: string, column: number): string => {
    const isNumber = rows[0]?.[column]?.kind === 'number';
    return `<th${isNumber ? ' class="number"' : ''}>${escaped(title)}</th>`;
  };
  const cells = (row: readonly Cell[]): string => row.map(cell).join('');
  return (
    `<table><thead><tr>${head.map(headCell).join('')}</tr></thead>` +
    `<tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('\n')}</tbody></table>`
  );
}

function cell({ text, kind, href }: Cell): string {
  const shown = escaped(text);
  const content = href === undefined ? shown : `<a href="${escaped(href)}">${shown}</a>`;
  return `<td${kind === undefined ? '' : ` class="${kind}"`}>${content}</td>`;
}

export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body><main>
${body}
</main></body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light; --ink: #1d2530; --soft: #66717f; --line: #dfe4ea; --paper: #fff;
  --good: #17794a; --bad: #b3261e; --open: #a15c00; --accent: #2456b3; }
body { margin: 0; background: #f5f6f8; color: var(--ink);
  font: 14px/1.45 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 24px auto; padding: 8px 28px 32px; background: var(--paper);
  border: 1px solid var(--line); border-radius: 8px; }
h1 { font-size: 22px; margin: 16px 0 4px; }
h2 { font-size: 15px; margin: 28px 0 8px; }
p.note, figcaption { color: var(--soft); margin: 4px 0 10px; }
.banner { display: inline-block; padding: 3px 12px; border-radius: 12px; color: #fff; font-weight: 600; }
.banner.good { background: var(--good); } .banner.bad { background: var(--bad); }
.banner.open { background: var(--open); }
table { border-collapse: collapse; min-width: 60%; font-size: 13px; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); }
th, td { padding: 4px 10px 4px 0; vertical-align: top; }
td { border-bottom: 1px solid #eef1f4; }
th.number { text-align: right; padding-right: 22px; }
td.number { font-variant-numeric: tabular-nums; text-align: right; padding-right: 22px; }
td.good { color: var(--good); font-weight: 600; } td.bad { color: var(--bad); font-weight: 600; }
td.open { color: var(--open); font-weight: 600; }
td.code, code { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; word-break: break-word; }
a { color: var(--accent); }
figure { margin: 0; overflow-x: auto; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 11px system-ui, "Segoe UI", Arial, sans-serif; fill: var(--soft); }
svg .label { fill: var(--ink); }
.legend span { display: inline-block; margin-right: 16px; color: var(--soft); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px;
  vertical-align: -1px; }
`;

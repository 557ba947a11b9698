/**
 * What is left on a terminal after a program has written to it: carriage returns, erased lines and moves of
 * the cursor are carried out, colours are dropped. As much of ECMA-48 as our commands and readline use; what
 * is not known here is a bug of the transcript, and told.
 */
const ESCAPE = '\u001b';
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what a sequence begins with
const SEQUENCE = /^\u001b\[([?>=]?)([\d;]*)([A-Za-z])/;

export function screenOf(output: string): string {
  const lines: string[] = [''];
  let [row, column] = [0, 0];
  const line = (): string => lines[row] ?? '';
  const goTo = (next: number): void => {
    row = Math.max(0, next);
    while (lines.length <= row) lines.push('');
  };
  for (let i = 0; i < output.length; i++) {
    const character = output[i] ?? '';
    if (character === ESCAPE) {
      const [sequence, prefix = '', digits = '', kind = ''] = SEQUENCE.exec(output.slice(i)) ?? [];
      if (sequence === undefined)
        throw new Error(`Not known: ${JSON.stringify(output.slice(i, i + 9))}`);
      i += sequence.length - 1;
      if (prefix === '') move(kind, digits);
    } else if (character === '\r') column = 0;
    else if (character === '\n') goTo(row + 1);
    else if (character === '\b') column = Math.max(0, column - 1);
    else if (character !== '\u0007') {
      lines[row] = line().padEnd(column).slice(0, column) + character + line().slice(column + 1);
      column += 1;
    }
  }
  return lines.map((each) => each.trimEnd()).join('\n');

  function move(kind: string, digits: string): void {
    const count = digits === '' ? null : Number(digits.split(';')[0]);
    switch (kind) {
      case 'm':
        return;
      case 'K':
        if (count === 2) lines[row] = '';
        else if (count === null || count === 0) lines[row] = line().slice(0, column);
        return;
      case 'J':
        lines[row] = line().slice(0, column);
        lines.length = row + 1;
        return;
      case 'G':
        column = (count ?? 1) - 1;
        return;
      case 'A':
        goTo(row - (count ?? 1));
        return;
      case 'B':
        goTo(row + (count ?? 1));
        return;
      case 'C':
        column += count ?? 1;
        return;
      case 'D':
        column = Math.max(0, column - (count ?? 1));
        return;
      default:
        throw new Error(`Not known: CSI ${digits}${kind}`);
    }
  }
}

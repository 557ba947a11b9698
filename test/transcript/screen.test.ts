import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { screenOf } from './screen.ts';

const ESC = '\u001b';
const cases: readonly (readonly [string, string, string])[] = [
  ['plain lines', 'a\r\nb\r\n', 'a\nb\n'],
  [
    'a line that rewrites itself',
    `\r${ESC}[2Kone ...\r${ESC}[2Ktwo ...\r${ESC}[2Kdone\r\n`,
    'done\n',
  ],
  ['a sign of life that leaves no trace', `\r${ESC}[2Kasking ...\r${ESC}[2Kgroup\r\n`, 'group\n'],
  ['colours', `${ESC}[1mbold${ESC}[0m ${ESC}[31mred${ESC}[0m\n`, 'bold red\n'],
  ['what a shorter text does not cover', 'abcdef\rxy\n', 'xycdef\n'],
  ['a prompt as readline writes it', `${ESC}[1G${ESC}[0Jname: ${ESC}[7Gn3\r\n`, 'name: n3\n'],
  ['moves of the cursor', `abc${ESC}[2Dx${ESC}[1Cy\n`, 'axcy\n'],
  ['modes of the terminal', `${ESC}[?2004ha${ESC}[?2004l`, 'a'],
];
for (const [what, output, want] of cases) {
  test(`screenOf() shows ${what}`, () => equal(screenOf(output), want));
}

test('screenOf() does not guess', () => {
  throws(() => screenOf(`${ESC}[3Q`), /Not known/);
  throws(() => screenOf(`${ESC}c`), /Not known/);
});

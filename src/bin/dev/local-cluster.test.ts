import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { lastWords } from './local-cluster.ts';

test('of a log that ends with a fatal line only its sentence is shown', () => {
  const fatal = JSON.stringify({ level: 'fatal', kind: 'diskFailed', msg: 'No "space"\nleft' });
  deepEqual(lastWords(['{"level":"info"}', fatal]), ['No "space"', 'left']);
});

test('of any other log its end is shown as it is', () => {
  const tail = ['SyntaxError: Unexpected token', '    at file.js:1'];
  deepEqual(lastWords(tail), tail);
  deepEqual(lastWords([]), []);
});

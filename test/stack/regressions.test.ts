/** Scripts that once failed, of ourselves or with a planted bug: the code of production survives them. */
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { readRegressions } from './regression.ts';
import { runScript } from './run.ts';

const regressions = readRegressions();

test('there are scripts to replay', () => {
  ok(regressions.length > 0);
});

for (const { name, script } of regressions) {
  test(`${name}: the code of production survives it`, async () => {
    const { violation } = await runScript(script);
    equal(violation?.sentence, undefined);
  });
}

/**
 * Every checker is told a history in which what it forbids happens: one that stayed silent would
 * prove nothing in the simulator. The same history without the last move passes.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LEADER_HISTORIES } from './bad-histories-of-leaders.ts';
import { LOG_HISTORIES } from './bad-histories-of-logs.ts';
import { History } from './hand-made.ts';
import { INVARIANTS, type InvariantId, Violation } from './violation.ts';

const BAD_HISTORIES = [...LOG_HISTORIES, ...LEADER_HISTORIES];

/** Not told as histories: the world itself waits for these, or the core says them. */
const ELSEWHERE: readonly InvariantId[] = ['V1', 'V2', 'V3', 'V4', 'core'];

describe('each checker accuses what it forbids', () => {
  for (const { id, name, nodeCount, tell, badMove } of BAD_HISTORIES) {
    test(`${id} ${INVARIANTS[id]}: ${name}`, () => {
      const history = new History([id], nodeCount);
      tell?.(history, ...history.nodes);
      assert.throws(
        () => badMove(history, ...history.nodes),
        (error) => error instanceof Violation && error.invariant === id,
      );
    });
  }
});

test('every invariant has a bad history', () => {
  const told = new Set(BAD_HISTORIES.map(({ id }) => id));
  for (const id of Object.keys(INVARIANTS) as InvariantId[]) {
    assert.ok(told.has(id) || ELSEWHERE.includes(id), id);
  }
});

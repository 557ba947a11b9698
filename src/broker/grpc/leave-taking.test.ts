import { deepEqual, doesNotThrow, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import { LeaveTaking } from './leave-taking.ts';
import { LEAVE_LIMITS } from './limits.ts';
import { CODE, StatusError } from './status-codes.ts';
import { LANGUAGE } from './wire-enums.ts';
import type { Settings } from './wire-types.ts';

const { routesMs, quietMs, heldMs, leaveMsMax, pollMs } = LEAVE_LIMITS;

function settingsOf(kind: 'producer' | 'consumer', language: number): Settings {
  const publishing = { topics: [], maxBodySize: 0, validateMessageType: true };
  const nothing = { accessPoint: null, backoffPolicy: null, requestTimeout: null, metric: null };
  return {
    ...nothing,
    clientType: 0,
    publishing: kind === 'producer' ? publishing : null,
    subscription: null,
    userAgent: { language },
  };
}

function setUp() {
  const clock = new ManualClock();
  const settings = new Map([
    ['node', settingsOf('producer', LANGUAGE.nodeJs)],
    ['java', settingsOf('producer', 1)],
    ['consumer', settingsOf('consumer', LANGUAGE.nodeJs)],
  ]);
  const node = { isLeaving: false };
  const taking = new LeaveTaking({
    clock,
    clients: { clientCount: settings.size, settingsOf: (id) => settings.get(id) ?? null },
    isLeaving: () => node.isLeaving,
  });
  /** @returns whether it was taken in */
  const send = (clientId: string): boolean => {
    const end = taking.begin(clientId);
    try {
      taking.turnAway(clientId);
      return true;
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== CODE.haNotAvailable) throw error;
      return false;
    } finally {
      end();
    }
  };
  const poll = (clientId: string, count: number): void => {
    const end = taking.begin(clientId);
    taking.handedOut(clientId, count);
    end();
  };
  return { clock, node, taking, send, poll };
}

test('while the node stays, nobody is turned away and polls are as long as they like', () => {
  const { taking, send } = setUp();
  equal(send('node'), true);
  equal(taking.waitMs(20_000), 20_000);
  deepEqual(taking.departure(), { state: 'serving', userCount: 0 });
});

test('of a Node producer exactly the first attempt in each departure is turned away', () => {
  const { node, send } = setUp();
  for (const _ of ['one', 'another']) {
    node.isLeaving = true;
    deepEqual([send('node'), send('node'), send('node')], [false, true, true]);
    node.isLeaving = false;
    equal(send('node'), true);
  }
});

test('whatever is sent, two attempts of one message are never both turned away', () => {
  const step = fc.record({
    leaves: fc.boolean(),
    client: fc.constantFrom('node', 'java', 'consumer', 'stranger'),
    restMs: fc.nat(70_000),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const { clock, node, send } = setUp();
      for (const { leaves, client, restMs } of steps) {
        node.isLeaving = leaves;
        const attempts = [send(client), send(client)];
        equal(attempts[1], true);
        if (client !== 'node' || !leaves) equal(attempts[0], true);
        clock.advance(restMs);
      }
    }),
  );
});

test('who goes by routes, or is not known, is not turned away', () => {
  const { node, taking, send } = setUp();
  node.isLeaving = true;
  equal(send('java'), true);
  equal(send('stranger'), true);
  doesNotThrow(() => taking.turnAway('consumer'));
  throws(() => taking.turnAway('node'), StatusError);
});

test('a departure is over when routes were renewed and nobody was heard for a moment', () => {
  const { clock, node, taking, send, poll } = setUp();
  send('java');
  node.isLeaving = true;
  deepEqual(taking.departure(), { state: 'leaving', userCount: 1 });
  clock.advance(quietMs);
  deepEqual(taking.departure(), { state: 'leaving', userCount: 0 });
  clock.advance(routesMs - quietMs - 1);
  equal(taking.departure().state, 'leaving');
  poll('consumer', 0);
  clock.advance(1);
  deepEqual(taking.departure(), { state: 'leaving', userCount: 1 });
  clock.advance(quietMs);
  equal(taking.departure().state, 'left');
});

test('a poll that is open is use, and a poll is short at a node that is leaving', () => {
  const { clock, node, taking } = setUp();
  node.isLeaving = true;
  equal(taking.waitMs(20_000), pollMs);
  equal(taking.waitMs(5), 5);
  const end = taking.begin('consumer');
  clock.advance(routesMs);
  equal(taking.departure().userCount, 1);
  end();
  clock.advance(quietMs);
  equal(taking.departure().state, 'left');
});

test('who holds a message from here is waited for, for a time', () => {
  const { clock, node, taking, poll } = setUp();
  poll('consumer', 2);
  node.isLeaving = true;
  clock.advance(quietMs);
  equal(taking.departure().userCount, 1);
  taking.settled('consumer', 1);
  equal(taking.departure().userCount, 1);
  taking.settled('consumer', 1);
  equal(taking.departure().userCount, 0);
  poll('consumer', 1);
  clock.advance(heldMs);
  equal(taking.departure().userCount, 0);
});

test('a producer that was turned away goes on to send, and is not waited for', () => {
  const { clock, node, taking, send } = setUp();
  send('node');
  node.isLeaving = true;
  equal(taking.departure().userCount, 1);
  send('node');
  send('node');
  equal(taking.departure().userCount, 0);
  clock.advance(routesMs);
  send('node');
  equal(taking.departure().state, 'left');
});

test('nobody is waited for longer than the bound, and nobody at all where there are no clients', () => {
  const { clock, node, taking, poll } = setUp();
  node.isLeaving = true;
  for (let ms = 0; ms < leaveMsMax; ms += 1_000) {
    equal(taking.departure().state, 'leaving');
    poll('consumer', 1);
    clock.advance(1_000);
  }
  deepEqual(taking.departure(), { state: 'left', userCount: 1 });
  const alone = new LeaveTaking({
    clock,
    clients: { clientCount: 0, settingsOf: () => null },
    isLeaving: () => true,
  });
  equal(alone.departure().state, 'left');
});

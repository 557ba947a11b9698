import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeadershipLost } from '../../src/broker/leadership-lost.ts';
import type { DeliveredMessage } from '../../src/broker/verbs.ts';
import { type Fixture, GROUP, openBroker, receiveRequest, TOPIC } from './broker-fixture.ts';

const INVISIBLE_MS = 5_000;

type Step =
  | { readonly kind: 'send'; readonly count: number }
  | { readonly kind: 'receive'; readonly polls: number; readonly batchSize: number }
  | { readonly kind: 'ack'; readonly pick: number }
  | { readonly kind: 'giveBack'; readonly pick: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'fall'; readonly fate: 'survive' | 'vanish'; readonly during: Step };

const calm: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant('receive' as const),
    polls: fc.integer({ min: 1, max: 3 }),
    batchSize: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constant('ack' as const), pick: fc.nat(20) }),
  fc.record({ kind: fc.constant('giveBack' as const), pick: fc.nat(20) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2 * INVISIBLE_MS) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: calm, weight: 6 },
  {
    arbitrary: fc.record({
      kind: fc.constant('fall' as const),
      fate: fc.constantFrom('survive' as const, 'vanish' as const),
      during: calm,
    }),
    weight: 1,
  },
);

/** Plays consumers, and remembers what the broker has promised them. */
class Consumers {
  readonly sent = new Set<string>();
  readonly acked = new Set<string>();
  /** By message: until when nobody else may get it. */
  readonly heldUntilMs = new Map<string, number>();
  readonly deliveries: DeliveredMessage[] = [];
  readonly #fixture: Fixture;
  /** Acknowledgements whose answer was lost: the message may or may not come again. */
  readonly #maybeAcked = new Set<string>();
  #nextId = 0;

  constructor(fixture: Fixture) {
    this.#fixture = fixture;
  }

  async run(each: Step): Promise<void> {
    const { replica, clock } = this.#fixture;
    if (each.kind !== 'fall') return this.#act(each);
    replica.commitMode = 'held';
    const acting = this.#act(each.during);
    await clock.advanceSettling(0);
    replica.loseLeadership(null, each.fate);
    replica.commitMode = 'auto';
    await acting;
    replica.lead();
  }

  async #act(each: Step): Promise<void> {
    const { clock } = this.#fixture;
    switch (each.kind) {
      case 'send':
        return this.#send(Array.from({ length: each.count }, () => `m${this.#nextId++}`));
      case 'receive':
        await Promise.all(Array.from({ length: each.polls }, () => this.receive(each.batchSize)));
        return;
      case 'ack':
        return this.#ack(this.deliveries[each.pick % Math.max(1, this.deliveries.length)]);
      case 'giveBack':
        return this.#giveBack(this.deliveries[each.pick % Math.max(1, this.deliveries.length)]);
      case 'wait':
        return clock.advanceSettling(each.ms);
      case 'fall':
        throw new Error('A fall does not nest');
    }
  }

  async #send(messageIds: readonly string[]): Promise<void> {
    for (const messageId of messageIds) {
      const done = await whileLeading(this.#fixture.send({ messageId }));
      // A lost answer is repeated by a real client; here the message simply may exist.
      if (done !== null) this.sent.add(messageId);
    }
  }

  async receive(batchSize: number): Promise<void> {
    const request = receiveRequest({ batchSize, invisibleMs: INVISIBLE_MS });
    const messages = await whileLeading(this.#fixture.receive(request));
    const nowMs = this.#fixture.clock.monotonicMs();
    for (const message of messages ?? []) {
      const { messageId } = message;
      ok(!this.acked.has(messageId), `${messageId} was delivered after its acknowledgement`);
      const heldUntilMs = this.heldUntilMs.get(messageId) ?? 0;
      ok(heldUntilMs <= nowMs, `${messageId} has two holders`);
      this.heldUntilMs.set(messageId, nowMs + INVISIBLE_MS);
      this.deliveries.push(message);
    }
  }

  async #ack(message: DeliveredMessage | undefined): Promise<void> {
    if (message === undefined) return;
    const outcomes = await whileLeading(this.#fixture.ack(message.handle));
    if (outcomes === null) this.#maybeAcked.add(message.messageId);
    else if (outcomes[0] === 'ok') this.acked.add(message.messageId);
  }

  async #giveBack({ handle, messageId }: Partial<DeliveredMessage> = {}): Promise<void> {
    if (handle === undefined || messageId === undefined) return;
    const request = { kind: 'changeInvisible', group: GROUP, topic: TOPIC, handle } as const;
    try {
      await this.#fixture.serve({ ...request, invisibleMs: 0 }, 'invisibleChanged');
      this.heldUntilMs.delete(messageId);
    } catch (error) {
      // Lost leadership: it may have been given back. A replaced or acknowledged one was not.
      if (error instanceof LeadershipLost) this.heldUntilMs.delete(messageId);
      else if ((error as { code?: string }).code !== 'invalidHandle') throw error;
    }
  }

  /** Everything that is left comes, and each acknowledgement ends it. */
  async drain(): Promise<void> {
    for (let round = 0; round < 200; round++) {
      const before = this.deliveries.length;
      await this.#fixture.clock.advanceSettling(INVISIBLE_MS + 1);
      await this.receive(32);
      const got = this.deliveries.slice(before);
      for (const message of got) await this.#ack(message);
      if (got.length === 0) return;
    }
    throw new Error('Messages never stop coming');
  }

  get missing(): readonly string[] {
    return [...this.sent].filter((id) => !this.acked.has(id) && !this.#maybeAcked.has(id));
  }
}

async function whileLeading<T>(act: Promise<T>): Promise<T | null> {
  try {
    return await act;
  } catch (error) {
    if (error instanceof LeadershipLost) return null;
    throw error;
  }
}

test('every message is delivered until acknowledged, to one holder at a time, and never after', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const fixture = await openBroker();
      await fixture.serve({ kind: 'topicPut', topic: TOPIC, queueCount: 3 }, 'topicPut');
      await fixture.serve({ kind: 'groupPut', group: GROUP, maxAttempts: 1000 }, 'groupPut');
      const consumers = new Consumers(fixture);
      for (const each of steps) await consumers.run(each);
      await consumers.drain();
      ok(consumers.missing.length === 0, `lost: ${consumers.missing.join(', ')}`);
    }),
    { numRuns: 150 },
  );
});

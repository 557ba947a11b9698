/**
 * Random histories of a queue that works are innocent, whatever their operations came to; and spoiled in one place
 * they are not.
 */
import { deepEqual, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Operation, Outcome } from '../history/operation.ts';
import { verdictsOn } from './check-run.ts';
import { ack, evidence, type Given, receive, type Sent, send } from './made-evidence.ts';
import type { AnomalyKind } from './verdict.ts';

const STEP_MS = 10;
const QUEUES = 2;

type Move =
  | {
      readonly kind: 'send';
      readonly producer: number;
      readonly count: number;
      readonly queue: number;
      readonly outcome: Outcome;
      readonly lands: boolean;
    }
  | { readonly kind: 'receive'; readonly outcome: Outcome; readonly acks: boolean };

const aMove: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    kind: fc.constant('send' as const),
    producer: fc.nat(2),
    count: fc.integer({ min: 1, max: 3 }),
    queue: fc.nat(QUEUES - 1),
    outcome: fc.constantFrom<Outcome>('ok', 'ok', 'ok', 'fail', 'info'),
    lands: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('receive' as const),
    outcome: fc.constantFrom<Outcome>('ok', 'ok', 'info'),
    acks: fc.boolean(),
  }),
);

/** A queue that works, one operation at a time, and a group that is given everything in order. */
class WorkingQueue {
  readonly operations: Operation[] = [];
  readonly #queues: string[][] = Array.from({ length: QUEUES }, () => []);
  readonly #given = new Array<number>(QUEUES).fill(0);
  readonly #lives = [0, 0, 0];
  #sequence = 0;
  #nowMs = 0;

  play(move: Move): void {
    this.#nowMs += STEP_MS;
    if (move.kind === 'send') this.#send(move);
    else this.#receive(move);
  }

  /** A fresh group reads all. */
  finish(): void {
    this.#nowMs += STEP_MS;
    const all = this.#queues.flatMap((ids, queue) =>
      ids.map((id, offset): Given => [id, offset, 1, queue]),
    );
    this.operations.push(receive(all, { from: this.#nowMs, group: 'final' }));
  }

  #send({ producer, count, queue, outcome, lands }: Extract<Move, { kind: 'send' }>): void {
    const ids = this.#queues[queue]!; // below their count
    const isStored = outcome === 'ok' || (outcome === 'info' && lands);
    const messages = Array.from({ length: count }, (_, i): Sent => {
      const sequence = this.#sequence++;
      return [`m${sequence}`, sequence, ids.length + i, queue];
    });
    const client = `p${producer}.${this.#lives[producer]}`;
    this.operations.push(send(messages, { from: this.#nowMs, client, outcome }));
    if (isStored) ids.push(...messages.map(([id]) => id));
    if (outcome === 'info') this.#lives[producer]!++; // one of three
  }

  #receive({ outcome, acks }: Extract<Move, { kind: 'receive' }>): void {
    const given = this.#queues.flatMap((ids, queue) => {
      const from = this.#given[queue]!; // one for each queue
      this.#given[queue] = ids.length;
      return ids.slice(from).map((id, i): Given => [id, from + i, 1, queue]);
    });
    const isOk = outcome === 'ok';
    this.operations.push(receive(isOk ? given : [], { from: this.#nowMs, outcome }));
    const first = given.find(([, , , queue]) => queue === 0);
    if (isOk && acks && first !== undefined)
      this.operations.push(ack(first[1], { from: this.#nowMs + 2 }));
  }
}

function historyOf(moves: readonly Move[]): readonly Operation[] {
  const queue = new WorkingQueue();
  for (const move of moves) queue.play(move);
  queue.finish();
  return queue.operations;
}

function kindsIn(operations: readonly Operation[], places = evidence({ operations }).places) {
  const verdicts = verdictsOn(evidence({ operations, places }));
  return [...new Set(verdicts.flatMap(({ anomalies }) => anomalies.map(({ kind }) => kind)))];
}

const moves = fc.array(aMove, { minLength: 3, maxLength: 25 });

/** An acknowledged message, any. */
function acknowledgedIn(operations: readonly Operation[], pick: number): string | null {
  const ids = operations.flatMap(({ action, outcome }) =>
    action.verb === 'send' && outcome === 'ok' ? action.receipts.map(({ id }) => id) : [],
  );
  return ids[pick % Math.max(1, ids.length)] ?? null;
}

function withDeliveries(
  operations: readonly Operation[],
  change: (deliveries: readonly Delivered[]) => readonly Delivered[],
): readonly Operation[] {
  return operations.map((operation) => {
    const { action } = operation;
    if (action.verb !== 'receive') return operation;
    return { ...operation, action: { ...action, deliveries: change(action.deliveries) } };
  });
}
type Delivered = Extract<Operation['action'], { verb: 'receive' }>['deliveries'][number];

interface Spoiling {
  readonly what: string;
  readonly spoil: (operations: readonly Operation[], id: string) => readonly Operation[];
  readonly finds: readonly AnomalyKind[];
}

const SPOILINGS: readonly Spoiling[] = [
  {
    what: 'an acknowledged message that nobody was given',
    spoil: (operations, id) =>
      withDeliveries(operations, (all) => all.filter((each) => each.id !== id)),
    finds: ['lost-write', 'unseen'],
  },
  {
    what: 'a message given at another offset than the acknowledged one',
    spoil: (operations, id) =>
      withDeliveries(operations, (all) =>
        all.map((each) =>
          each.id === id ? { ...each, queueOffset: each.queueOffset + 1_000 } : each,
        ),
      ),
    finds: ['duplicate'],
  },
  {
    what: 'a message given with another body',
    spoil: (operations, id) =>
      withDeliveries(operations, (all) =>
        all.map((each) => (each.id === id ? { ...each, intact: false } : each)),
      ),
    finds: ['damaged-body'],
  },
  {
    what: 'a message given, whose send is said to have failed',
    spoil: (operations, id) =>
      operations.map((operation) => {
        const { action } = operation;
        const isIt = action.verb === 'send' && action.messages.some((each) => each.id === id);
        return isIt ? { ...operation, outcome: 'fail' as const } : operation;
      }),
    finds: ['aborted-read'],
  },
  {
    what: 'another message in the place of an acknowledged one',
    spoil: (operations, id) => [
      ...operations,
      ...operations.flatMap(({ action }) =>
        action.verb === 'send'
          ? action.receipts
              .filter((each) => each.id === id)
              .map(({ queueOffset, queueId }) =>
                send([['twin', 9_999, queueOffset, queueId]], { client: 'q' }),
              )
          : [],
      ),
    ],
    finds: ['inconsistent-offsets'],
  },
];

suite('checkers on random histories', () => {
  test('a queue that works is innocent', () => {
    fc.assert(
      fc.property(moves, (all) => {
        deepEqual(kindsIn(historyOf(all)), []);
      }),
      { numRuns: 500 },
    );
  });

  for (const { what, spoil, finds } of SPOILINGS) {
    test(`${what} is found`, () => {
      let spoiled = 0;
      fc.assert(
        fc.property(moves, fc.nat(), (all, pick) => {
          const operations = historyOf(all);
          const id = acknowledgedIn(operations, pick);
          if (id === null) return;
          spoiled++;
          const found = kindsIn(spoil(operations, id), evidence({ operations }).places);
          ok(
            found.some((kind) => finds.includes(kind)),
            `found ${found.join(', ') || 'nothing'}`,
          );
        }),
        { numRuns: 200 },
      );
      ok(spoiled > 100, `${spoiled} histories had something to spoil`);
    });
  }
});

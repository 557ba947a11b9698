import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PhysicalOffset, QueueOffset } from '../../base/units.ts';
import { DedupWindow } from './dedup-window.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { MessageJournal } from './message-journal.ts';
import { Overlay } from './overlay.ts';
import { RowWriter } from './row-codec.ts';

const BOUNDS = { countMin: 20, countMax: 150, ageMsMax: 40 };
const OFFSET_STEP = 100;

test('the window starts at the first message that is not one too many and not too old', async () => {
  const aTimeStep = fc.oneof(
    { weight: 20, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: -5, max: 5 }) },
    { weight: 1, arbitrary: fc.integer({ min: -90, max: 60 }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(aTimeStep, fc.nat(30)), { minLength: 300, maxLength: 600 }),
      async (steps) => {
        const store = new MemoryKvStore();
        let overlay = new Overlay(store);
        let journal = new MessageJournal(overlay, new RowWriter());
        let window = new DedupWindow(overlay, new RowWriter(), journal, BOUNDS);
        const timesMs: number[] = [];
        let timeMs = 1_000;
        let head = 0;
        for (const [step, reopen] of steps) {
          timeMs += step;
          timesMs.push(Math.max(timeMs, timesMs.at(-1) ?? 0));
          journal.append({
            physicalOffset: PhysicalOffset(timesMs.length * OFFSET_STEP),
            storeTimestampMs: timeMs,
            topicNumber: 1,
            queueId: 0,
            queueOffset: QueueOffset(timesMs.length - 1),
            id: null,
            keys: [],
          });
          window.follow();

          const oldestMs = timesMs.at(-1)! - BOUNDS.ageMsMax;
          const isTooOld = () => timesMs[head]! < oldestMs;
          while (timesMs.length - head > BOUNDS.countMin && isTooOld()) head++;
          head = Math.max(head, timesMs.length - BOUNDS.countMax);
          assert.equal(window.startOffset, (head + 1) * OFFSET_STEP);

          if (reopen > 0) continue;
          journal.writeDirty();
          window.writeDirty();
          await store.commit(overlay.freeze());
          overlay = new Overlay(store);
          journal = new MessageJournal(overlay, new RowWriter());
          window = new DedupWindow(overlay, new RowWriter(), journal, BOUNDS);
          assert.equal(window.startOffset, (head + 1) * OFFSET_STEP);
        }
      },
    ),
    { numRuns: 30 },
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex } from '../base/units.ts';
import {
  decodeCheckpointReply,
  decodeStandingCall,
  decodeStandingReply,
  decodeVerifyFrame,
  decodeVerifyRun,
  encodeCheckpointReply,
  encodeStandingCall,
  encodeStandingReply,
  encodeVerifyFrame,
  encodeVerifyRun,
  STATE_OUTCOMES,
  VERIFY_PHASES,
  type VerifyFrame,
} from './verify-codec.ts';

const plain = { noNullPrototype: true } as const;
const index = fc.maxSafeNat().map(LogIndex);
const word = fc.string({ unit: 'grapheme', maxLength: 12 });
const words = fc.array(word, { maxLength: 3 });
const positive = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const big = fc.maxSafeNat();
const standing = fc.record({ index, headerCrc: fc.nat(2 ** 32 - 1), digest: word }, plain);
const log = fc.record(
  {
    ...{ firstIndex: index, goodIndex: index, lastIndex: index, readBytes: big },
    ...{ isFromDevice: fc.boolean(), damageCount: big, damages: words },
  },
  plain,
);
const state = fc.record(
  {
    ...{ outcome: fc.constantFrom(...STATE_OUTCOMES), index, rowCount: big },
    ...{ differenceCount: big, details: words },
  },
  plain,
);
const frame: fc.Arbitrary<VerifyFrame> = fc.oneof(
  fc
    .record(
      { phase: fc.constantFrom(...VERIFY_PHASES), done: big, total: fc.option(positive) },
      plain,
    )
    .map((progress) => ({ kind: 'progress' as const, progress })),
  fc
    .record(
      {
        nodeId: word,
        storeUuid: word,
        log,
        standings: fc.array(standing, { maxLength: 3 }),
        state,
      },
      plain,
    )
    .map((verdict) => ({ kind: 'verdict' as const, verdict })),
);

test('what was encoded is decoded: calls, frames and replies', () => {
  const run = fc.record(
    {
      bytesPerSecond: fc.option(positive),
      skipsDerived: fc.boolean(),
      checkpointIndex: fc.option(positive.map(LogIndex)),
    },
    plain,
  );
  fc.assert(
    fc.property(run, frame, fc.option(index), fc.option(standing), (aRun, aFrame, at, stand) => {
      assert.deepEqual(decodeVerifyRun(encodeVerifyRun(aRun)), aRun);
      assert.deepEqual(decodeVerifyFrame(encodeVerifyFrame(aFrame)), aFrame);
      assert.equal(decodeCheckpointReply(encodeCheckpointReply(at)), at);
      assert.equal(decodeStandingCall(encodeStandingCall(at ?? LogIndex(0))), at ?? 0);
      assert.deepEqual(decodeStandingReply(encodeStandingReply(stand)), stand);
    }),
  );
});

test('bytes that are anything are a CodecError or a value, never another error', () => {
  const decoders = [decodeVerifyRun, decodeVerifyFrame, decodeCheckpointReply, decodeStandingReply];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      for (const decode of decoders) {
        try {
          decode(bytes);
        } catch (error) {
          assert.equal(error instanceof Error && error.name, 'CodecError');
        }
      }
    }),
  );
});

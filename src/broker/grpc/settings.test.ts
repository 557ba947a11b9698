import { deepEqual, equal } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answerSettings, DEFAULT_GROUP_TRAITS } from './settings.ts';
import type { Settings } from './wire-types.ts';

const LANGUAGES = {
  JAVA: 1,
  CPP: 2,
  DOT_NET: 3,
  GOLANG: 4,
  RUST: 5,
  PYTHON: 6,
  NODE_JS: 8,
} as const;
const NOTHING: Settings = {
  clientType: 0,
  accessPoint: null,
  backoffPolicy: null,
  requestTimeout: null,
  publishing: null,
  subscription: null,
  userAgent: null,
  metric: null,
};
const TOPICS = [{ resourceNamespace: 'ns', name: 'orders' }];
const GROUP = { resourceNamespace: '', name: 'billing' };
const consumer = (language: number): Settings => ({
  ...NOTHING,
  clientType: 3,
  userAgent: { language },
  subscription: {
    group: GROUP,
    subscriptions: [],
    fifo: null,
    receiveBatchSize: null,
    longPollingTimeout: null,
  },
});
const producer = (language: number): Settings => ({
  ...NOTHING,
  clientType: 1,
  userAgent: { language },
  publishing: { topics: TOPICS, maxBodySize: 0, validateMessageType: false },
});

describe('settings by language', () => {
  for (const [language, number] of Object.entries(LANGUAGES)) {
    test(`a producer in ${language} backs off exponentially`, () => {
      const answer = answerSettings(producer(number), DEFAULT_GROUP_TRAITS);
      deepEqual(answer?.backoffPolicy, {
        maxAttempts: 3,
        exponentialBackoff: {
          initial: { seconds: 0, nanos: 10_000_000 },
          max: { seconds: 1, nanos: 0 },
          multiplier: 2,
        },
      });
      deepEqual(answer?.publishing, {
        topics: TOPICS,
        maxBodySize: 4 * 1024 * 1024 - 64 * 1024,
        validateMessageType: true,
      });
    });

    const kind = language === 'NODE_JS' ? 'exponentialBackoff' : 'customizedBackoff';
    test(`a consumer in ${language} gets ${kind}`, () => {
      const policy = answerSettings(consumer(number), {
        maxAttempts: 5,
        fifo: false,
      })?.backoffPolicy;
      deepEqual(Object.keys(policy ?? {}), ['maxAttempts', kind]);
      equal(policy?.maxAttempts, 5);
    });
  }
});

test('the list of delays is the one of RocketMQ: 18 steps from 1 s to 2 h', () => {
  const policy = answerSettings(consumer(LANGUAGES.JAVA), DEFAULT_GROUP_TRAITS)?.backoffPolicy;
  const seconds = policy?.customizedBackoff?.next.map((delay) => delay.seconds);
  deepEqual(
    seconds,
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200],
  );
});

test('Node is told milliseconds in the field for seconds, since it reads them so', () => {
  const policy = answerSettings(consumer(LANGUAGES.NODE_JS), DEFAULT_GROUP_TRAITS)?.backoffPolicy;
  deepEqual(policy?.exponentialBackoff, {
    initial: { seconds: 1_000, nanos: 0 },
    max: { seconds: 7_200_000, nanos: 0 },
    multiplier: 2,
  });
});

test('a consumer is told batch size, polling time and whether its group is in order', () => {
  const { subscription } = answerSettings(consumer(1), { maxAttempts: 17, fifo: true }) ?? {};
  deepEqual(subscription, {
    group: GROUP,
    subscriptions: [],
    fifo: true,
    receiveBatchSize: 32,
    longPollingTimeout: { seconds: 20, nanos: 0 },
  });
});

test('what the client said comes back unchanged', () => {
  const said = { ...producer(6), requestTimeout: { seconds: 7, nanos: 1 }, clientType: 1 };
  const answer = answerSettings(said, DEFAULT_GROUP_TRAITS);
  deepEqual(answer?.requestTimeout, said.requestTimeout);
  deepEqual(answer?.userAgent, said.userAgent);
  deepEqual(answer?.metric, { on: false });
});

test('settings of nobody get no answer', () => {
  equal(answerSettings(NOTHING, DEFAULT_GROUP_TRAITS), null);
});

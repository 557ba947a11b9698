import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, settled } from '../../io/memory/manual-clock.ts';
import { BackgroundCalls } from './background-calls.ts';
import { ClientRegistry, type ClientStream } from './client-registry.ts';
import { EndpointCounters } from './counters.ts';
import {
  CLIENT_GONE_GRACE_MS,
  CLIENT_REPORT_INTERVAL_MS_MAX,
  CLIENT_SILENCE_MS_MAX,
  CLIENT_SWEEP_MS,
} from './limits.ts';
import { MemoryGateway } from './testing/memory-gateway.ts';

function setUp() {
  const clock = new ManualClock();
  const gateway = new MemoryGateway(clock);
  const counters = new EndpointCounters();
  const background = new BackgroundCalls(gateway, clock, counters);
  const registry = new ClientRegistry(clock, background);
  const notices = (): string[] =>
    gateway.calls.map(({ request }) =>
      'clientId' in request ? `${request.kind} ${request.clientId}` : request.kind,
    );
  return { clock, gateway, registry, counters, background, notices };
}

const aStream = (): ClientStream => ({ onHeartbeat: () => undefined, end: () => undefined });

test('a client that lost its only stream is gone after the grace period', async () => {
  const { clock, registry, notices } = setUp();
  const stream = aStream();
  registry.streamOpened('c', stream);
  registry.streamClosed('c', stream);
  clock.advance(CLIENT_GONE_GRACE_MS - 1);
  await settled();
  deepEqual(notices(), ['clientSeen c']);
  clock.advance(1);
  await settled();
  deepEqual(notices(), ['clientSeen c', 'clientGone c']);
  equal(registry.clientCount, 0);
});

test('a client with another stream is not gone', async () => {
  const { clock, registry, notices } = setUp();
  const [first, second] = [aStream(), aStream()];
  registry.streamOpened('c', first);
  registry.streamOpened('c', second);
  registry.streamClosed('c', first);
  clock.advance(2 * CLIENT_GONE_GRACE_MS);
  await settled();
  deepEqual(notices(), ['clientSeen c']);
  equal(registry.streamCount, 1);
});

for (const sign of ['heartbeat', 'stream'] as const) {
  test(`a ${sign} within the grace period keeps a client`, async () => {
    const { clock, registry, notices } = setUp();
    const stream = aStream();
    registry.streamOpened('c', stream);
    registry.streamClosed('c', stream);
    clock.advance(CLIENT_GONE_GRACE_MS - 1);
    if (sign === 'heartbeat') registry.heartbeat('c');
    else registry.streamOpened('c', aStream());
    clock.advance(CLIENT_GONE_GRACE_MS);
    await settled();
    equal(notices().includes('clientGone c'), false);
  });
}

test('a stream closed twice counts once', () => {
  const { registry } = setUp();
  const [first, second] = [aStream(), aStream()];
  registry.streamOpened('c', first);
  registry.streamOpened('c', second);
  registry.streamClosed('c', first);
  registry.streamClosed('c', first);
  equal(registry.streamCount, 1);
});

test('good-bye is reported at once, and not again when the streams end', async () => {
  const { clock, registry, notices } = setUp();
  const stream = aStream();
  registry.streamOpened('c', stream);
  await settled();
  registry.terminated('c');
  registry.streamClosed('c', stream);
  clock.advance(2 * CLIENT_GONE_GRACE_MS);
  await settled();
  deepEqual(notices(), ['clientSeen c', 'clientGone c']);
});

test('heartbeats in quick succession are one notice', async () => {
  const { clock, registry, notices } = setUp();
  for (let i = 0; i < 100; i++) {
    registry.heartbeat('c');
    clock.advance(10);
  }
  await settled();
  equal(notices().length, 1);
  clock.advance(1_000);
  registry.heartbeat('c');
  await settled();
  equal(notices().length, 2);
});

test('an open stream without heartbeats still says that the client lives', async () => {
  const { clock, registry, notices } = setUp();
  registry.streamOpened('c', aStream());
  clock.advance(CLIENT_REPORT_INTERVAL_MS_MAX - 1);
  await settled();
  deepEqual(notices(), ['clientSeen c']);
  clock.advance(CLIENT_SWEEP_MS);
  await settled();
  deepEqual(notices(), ['clientSeen c', 'clientSeen c']);
});

test('a client known by heartbeats only is forgotten when they stop', async () => {
  const { clock, registry } = setUp();
  registry.heartbeat('c');
  clock.advance(CLIENT_SILENCE_MS_MAX + CLIENT_SWEEP_MS);
  await settled();
  equal(registry.clientCount, 0);
});

test('closing ends the streams and reports nobody as gone', async () => {
  const { clock, registry, notices } = setUp();
  let endCount = 0;
  registry.streamOpened('c', { onHeartbeat: () => undefined, end: () => endCount++ });
  registry.close();
  registry.close();
  clock.advance(10 * CLIENT_SWEEP_MS);
  await settled();
  equal(endCount, 1);
  equal(notices().includes('clientGone c'), false);
});

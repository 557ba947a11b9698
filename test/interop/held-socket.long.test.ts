/**
 * A socket that outlives the process behind it: whoever connects while it is restarted waits, and is not refused.
 * The group has one node only, so that there is nowhere else to go.
 */
import { deepEqual, ok } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { SocketHolder } from './socket-holder.ts';

const TOPIC = 'held';
const RESTARTS = 3;

suite('a socket that is held', { timeout: 120_000 }, () => {
  test('the only node of a group restarts under the official client: no send fails', async (t) => {
    await owning(async (owner) => {
      const directory = mkdtempSync(join(tmpdir(), 'mq-raft-held-'));
      owner.after(async () => rmSync(directory, { recursive: true, force: true }));
      const holder = await SocketHolder.open((grpc) => [
        ...['--node-id', 'n1', '--cluster-id', 'test', '--group-id', 'broker-a'],
        ...['--members', 'n1=127.0.0.1:0', '--dir', directory, '--grpc', grpc],
        ...['--raft', '127.0.0.1:0', '--http', '127.0.0.1:0'],
        ...['--segment-size-bytes', '4194304', '--auto-create-topics'],
      ]);
      owner.after(() => holder.close());
      await holder.start();
      const producer = await startProducer(owner, holder.address, TOPIC);
      const load = new LoadProducer(owner, producer, TOPIC, 4);
      await sentMore(load, 100);
      for (let i = 0; i < RESTARTS; i++) {
        await holder.restart();
        await sentMore(load, 100);
      }
      await load.stop();
      t.diagnostic(`${load.sent.length} sends, longest gap ${Math.round(load.longestGapMs())} ms`);
      deepEqual(
        load.failures.map(({ message }) => message),
        [],
      );
      const ids = new Set(load.sent.map(({ messageId }) => messageId));
      ok(ids.size === load.sent.length);
    });
  });
});

import { equal } from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { widenFlowWindow } from './flow-window.ts';

const WIDE_SIZE_BYTES = 3 * 1024 * 1024;

test('a client may send the whole window before the server reads', async () => {
  const server = new Server();
  widenFlowWindow(server, WIDE_SIZE_BYTES);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    // Of a stream; the first settings are the library's own.
    while (session.remoteSettings?.initialWindowSize !== WIDE_SIZE_BYTES) {
      await once(session, 'remoteSettings');
    }
    // Of the connection: it went out before the settings above were answered.
    await new Promise<void>((resolve, reject) => {
      session.ping((error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    equal(session.state.remoteWindowSize, WIDE_SIZE_BYTES);
  } finally {
    session.destroy();
    server.forceShutdown();
  }
});

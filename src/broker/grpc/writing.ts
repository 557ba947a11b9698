/** Writing to a gRPC stream no faster than the client reads. */
import type { Writable } from 'node:stream';

/** Stops early, without an error, when the client has gone away. */
export async function writeAll<Element>(
  stream: Writable & { readonly cancelled: boolean },
  elements: readonly Element[],
): Promise<void> {
  for (const element of elements) {
    if (stream.cancelled || stream.destroyed) return;
    if (!stream.write(element)) await writableAgain(stream);
  }
}

function writableAgain(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const events = ['drain', 'close', 'cancelled', 'error'];
    const onEvent = () => {
      for (const event of events) stream.removeListener(event, onEvent);
      resolve();
    };
    for (const event of events) stream.once(event, onEvent);
  });
}

/** The asking side of snapshots on the wire: one question to one address, one answer or the reason for none. */
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { snapshotMethods } from '../../protocol/snapshot-codec.ts';
import { PEER_CHANNEL_OPTIONS } from '../grpc-peer-method.ts';
import { ASK_MS_MAX, CHUNK_MS_MAX } from './limits.ts';
import type { Answer, PeerAddress, SnapshotPort } from './snapshot-port.ts';

interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export function createSnapshotClient(): SnapshotPort {
  const channels = new Channels();
  const methods = snapshotMethods();
  return {
    offer: async (to, offer, timeoutMs) => {
      const answer = await channels.call(to, methods.offer, offer, timeoutMs);
      return answer.kind === 'answer' ? { kind: 'answer', value: null } : answer;
    },
    read: (from, read) => channels.call(from, methods.read, read, CHUNK_MS_MAX),
    newest: (of, ask) => channels.call(of, methods.newest, ask, ASK_MS_MAX),
    close: () => channels.close(),
  };
}

/** Connections of their own: chunks shall not stand in the way of heartbeats. */
class Channels {
  readonly #clients = new Map<string, Client>();
  #closed = false;

  call<Request, Response>(
    { raftAddress }: PeerAddress,
    method: Method<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Answer<Response>> {
    if (this.#closed) return Promise.resolve({ kind: 'failed', why: 'this node stops' });
    return new Promise((resolve) => {
      this.#clientOf(raftAddress).makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline: new Date(Date.now() + timeoutMs) },
        (error: ServiceError | null, response?: Response) => {
          if (error === null && response !== undefined) {
            resolve({ kind: 'answer', value: response });
          } else if (error?.code === status.NOT_FOUND) {
            resolve({ kind: 'gone' });
          } else {
            resolve({ kind: 'failed', why: `${raftAddress}: ${error?.details ?? 'no answer'}` });
          }
        },
      );
    });
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#clients.values()) client.getChannel().close();
    this.#clients.clear();
  }

  #clientOf(address: string): Client {
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    const client = new Client(address, credentials.createInsecure(), PEER_CHANNEL_OPTIONS);
    this.#clients.set(address, client);
    return client;
  }
}

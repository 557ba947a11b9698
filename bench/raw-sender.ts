/** SendMessage without the official client's overhead, which would be most of what is measured. */
import { randomUUID } from 'node:crypto';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { type MethodDefinition, serviceDefinition } from '../src/protocol/schema.ts';

export const BENCH_TOPIC = 'bench';
const CODE_OK = 20_000;
const MESSAGE_TYPE_NORMAL = 1;

export class RawSender {
  readonly #client: Client;
  readonly #method: MethodDefinition;
  readonly #metadata = new Metadata();
  readonly #body: Buffer;
  readonly #idPrefix = randomUUID();
  #sentCount = 0;

  constructor(address: string, bodySizeBytes: number) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#method = serviceDefinition('apache.rocketmq.v2.MessagingService')['sendMessage']!;
    this.#metadata.set('x-mq-client-id', 'bench');
    this.#body = Buffer.alloc(bodySizeBytes, 'm');
  }

  get sentCount(): number {
    return this.#sentCount;
  }

  async send(messageCount: number): Promise<void> {
    const status = await this.#call(messageCount);
    if (status.code !== CODE_OK) throw new Error(`Send refused: ${status.code} ${status.message}`);
  }

  /** For the first send: the topic is being created, the leader may be settling. */
  async trySend(messageCount: number): Promise<boolean> {
    return (await this.#call(messageCount)).code === CODE_OK;
  }

  #call(messageCount: number): Promise<{ code: number; message: string }> {
    const messages = Array.from({ length: messageCount }, () => ({
      topic: { name: BENCH_TOPIC },
      body: this.#body,
      systemProperties: {
        messageId: `${this.#idPrefix}-${this.#sentCount++}`,
        messageType: MESSAGE_TYPE_NORMAL,
        bodyEncoding: 1,
        bornTimestamp: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
        bornHost: '127.0.0.1:1',
      },
    }));
    const { path, requestSerialize, responseDeserialize } = this.#method;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { messages },
        this.#metadata,
        (error, reply) => {
          if (error !== null) reject(error);
          else resolve((reply as { status: { code: number; message: string } }).status);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

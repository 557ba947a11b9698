/** A client of the endpoint without any cleverness: one call, one answer, as they are on the wire. */
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { serviceDefinition } from '../../../protocol/schema.ts';
import type { Status, TelemetryCommand } from '../wire-types.ts';

export const SERVICE = 'apache.rocketmq.v2.MessagingService';
const DEADLINE_MS = 3_000;

export interface Answer {
  readonly status: Status | null;
}

export class RawClient {
  readonly #client: Client;
  readonly #definition = serviceDefinition(SERVICE);
  readonly metadata = new Metadata();

  constructor(address: string, clientId: string | null) {
    const Constructor = makeGenericClientConstructor(this.#definition, 'MessagingService');
    this.#client = new Constructor(address, credentials.createInsecure());
    if (clientId !== null) this.metadata.set('x-mq-client-id', clientId);
  }

  /** Method name with a lower-case first letter. Rejects with a gRPC error only. */
  call<Response extends Answer>(
    method: string,
    request: object,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = this.#methodNamed(method);
    const deadline = Date.now() + deadlineMs;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.metadata,
        { deadline },
        (error: ServiceError | null, response) => {
          if (error === null) resolve(response as Response);
          else reject(error);
        },
      );
    });
  }

  /** All elements of a server stream. */
  collect<Element extends object>(
    method: string,
    request: object,
    deadlineMs = DEADLINE_MS,
  ): Promise<Element[]> {
    const { path, requestSerialize, responseDeserialize } = this.#methodNamed(method);
    const deadline = Date.now() + deadlineMs;
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.metadata,
      { deadline },
    );
    const elements: Element[] = [];
    return new Promise((resolve, reject) => {
      stream.on('data', (element: Element) => elements.push(element));
      stream.on('error', reject);
      stream.on('end', () => resolve(elements));
    });
  }

  /** The cancel function of a server stream that nobody reads. */
  startAndForget(method: string, request: object): () => void {
    const { path, requestSerialize, responseDeserialize } = this.#methodNamed(method);
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.metadata,
    );
    stream.on('error', () => undefined);
    return () => stream.cancel();
  }

  telemetry(): TelemetryConversation {
    const { path, requestSerialize, responseDeserialize } = this.#methodNamed('telemetry');
    return new TelemetryConversation(
      this.#client.makeBidiStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        this.metadata,
      ) as ClientDuplexStream<object, TelemetryCommand>,
    );
  }

  /** Bytes as the request of a method, whatever they are; null when the call ends with OK. */
  callWithBytes(path: string, bytes: Uint8Array): Promise<ServiceError | null> {
    const pass = (buffer: Buffer) => buffer;
    const deadline = Date.now() + DEADLINE_MS;
    const stream = this.#client.makeServerStreamRequest(
      path,
      pass,
      pass,
      Buffer.from(bytes),
      this.metadata,
      { deadline },
    );
    return new Promise((resolve) => {
      stream.on('error', (error: ServiceError) => resolve(error));
      stream.on('end', () => resolve(null));
      stream.resume();
    });
  }

  close(): void {
    this.#client.close();
  }

  #methodNamed(method: string) {
    const definition = this.#definition[method];
    if (definition === undefined) throw new Error(`No method ${method}`);
    return definition;
  }
}

export type StreamEnd = { readonly code: number; readonly details: string };

export class TelemetryConversation {
  readonly received: TelemetryCommand[] = [];
  /** Resolves when the server's half has ended, with the gRPC status. */
  readonly ended: Promise<StreamEnd>;
  readonly headers: Promise<void>;
  readonly #stream: ClientDuplexStream<object, TelemetryCommand>;
  #onCommand: (() => void)[] = [];

  constructor(stream: ClientDuplexStream<object, TelemetryCommand>) {
    this.#stream = stream;
    this.headers = new Promise((resolve) => stream.on('metadata', () => resolve()));
    stream.on('data', (command: TelemetryCommand) => {
      this.received.push(command);
      for (const wake of this.#onCommand.splice(0)) wake();
    });
    // Also reported by 'status', which tests look at.
    stream.on('error', () => undefined);
    this.ended = new Promise((resolve) => stream.on('status', (status) => resolve(status)));
  }

  say(command: object): void {
    this.#stream.write(command);
  }

  halfClose(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.cancel();
  }

  async commands(count: number): Promise<readonly TelemetryCommand[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => this.#onCommand.push(resolve));
    }
    return this.received;
  }
}

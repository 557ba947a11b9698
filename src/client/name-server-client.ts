/** One name server, seen from a broker or a client. A call either answers or rejects in time. */
import {
  type CallOptions,
  type ClientUnaryCall,
  credentials,
  makeGenericClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  type GroupRoute,
  groupsFromWire,
  type NameServerMethod,
  nameServerMethods,
  type RegisterOutcome,
  type Registration,
  type Routes,
  registerOutcomeFromWire,
  registrationToWire,
  routesFromWire,
  routesRequestToWire,
  type Unregistration,
  unregisterReplyFromWire,
  unregistrationToWire,
} from '../protocol/namesrv-codec.ts';
import { CodecError } from '../protocol/schema.ts';
import { DIRECT_CHANNEL, RECONNECT_MS_MAX, RECONNECT_MS_MIN } from './limits.ts';
import { shortReason } from './short-reason.ts';

/** The name server did not answer, or with nonsense. `message` names its address. */
export class NameServerUnavailable extends Error {
  override readonly name = 'NameServerUnavailable';
}

export interface NameServer {
  readonly address: string;
  register(registration: Registration, timeoutMs: number): Promise<RegisterOutcome>;
  unregister(unregistration: Unregistration, timeoutMs: number): Promise<boolean>;
  routes(topics: readonly string[], timeoutMs: number): Promise<Routes>;
  groups(timeoutMs: number): Promise<readonly GroupRoute[]>;
  close(): void;
}

type UnaryMethod = (
  request: object,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, reply?: object) => void,
) => ClientUnaryCall;

export class NameServerClient implements NameServer {
  readonly address: string;
  readonly #stub: Readonly<Record<NameServerMethod, UnaryMethod>>;
  readonly #close: () => void;

  constructor(address: string) {
    this.address = address;
    const Stub = makeGenericClientConstructor(nameServerMethods() as never, 'mqraft.NameServer');
    // A name server that restarted is found again within a second (design section 8).
    const stub = new Stub(address, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS_MIN,
      'grpc.min_reconnect_backoff_ms': RECONNECT_MS_MIN,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
      ...DIRECT_CHANNEL,
    });
    this.#stub = stub as unknown as Readonly<Record<NameServerMethod, UnaryMethod>>;
    this.#close = () => stub.close();
  }

  async register(registration: Registration, timeoutMs: number): Promise<RegisterOutcome> {
    const reply = await this.#call('register', registrationToWire(registration), timeoutMs);
    return this.#decoded(() => registerOutcomeFromWire(reply));
  }

  async unregister(unregistration: Unregistration, timeoutMs: number): Promise<boolean> {
    const reply = await this.#call('unregister', unregistrationToWire(unregistration), timeoutMs);
    return unregisterReplyFromWire(reply);
  }

  async routes(topics: readonly string[], timeoutMs: number): Promise<Routes> {
    const reply = await this.#call('routes', routesRequestToWire(topics), timeoutMs);
    return this.#decoded(() => routesFromWire(reply));
  }

  async groups(timeoutMs: number): Promise<readonly GroupRoute[]> {
    const reply = await this.#call('groups', {}, timeoutMs);
    return this.#decoded(() => groupsFromWire(reply));
  }

  close(): void {
    this.#close();
  }

  #call(method: NameServerMethod, request: object, timeoutMs: number): Promise<object> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + timeoutMs;
      this.#stub[method](request, { deadline }, (error, reply) => {
        if (error === null && reply !== undefined) resolve(reply);
        else reject(this.#unavailable(shortReason(error?.details ?? 'an empty answer'), error));
      });
    });
  }

  #decoded<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      throw this.#unavailable(error.message, error);
    }
  }

  #unavailable(why: string, cause: unknown): NameServerUnavailable {
    return new NameServerUnavailable(`name server ${this.address}: ${why}`, { cause });
  }
}

/**
 * The name server: a route table behind gRPC. It starts empty and keeps nothing, so a restart costs
 * nothing but the second until the brokers have registered again (design section 8).
 *
 * Not here: the rules of routes (route-table.ts), logging (the caller turns events into lines).
 */
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { FatalError } from '../base/errors.ts';
import type { NodeId, Term } from '../base/units.ts';
import type { Clock, Timer } from '../io/clock.ts';
import {
  type ClaimRefusal,
  groupsToWire,
  type NodeName,
  nameServerMethods,
  registerOutcomeToWire,
  registrationFromWire,
  routesRequestFromWire,
  routesToWire,
  unregisterReplyToWire,
  unregistrationFromWire,
} from '../protocol/namesrv-codec.ts';
import { CodecError } from '../protocol/schema.ts';
import {
  CLOSE_GRACE_MS,
  KEEPALIVE_TIME_MS,
  KEEPALIVE_TIMEOUT_MS,
  NODE_COUNT_MAX,
  SCAN_INTERVAL_MS,
  TOPIC_COUNT_MAX,
} from './limits.ts';
import { RouteTable } from './route-table.ts';

export interface NameServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listenAddress: string;
  readonly clock: Clock;
  readonly onEvent?: (event: NameServerEvent) => void;
}

export type NameServerEvent =
  | { readonly kind: 'nodeJoined'; readonly node: NodeName }
  | { readonly kind: 'nodeLeft'; readonly node: NodeName; readonly why: 'unregistered' | 'silent' }
  | {
      readonly kind: 'masterChanged';
      readonly cluster: string;
      readonly group: string;
      readonly master: NodeId | null;
      readonly term: Term;
    }
  /** `sameTerm` needs an operator: two nodes believe that they lead one term of one group. */
  | {
      readonly kind: 'claimRefused';
      readonly node: NodeName;
      readonly term: Term;
      readonly why: ClaimRefusal;
      readonly highestTerm: Term;
      readonly highestNodeId: NodeId;
    };

export interface RunningNameServer {
  readonly address: string;
  close(): Promise<void>;
}

/** @throws FatalError when the address cannot be listened on. */
export async function startNameServer(options: NameServerOptions): Promise<RunningNameServer> {
  const service = new NameServerService(options);
  const server = new Server({
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  });
  const methods = nameServerMethods();
  server.addService(methods as never, {
    register: unary((request) => service.register(request)),
    unregister: unary((request) => service.unregister(request)),
    routes: unary((request) => service.routes(request)),
    groups: unary(() => service.groups()),
  });
  const port = await bind(server, options.listenAddress);
  service.startScanning();
  const host = options.listenAddress.slice(0, options.listenAddress.lastIndexOf(':'));
  let closing: Promise<void> | null = null;
  return {
    address: `${host}:${port}`,
    close: () => {
      closing ??= shutDown(server, service, options.clock);
      return closing;
    },
  };
}

/** Requests in, replies out; everything happens in one turn. */
class NameServerService {
  readonly #table = new RouteTable();
  readonly #masters = new Map<string, NodeId | null>();
  readonly #clock: Clock;
  readonly #onEvent: (event: NameServerEvent) => void;
  #scan: Timer | null = null;

  constructor({ clock, onEvent }: NameServerOptions) {
    this.#clock = clock;
    this.#onEvent = onEvent ?? (() => {});
  }

  register(message: object): object {
    const registration = registrationFromWire(message);
    const isNew = !this.#table.knows(registration);
    if (isNew && this.#table.nodeCount >= NODE_COUNT_MAX) {
      throw new Refusal(`${NODE_COUNT_MAX} nodes are registered, which is the limit`);
    }
    refuseTooMany(registration.topics);
    const outcome = this.#table.register(registration, this.#clock.monotonicMs());
    if (isNew) this.#onEvent({ kind: 'nodeJoined', node: nameOf(registration) });
    if (outcome.kind === 'claimRefused') {
      const { term } = registration;
      this.#onEvent({ ...outcome, node: nameOf(registration), term });
    }
    this.#tellMasters();
    return registerOutcomeToWire(outcome);
  }

  unregister(message: object): object {
    const unregistration = unregistrationFromWire(message);
    const removed = this.#table.unregister(unregistration);
    if (removed) {
      const node = nameOf(unregistration);
      this.#onEvent({ kind: 'nodeLeft', node, why: 'unregistered' });
    }
    this.#tellMasters();
    return unregisterReplyToWire(removed);
  }

  routes(message: object): object {
    const topics = routesRequestFromWire(message);
    refuseTooMany(topics);
    return routesToWire(this.#table.routes(topics, this.#clock.monotonicMs()));
  }

  groups(): object {
    return groupsToWire(this.#table.groups(this.#clock.monotonicMs()));
  }

  startScanning(): void {
    this.#scan = this.#clock.setTimer(SCAN_INTERVAL_MS, () => {
      for (const node of this.#table.expire(this.#clock.monotonicMs())) {
        this.#onEvent({ kind: 'nodeLeft', node, why: 'silent' });
      }
      this.#tellMasters();
      this.startScanning();
    });
  }

  stopScanning(): void {
    this.#scan?.cancel();
  }

  #tellMasters(): void {
    const routes = this.#table.groups(this.#clock.monotonicMs());
    const gone = new Set(this.#masters.keys());
    for (const { cluster, group, master, claimTerm } of routes) {
      const key = JSON.stringify([cluster, group]);
      gone.delete(key);
      if ((this.#masters.get(key) ?? null) !== master) {
        this.#onEvent({ kind: 'masterChanged', cluster, group, master, term: claimTerm });
      }
      this.#masters.set(key, master);
    }
    for (const key of gone) this.#masters.delete(key);
  }
}

class Refusal extends Error {
  override readonly name = 'Refusal';
}

function refuseTooMany(topics: readonly string[]): void {
  if (topics.length <= TOPIC_COUNT_MAX) return;
  throw new Refusal(`${topics.length} topics: the limit is ${TOPIC_COUNT_MAX}`);
}

function nameOf({ cluster, group, nodeId }: NodeName): NodeName {
  return { cluster, group, nodeId };
}

function unary(answer: (request: object) => object) {
  return (call: ServerUnaryCall<object, object>, callback: sendUnaryData<object>): void => {
    let reply: object;
    try {
      reply = answer(call.request);
    } catch (error) {
      const code = codeOf(error);
      if (code === null) throw error;
      callback({ code, details: (error as Error).message } as ServiceError);
      return;
    }
    callback(null, reply);
  };
}

function codeOf(error: unknown): status | null {
  if (error instanceof CodecError) return status.INVALID_ARGUMENT;
  return error instanceof Refusal ? status.RESOURCE_EXHAUSTED : null;
}

function bind(server: Server, listenAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listenAddress, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
        return;
      }
      const sentence = `Cannot listen on ${listenAddress}: ${error.message}`;
      reject(new FatalError('addressInUse', sentence, { cause: error }));
    });
  });
}

/** Calls in progress may finish; connections that stay open after that are cut. */
function shutDown(server: Server, service: NameServerService, clock: Clock): Promise<void> {
  service.stopScanning();
  return new Promise((resolve) => {
    const timer = clock.setTimer(CLOSE_GRACE_MS, () => server.forceShutdown());
    server.tryShutdown(() => {
      timer.cancel();
      resolve();
    });
  });
}

/**
 * The endpoint for RocketMQ 5 clients: gRPC, package apache.rocketmq.v2 (docs/protocol/grpc-v2.md).
 * Translates each RPC to a broker verb and back; knows no rule of messaging of its own.
 */
import {
  type ChannelOptions,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { FatalError } from '../../base/errors.ts';
import type { NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { InheritedSocket } from '../../io/inherited-socket.ts';
import type { Departure } from '../../protocol/admin-report.ts';
import { serviceDefinition } from '../../protocol/schema.ts';
import { widenFlowWindow } from '../../replica/flow-window.ts';
import type { BrokerGateway } from '../verbs.ts';
import { ackMessage, changeInvisibleDuration, forwardToDeadLetterQueue } from './acknowledging.ts';
import { parseHostPort } from './addresses.ts';
import { BackgroundCalls } from './background-calls.ts';
import { ClientRegistry } from './client-registry.ts';
import { Closing } from './closing.ts';
import { EndpointCounters, type EndpointCounts } from './counters.ts';
import type { Environment, RouteMode } from './environment.ts';
import { InFlightCalls } from './in-flight-calls.ts';
import { LeaveTaking } from './leave-taking.ts';
import {
  CLOSE_GRACE_MS,
  FLOW_WINDOW_SIZE_BYTES,
  KEEPALIVE_TIME_MS,
  KEEPALIVE_TIMEOUT_MS,
  REQUEST_SIZE_BYTES_MAX,
} from './limits.ts';
import { heartbeat, notifyClientTermination } from './liveness.ts';
import { type EndpointLogger, SILENT_LOGGER } from './logger.ts';
import { notImplemented, pullMessage } from './not-implemented.ts';
import { receiveMessage } from './receiving.ts';
import { queryAssignment, queryRoute } from './routes.ts';
import { sendMessage } from './sending.ts';
import { telemetry } from './telemetry.ts';
import { asGuest, type UnaryHandler, unary } from './unary.ts';

const SERVICE = 'apache.rocketmq.v2.MessagingService';

export interface MessagingEndpointOptions {
  readonly gateway: BrokerGateway;
  readonly clock: Clock;
  /** `host:port` to listen on; port 0 picks one. */
  readonly listenAddress: string;
  /** Taken instead of that, where there is one. */
  readonly inherited?: InheritedSocket | null;
  /** `host:port` under which clients reach this node; null: what it listens on. */
  readonly advertisedAddress: string | null;
  readonly clusterName: string;
  readonly nodeId: NodeId;
  readonly logger?: EndpointLogger;
  /** Default `perNode`. */
  readonly routeMode?: RouteMode;
  /** The first route query of an unknown topic creates it. */
  readonly autoCreateTopics: boolean;
}

export interface MessagingEndpoint {
  /** `host:port` with the real port. */
  readonly address: string;
  readonly counts: EndpointCounts;
  /** Clients that this node knows, and their open telemetry streams. */
  clients(): { readonly clientCount: number; readonly streamCount: number };
  /** Whether clients still need this node, once it is drained or stopping. */
  departure(): Departure;
  /** Answers what is in progress, then cuts what takes longer than a bound. Idempotent. */
  close(): Promise<void>;
}

/** @throws FatalError when the address cannot be listened on. */
export async function startMessagingEndpoint(
  options: MessagingEndpointOptions,
): Promise<MessagingEndpoint> {
  const listen = addressOf(options.listenAddress, 'listening');
  if (options.advertisedAddress !== null) addressOf(options.advertisedAddress, 'clients');
  const server = new Server(SERVER_OPTIONS);
  widenFlowWindow(server, FLOW_WINDOW_SIZE_BYTES);
  const inherited = options.inherited ?? null;
  const address =
    inherited === null
      ? await listenAt(server, listen.host, options.listenAddress)
      : await takeOver(server, inherited);

  const counters = new EndpointCounters();
  const background = new BackgroundCalls(options.gateway, options.clock, counters);
  const clients = new ClientRegistry(options.clock, background);
  const inFlight = new InFlightCalls();
  const closing = new Closing();
  const { isLeaving } = options.gateway.local;
  const leaveTaking = new LeaveTaking({ clock: options.clock, clients, isLeaving });
  const environment: Environment = {
    gateway: options.gateway,
    clock: options.clock,
    logger: options.logger ?? SILENT_LOGGER,
    counters,
    background,
    clients,
    inFlight,
    closing,
    leaveTaking,
    clusterName: options.clusterName,
    nodeId: options.nodeId,
    advertisedAddress: options.advertisedAddress ?? address,
    routeMode: options.routeMode ?? 'perNode',
    autoCreateTopics: options.autoCreateTopics,
  };
  // In the turn in which the port opened: no call can have arrived yet.
  server.addService(serviceDefinition(SERVICE), implementation(environment));

  let closed: Promise<void> | null = null;
  return {
    address,
    counts: counters,
    departure: () => leaveTaking.departure(),
    clients: () => ({ clientCount: clients.clientCount, streamCount: clients.streamCount }),
    close: () => {
      inherited?.close();
      closed ??= closeAll(server, environment);
      return closed;
    },
  };
}

const SERVER_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': REQUEST_SIZE_BYTES_MAX,
  'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
};

function implementation(environment: Environment): UntypedServiceImplementation {
  const e = environment;
  const unaryCalls = {
    queryRoute: unary(e, 'QueryRoute', queryRoute),
    queryAssignment: unary(e, 'QueryAssignment', queryAssignment),
    sendMessage: unary(e, 'SendMessage', asGuest(sendMessage)),
    ackMessage: unary(e, 'AckMessage', asGuest(ackMessage)),
    changeInvisibleDuration: unary(e, 'ChangeInvisibleDuration', asGuest(changeInvisibleDuration)),
    forwardMessageToDeadLetterQueue: unary(
      e,
      'ForwardMessageToDeadLetterQueue',
      asGuest(forwardToDeadLetterQueue),
    ),
    heartbeat: unary(e, 'Heartbeat', heartbeat),
    notifyClientTermination: unary(e, 'NotifyClientTermination', notifyClientTermination),
    updateOffset: refused(e, 'UpdateOffset'),
    getOffset: refused(e, 'GetOffset'),
    queryOffset: refused(e, 'QueryOffset'),
    endTransaction: refused(e, 'EndTransaction'),
    recallMessage: refused(e, 'RecallMessage'),
    syncLiteSubscription: refused(e, 'SyncLiteSubscription'),
  };
  const streams = {
    receiveMessage: receiveMessage(e),
    pullMessage: pullMessage(e),
    telemetry: telemetry(e),
  };
  return { ...unaryCalls, ...streams } as UntypedServiceImplementation;
}

function refused(environment: Environment, rpc: string): UnaryHandler<object> {
  return unary(environment, rpc, () => notImplemented(rpc));
}

function addressOf(text: string, purpose: string): { readonly host: string } {
  const parsed = parseHostPort(text);
  if (parsed !== null) return parsed;
  throw new FatalError(
    'badConfiguration',
    `The gRPC address for ${purpose} is not of the form host:port: "${text}"`,
  );
}

async function listenAt(server: Server, host: string, listenAddress: string): Promise<string> {
  const port = await bind(server, listenAddress);
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function takeOver(server: Server, inherited: InheritedSocket): Promise<string> {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return inherited.accept((connection) => injector.injectConnection(connection));
}

function bind(server: Server, listenAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listenAddress, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
        return;
      }
      const isTaken = error.message.includes('EADDRINUSE');
      const message = isTaken
        ? `Cannot serve RocketMQ 5 clients on ${listenAddress}: the port is taken by another process`
        : `Cannot serve RocketMQ 5 clients on ${listenAddress}: ${error.message}`;
      const reason = isTaken ? 'addressInUse' : 'badConfiguration';
      reject(new FatalError(reason, message, { cause: error }));
    });
  });
}

/**
 * Polls end at once and work in progress is answered, while GOAWAY keeps new calls away. The
 * telemetry streams end last, with OK: clients keep them as long as they can.
 */
async function closeAll(server: Server, environment: Environment): Promise<void> {
  environment.closing.begin();
  const quiet = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const drained = environment.inFlight.idle().then(() => environment.clients.close());
  await within(environment.clock, Promise.all([quiet, drained]));
  environment.clients.close();
  server.forceShutdown();
  await environment.background.close();
}

function within(clock: Clock, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(CLOSE_GRACE_MS, resolve);
    work.then(() => {
      timer.cancel();
      resolve();
    }, reject);
  });
}

/**
 * Where clients go: QueryRoute and QueryAssignment. Both are answered from what this node knows, so
 * that they work during elections; the leader is asked only about topics that are unknown here.
 *
 * Routes name nodes, never the leader: every node serves every request, so a change of leader
 * changes no route. Broker names are bound to node ids, because the Node client follows a broker
 * whose address changed only when its name changed too.
 */
import { assert } from '../../base/assert.ts';
import { DEFAULT_QUEUE_COUNT } from '../limits.ts';
import { checkTopicName, isReservedKind } from '../names.ts';
import { routableNodes } from '../routable-nodes.ts';
import { BrokerError, type CallContext, type TopicDescription } from '../verbs.ts';
import { endpointsOf } from './addresses.ts';
import type { Caller } from './caller.ts';
import type { Environment } from './environment.ts';
import { storageName } from './resource-names.ts';
import { CODE, OK, StatusError } from './status-codes.ts';
import type { UnaryResponse } from './unary.ts';
import { MESSAGE_TYPE, PERMISSION } from './wire-enums.ts';
import type {
  Endpoints,
  MessageQueue,
  QueryAssignmentRequest,
  QueryRouteRequest,
  Resource,
  WireBroker,
} from './wire-types.ts';

/** Of RocketMQ's permission bits. */
const READ_BIT = 4;
const WRITE_BIT = 2;
/** "The server picks the queue". */
const ANY_QUEUE = -1;
/** Clients send to brokers of this id only: it marks what RocketMQ calls the master. */
const MASTER_BROKER_ID = 0;

export interface QueryRouteResponse extends UnaryResponse {
  readonly messageQueues: readonly MessageQueue[];
}

export async function queryRoute(
  environment: Environment,
  request: QueryRouteRequest,
  caller: Caller,
  context: CallContext,
): Promise<QueryRouteResponse> {
  const topic = await findTopic(environment, request.topic, caller, context, true);
  const permission = wirePermission(topic.permission);
  if (permission === PERMISSION.none || topic.queueCount === 0) {
    throw new StatusError(
      CODE.forbidden,
      `The topic "${request.topic?.name}" has no queue that can be read or written`,
    );
  }
  const acceptMessageTypes =
    topic.messageTypes.length === 0 ? [MESSAGE_TYPE.normal] : topic.messageTypes;
  const messageQueues = brokersFor(environment, request.endpoints).flatMap((broker) =>
    Array.from({ length: topic.queueCount }, (_, id) => ({
      topic: request.topic,
      id,
      permission,
      broker,
      acceptMessageTypes,
    })),
  );
  return { status: OK, messageQueues };
}

export interface QueryAssignmentResponse extends UnaryResponse {
  readonly assignments: readonly { readonly messageQueue: MessageQueue }[];
}

/**
 * Every consumer gets the same list, one entry per way into the group: who gets which message is
 * decided by receiving. The list is never empty with OK, which would make clients drop their work.
 */
export async function queryAssignment(
  environment: Environment,
  request: QueryAssignmentRequest,
  caller: Caller,
  context: CallContext,
): Promise<QueryAssignmentResponse> {
  const topic = await findTopic(environment, request.topic, caller, context, false);
  if ((topic.permission & READ_BIT) === 0) {
    throw new StatusError(CODE.forbidden, `The topic "${request.topic?.name}" is not readable`);
  }
  const assignments = brokersFor(environment, request.endpoints).map((broker) => ({
    messageQueue: {
      topic: request.topic,
      id: ANY_QUEUE,
      permission: PERMISSION.readWrite,
      broker,
      acceptMessageTypes: [],
    },
  }));
  return { status: OK, assignments };
}

async function findTopic(
  environment: Environment,
  resource: Resource | null,
  caller: Caller,
  context: CallContext,
  mayCreate: boolean,
): Promise<TopicDescription> {
  const name = storageName(resource, caller.namespace);
  checkTopicName(name);
  const known = environment.gateway.local.topic(name);
  if (known !== null) return known;
  const described = await describe(environment, name, context);
  if (described !== null) return described;
  const created = mayCreate ? await create(environment, name, context) : null;
  if (created !== null) return created;
  // Clients and their tests look for this very sentence, two blanks included.
  throw new StatusError(
    CODE.topicNotFound,
    `CODE: 17  DESC: No topic route info in name server for the topic: ${resource?.name ?? ''}`,
  );
}

async function describe(
  environment: Environment,
  topic: string,
  context: CallContext,
): Promise<TopicDescription | null> {
  try {
    const response = await environment.gateway.call({ kind: 'topicDescribe', topic }, context);
    assert(response.kind === 'topic', 'a topicDescribe is answered with a topic');
    return response.topic;
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'topicNotFound') return null;
    throw error;
  }
}

/**
 * Clients ask for the route before the first send and take "no such topic" for final, so a topic
 * that the first send shall create must be created here.
 */
async function create(
  environment: Environment,
  topic: string,
  context: CallContext,
): Promise<TopicDescription | null> {
  const { autoCreateTopics, gateway, logger } = environment;
  if (!autoCreateTopics || isReservedKind(topic)) return null;
  try {
    await gateway.call({ kind: 'topicPut', topic, queueCount: DEFAULT_QUEUE_COUNT }, context);
    logger.info({ event: 'topic.autoCreated', topic }, 'Created a topic for a route query');
  } catch (error) {
    // Somebody created it meanwhile with more queues, and queues never become fewer.
    if (!(error instanceof BrokerError && error.code === 'badRequest')) throw error;
  }
  return describe(environment, topic, context);
}

function wirePermission(bits: number): number {
  const readable = (bits & READ_BIT) !== 0;
  const writable = (bits & WRITE_BIT) !== 0;
  if (readable && writable) return PERMISSION.readWrite;
  if (readable) return PERMISSION.read;
  return writable ? PERMISSION.write : PERMISSION.none;
}

function brokersFor(environment: Environment, accessPoint: Endpoints | null): WireBroker[] {
  const { clusterName, routeMode, nodeId, advertisedAddress } = environment;
  if (routeMode === 'accessPoint' && accessPoint?.addresses.length === 1) {
    return [{ name: clusterName, id: MASTER_BROKER_ID, endpoints: accessPoint }];
  }
  const known = environment.gateway.local.liveNodes().flatMap((node) => {
    // A peer that announced something else than an address is of no use to a client.
    const address = node.nodeId === nodeId ? advertisedAddress : node.grpcAddress;
    const endpoints = endpointsOf(address);
    return endpoints === null ? [] : [{ ...node, endpoints }];
  });
  return routableNodes(known, nodeId).map((node) => {
    const name = `${clusterName}-${node.nodeId}`;
    return { name, id: MASTER_BROKER_ID, endpoints: node.endpoints };
  });
}

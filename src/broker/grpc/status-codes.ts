/**
 * How trouble is told to a client: a code and a sentence in the `status` of the response, while the
 * gRPC status stays OK, because clients answer a gRPC error by giving up the connection.
 *
 * The one place where the broker's errors become the protocol's numbers.
 */
import { unreachable } from '../../base/assert.ts';
import { BrokerError, type BrokerErrorCode } from '../verbs.ts';
import type { Status } from './wire-types.ts';

export const CODE = {
  ok: 20000,
  multipleResults: 30000,
  badRequest: 40000,
  illegalTopic: 40002,
  illegalConsumerGroup: 40003,
  illegalMessageTag: 40004,
  illegalMessageKey: 40005,
  illegalMessageGroup: 40006,
  illegalMessagePropertyKey: 40007,
  illegalMessageId: 40009,
  illegalFilterExpression: 40010,
  illegalInvisibleTime: 40011,
  invalidReceiptHandle: 40013,
  messagePropertyConflictWithType: 40014,
  messageCorrupted: 40016,
  clientIdRequired: 40017,
  illegalPollingTime: 40018,
  forbidden: 40300,
  messageNotFound: 40401,
  topicNotFound: 40402,
  consumerGroupNotFound: 40403,
  messageBodyTooLarge: 41301,
  messageBodyEmpty: 41302,
  tooManyRequests: 42900,
  messagePropertiesTooLarge: 43101,
  internalServerError: 50001,
  haNotAvailable: 50002,
  notImplemented: 50100,
  proxyTimeout: 50400,
} as const;

const FIRST_REQUEST_CODE = 40000;
const FIRST_SERVER_CODE = 50000;

export const OK: Status = { code: CODE.ok, message: 'OK' };

/** A request that the endpoint itself refuses, for reasons that only this protocol has. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export function codeOf(code: BrokerErrorCode): number {
  switch (code) {
    case 'illegalTopic':
      return CODE.illegalTopic;
    case 'illegalGroup':
      return CODE.illegalConsumerGroup;
    case 'illegalTag':
      return CODE.illegalMessageTag;
    case 'illegalKey':
      return CODE.illegalMessageKey;
    case 'illegalMessageId':
      return CODE.illegalMessageId;
    case 'illegalPropertyKey':
      return CODE.illegalMessagePropertyKey;
    case 'illegalFilter':
      return CODE.illegalFilterExpression;
    case 'illegalInvisibleTime':
      return CODE.illegalInvisibleTime;
    case 'invalidHandle':
      return CODE.invalidReceiptHandle;
    case 'propertiesTooLarge':
      return CODE.messagePropertiesTooLarge;
    case 'bodyTooLarge':
      return CODE.messageBodyTooLarge;
    case 'bodyEmpty':
      return CODE.messageBodyEmpty;
    case 'messageCorrupted':
      return CODE.messageCorrupted;
    case 'typeNotAccepted':
      return CODE.messagePropertyConflictWithType;
    case 'badRequest':
      return CODE.badRequest;
    case 'topicNotFound':
      return CODE.topicNotFound;
    case 'groupNotFound':
      return CODE.consumerGroupNotFound;
    case 'forbidden':
      return CODE.forbidden;
    case 'busy':
    // Clients back off on this code, and do not give up the node.
    case 'diskFull':
      return CODE.tooManyRequests;
    case 'timeout':
      return CODE.proxyTimeout;
    case 'unsupported':
      return CODE.notImplemented;
    case 'internal':
      return CODE.internalServerError;
    default:
      return unreachable(code);
  }
}

/** null for an error that nobody declared: a bug, not an answer. */
export function statusOf(error: unknown): Status | null {
  if (error instanceof BrokerError) return { code: codeOf(error.code), message: error.message };
  if (error instanceof StatusError) return { code: error.code, message: error.message };
  return null;
}

/** What the parts of a request came to: their common code, or "look at each". */
export function overallStatus(parts: readonly Status[]): Status {
  const first = parts[0];
  if (first === undefined) return OK;
  if (parts.every(({ code }) => code === first.code)) return first;
  return { code: CODE.multipleResults, message: 'The entries differ: see the status of each' };
}

/** The client said something that cannot be right, as opposed to trouble on our side. */
export function isRequestFault({ code }: Status): boolean {
  return code >= FIRST_REQUEST_CODE && code < FIRST_SERVER_CODE;
}

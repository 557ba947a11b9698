/**
 * Shapes of the messages in proto/apache/rocketmq/v2 that the endpoint reads or writes. As decoded,
 * absent strings, numbers and lists have their defaults; absent messages and `optional` scalars are
 * null. As written, null means absent, which clients tell apart from a default.
 */

export interface Status {
  readonly code: number;
  readonly message: string;
}

/** `seconds` is an int64: a number that may be beyond 2^53 when a client says nonsense. */
export interface WireTime {
  readonly seconds: number;
  readonly nanos: number;
}

export interface Resource {
  readonly resourceNamespace: string;
  readonly name: string;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Endpoints {
  readonly scheme: number;
  readonly addresses: readonly Address[];
}

export interface WireBroker {
  readonly name: string;
  readonly id: number;
  readonly endpoints: Endpoints | null;
}

export interface MessageQueue {
  readonly topic: Resource | null;
  readonly id: number;
  readonly permission: number;
  readonly broker: WireBroker | null;
  readonly acceptMessageTypes: readonly number[];
}

export interface FilterExpression {
  readonly type: number;
  readonly expression: string;
}

export interface Digest {
  readonly type: number;
  readonly checksum: string;
}

export interface SystemProperties {
  readonly tag: string | null;
  readonly keys: readonly string[];
  readonly messageId: string;
  readonly bodyDigest: Digest | null;
  readonly bodyEncoding: number;
  readonly messageType: number;
  readonly bornTimestamp: WireTime | null;
  readonly bornHost: string;
  readonly storeTimestamp: WireTime | null;
  readonly storeHost: string;
  readonly deliveryTimestamp: WireTime | null;
  readonly receiptHandle: string | null;
  readonly queueId: number;
  readonly queueOffset: number | null;
  readonly deliveryAttempt: number | null;
  readonly messageGroup: string | null;
  readonly traceContext: string | null;
  readonly deadLetterQueue: { readonly topic: string; readonly messageId: string } | null;
  readonly liteTopic: string | null;
  readonly priority: number | null;
}

export interface WireMessage {
  readonly topic: Resource | null;
  readonly userProperties: Readonly<Record<string, string>>;
  readonly systemProperties: SystemProperties | null;
  readonly body: Uint8Array;
}

export interface BackoffPolicy {
  readonly maxAttempts: number;
  readonly exponentialBackoff?: {
    readonly initial: WireTime;
    readonly max: WireTime;
    readonly multiplier: number;
  };
  readonly customizedBackoff?: { readonly next: readonly WireTime[] };
}

export interface Publishing {
  readonly topics: readonly Resource[];
  readonly maxBodySize: number;
  readonly validateMessageType: boolean;
}

export interface Subscription {
  readonly group: Resource | null;
  readonly subscriptions: readonly object[];
  readonly fifo: boolean | null;
  readonly receiveBatchSize: number | null;
  readonly longPollingTimeout: WireTime | null;
}

export interface Settings {
  readonly clientType: number;
  readonly accessPoint: Endpoints | null;
  readonly backoffPolicy: BackoffPolicy | null;
  readonly requestTimeout: WireTime | null;
  readonly publishing: Publishing | null;
  readonly subscription: Subscription | null;
  readonly userAgent: { readonly language: number } | null;
  readonly metric: { readonly on: boolean } | null;
}

export interface TelemetryCommand {
  readonly status: Status | null;
  readonly settings: Settings | null;
}

export interface QueryRouteRequest {
  readonly topic: Resource | null;
  readonly endpoints: Endpoints | null;
}

export interface QueryAssignmentRequest extends QueryRouteRequest {
  readonly group: Resource | null;
}

export interface SendMessageRequest {
  readonly messages: readonly WireMessage[];
}

export interface ReceiveMessageRequest {
  readonly group: Resource | null;
  readonly messageQueue: MessageQueue | null;
  readonly filterExpression: FilterExpression | null;
  readonly batchSize: number;
  readonly invisibleDuration: WireTime | null;
  readonly autoRenew: boolean;
  readonly longPollingTimeout: WireTime | null;
  readonly attemptId: string | null;
}

export interface AckMessageRequest {
  readonly group: Resource | null;
  readonly topic: Resource | null;
  readonly entries: readonly { readonly messageId: string; readonly receiptHandle: string }[];
}

export interface ChangeInvisibleDurationRequest {
  readonly group: Resource | null;
  readonly topic: Resource | null;
  readonly receiptHandle: string;
  readonly invisibleDuration: WireTime | null;
  readonly messageId: string;
}

export interface ForwardToDeadLetterRequest {
  readonly group: Resource | null;
  readonly topic: Resource | null;
  readonly receiptHandle: string;
  readonly messageId: string;
}

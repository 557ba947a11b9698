/** The one method of the peer service, on bytes: frames are encoded and judged by peer sessions. */
import type { ChannelOptions, ServerOptions } from '@grpc/grpc-js';
import { type MethodDefinition, serviceDefinition } from '../protocol/schema.ts';
import {
  FLOW_WINDOW_SIZE_BYTES,
  FRAME_SIZE_BYTES_MAX,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
} from './limits.ts';

/** A silent peer is noticed on both ends; the largest frame passes. */
const COMMON_OPTIONS = {
  'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  'grpc.max_receive_message_length': FRAME_SIZE_BYTES_MAX,
  'grpc.max_send_message_length': FRAME_SIZE_BYTES_MAX,
  'grpc-node.flow_control_window': FLOW_WINDOW_SIZE_BYTES,
} as const;

/** For the server that carries the peer service. */
export const PEER_SERVER_OPTIONS: ServerOptions = COMMON_OPTIONS;

export const PEER_CHANNEL_OPTIONS: ChannelOptions = {
  ...COMMON_OPTIONS,
  'grpc.keepalive_permit_without_calls': 1,
  // A new channel is a new connection: no state of an earlier one.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
};

/** Keyed by the name that handlers have. */
export interface PeerServiceDefinition {
  readonly stream: Readonly<FrameMethod>;
  readonly [name: string]: Readonly<FrameMethod>;
}

type FrameMethod = Pick<MethodDefinition, 'path' | 'requestStream' | 'responseStream'> & {
  readonly requestSerialize: (frame: Uint8Array) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Buffer;
  readonly responseSerialize: (frame: Uint8Array) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Buffer;
};

export function asFrame(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function peerMethod(): FrameMethod {
  const method = serviceDefinition('mqraft.Peer')['stream']!; // in peer.proto
  return {
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: asFrame,
    requestDeserialize: asFrame,
    responseSerialize: asFrame,
    responseDeserialize: asFrame,
  };
}

export function peerServiceDefinition(): PeerServiceDefinition {
  return { stream: peerMethod() };
}

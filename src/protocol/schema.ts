/**
 * Typed access to the protobuf schemas in proto/: codecs for messages and definitions for gRPC
 * services. Hand-written interfaces name the shapes; this is the one place where bytes become them.
 *
 * Decoded messages have the schema's defaults on their prototype: reading an absent scalar gives
 * its default, `Object.hasOwn(message, 'field')` tells presence. 64-bit integers are numbers.
 * `bytes` fields alias the input: whoever keeps one longer than the call copies it (hazard H32).
 */
import protobuf from 'protobufjs';
import { descriptors } from './generated/descriptors.ts';

// Without Long, protobufjs reads 64-bit integers as numbers: exact up to 2^53, beyond which our
// own fields never go and foreign ones are validated by whoever uses them.
protobuf.util.Long = null as unknown as typeof protobuf.util.Long;
protobuf.configure();

const root = protobuf.Root.fromJSON(descriptors as protobuf.INamespace).resolveAll();

export interface MessageCodec<T> {
  encode(message: T): Uint8Array;
  /** @throws CodecError when the bytes are not this message. */
  decode(bytes: Uint8Array): T;
}

/** Bytes that are not the message they should be; carries the schema name, never the bytes. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}

/** @param fullName e.g. `mqraft.Command` */
export function messageCodec<T extends object>(fullName: string): MessageCodec<T> {
  const type = root.lookupType(fullName);
  return {
    encode: (message) => type.encode(message as protobuf.Message).finish(),
    decode: (bytes) => {
      try {
        return type.decode(bytes) as unknown as T;
      } catch (error) {
        // protobufjs throws Error and RangeError for malformed input, nothing else.
        if (!(error instanceof Error)) throw error;
        throw new CodecError(`Cannot decode ${fullName}: ${error.message}`, { cause: error });
      }
    },
  };
}

/** The shape that grpc-js wants for a method, without importing it here. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => object;
  readonly responseSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

/**
 * Definition of a gRPC service for `new Server().addService` and `makeGenericClientConstructor`.
 * Keys are method names with a lower-case first letter.
 *
 * @param fullName e.g. `apache.rocketmq.v2.MessagingService`
 */
export function serviceDefinition(fullName: string): Readonly<Record<string, MethodDefinition>> {
  const service = root.lookupService(fullName);
  const methods: Record<string, MethodDefinition> = {};
  for (const method of service.methodsArray) {
    const request = messageCodec<object>(typeNameOf(service, method.requestType));
    const response = messageCodec<object>(typeNameOf(service, method.responseType));
    const key = method.name.charAt(0).toLowerCase() + method.name.slice(1);
    methods[key] = {
      path: `/${fullName}/${method.name}`,
      requestStream: method.requestStream === true,
      responseStream: method.responseStream === true,
      requestSerialize: (message) => asBuffer(request.encode(message)),
      requestDeserialize: (bytes) => request.decode(bytes),
      responseSerialize: (message) => asBuffer(response.encode(message)),
      responseDeserialize: (bytes) => response.decode(bytes),
    };
  }
  return methods;
}

function typeNameOf(service: protobuf.Service, typeName: string): string {
  return service.lookupType(typeName).fullName.replace(/^\./, '');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

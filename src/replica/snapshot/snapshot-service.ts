/** The answering side of snapshots on the wire. */
import {
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  type SnapshotAsk,
  type SnapshotOffer,
  type SnapshotRead,
  snapshotMethods,
} from '../../protocol/snapshot-codec.ts';
import type { Answer, SnapshotAnswers } from './snapshot-port.ts';

export interface SnapshotService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/**
 * For `server.addService(definition, implementation)`.
 * @param onFatal a bug, or the disk
 */
export function snapshotService(
  answers: SnapshotAnswers,
  onFatal: (error: unknown) => void,
): SnapshotService {
  const answering =
    <Request, Value, Response>(
      answer: (request: Request) => Promise<Answer<Value>>,
      responseOf: (value: Value) => Response,
    ) =>
    (call: ServerUnaryCall<Request, Response>, done: sendUnaryData<Response>): void => {
      answer(call.request).then((result) => {
        if (result.kind === 'answer') done(null, responseOf(result.value));
        else if (result.kind === 'gone') done({ code: status.NOT_FOUND, details: 'Not here' });
        else done({ code: status.FAILED_PRECONDITION, details: result.why });
      }, onFatal);
    };
  return {
    definition: { ...snapshotMethods() },
    implementation: {
      offer: answering(
        (offer: SnapshotOffer) => answers.offer(offer),
        () => ({}),
      ),
      read: answering(
        (read: SnapshotRead) => answers.read(read),
        (chunk: Uint8Array) => chunk,
      ),
      newest: answering(
        (ask: SnapshotAsk) => answers.newest(ask),
        (offer: SnapshotOffer) => offer,
      ),
    },
  };
}

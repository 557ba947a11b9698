/** How a replica asks others what they are at a checkpoint: Verify.Standing, on their port for peers. */
import { Client, credentials } from '@grpc/grpc-js';
import { LogIndex } from '../../base/units.ts';
import { verifyMethods } from '../../protocol/verify-codec.ts';
import { PEER_CHANNEL_OPTIONS } from '../grpc-peer-method.ts';
import type { Witnesses } from './checkpoint-judge.ts';
import type { Standing } from './divergence.ts';
import { WITNESS_ASK_MS_MAX } from './limits.ts';

/** A connection for each question: they are rare. */
export function createGrpcWitnesses(): Witnesses {
  return { standingAt: (address, index) => ask(address, index) };
}

function ask(address: string, index: LogIndex): Promise<Standing | null> {
  const { standing: method } = verifyMethods();
  const client = new Client(address, credentials.createInsecure(), PEER_CHANNEL_OPTIONS);
  const deadline = new Date(Date.now() + WITNESS_ASK_MS_MAX);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      { value: LogIndex(index) },
      { deadline },
      // No answer, whatever the reason, is no testimony.
      (error, reply) => {
        client.close();
        resolve(error === null && reply !== undefined ? reply.value : null);
      },
    );
  });
}

/**
 * The frame around every unary RPC: find the caller, give the work its deadline, and turn whatever
 * happens into a response with a status. Work is one function per RPC, in the files beside this one.
 */
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { InvariantError } from '../../base/assert.ts';
import type { CallContext } from '../verbs.ts';
import { remainingMs, workMs } from './budgets.ts';
import { type Caller, callerOf } from './caller.ts';
import type { Environment } from './environment.ts';
import { CODE, statusOf } from './status-codes.ts';
import type { Status } from './wire-types.ts';

export interface UnaryResponse {
  readonly status: Status;
}

export type UnaryWork<Request> = (
  environment: Environment,
  request: Request,
  caller: Caller,
  context: CallContext,
) => Promise<UnaryResponse>;

export type UnaryHandler<Request> = (
  call: ServerUnaryCall<Request, UnaryResponse>,
  answer: sendUnaryData<UnaryResponse>,
) => void;

export function unary<Request>(
  environment: Environment,
  rpc: string,
  work: UnaryWork<Request>,
): UnaryHandler<Request> {
  return (call, answer) => {
    const gone = new AbortController();
    let isAnswered = false;
    // It comes at the end of answered calls too, and an abort costs as much as a send's bookkeeping.
    call.on('cancelled', () => {
      if (!isAnswered) gone.abort();
    });
    const budgetMs = workMs(remainingMs(call.getDeadline(), environment.clock));
    const context: CallContext = {
      deadlineAtMonotonicMs: environment.clock.monotonicMs() + budgetMs,
      signal: gone.signal,
    };
    const served = serve(environment, rpc, async () =>
      work(environment, call.request, callerOf(call), context),
    ).then((response) => {
      isAnswered = true;
      answer(null, response);
    });
    environment.inFlight.track(served);
  };
}

/** Work for which the client needs this very node. */
export function asGuest<Request>(work: UnaryWork<Request>): UnaryWork<Request> {
  return async (environment, request, caller, context) => {
    const end = environment.leaveTaking.begin(caller.clientId);
    try {
      return await work(environment, request, caller, context);
    } finally {
      end();
    }
  };
}

/** @returns the response, or one that holds nothing but the reason why there is none. */
export async function serve<Response extends UnaryResponse>(
  environment: Environment,
  rpc: string,
  work: () => Promise<Response>,
): Promise<UnaryResponse> {
  try {
    const response = await work();
    if (response.status.code !== CODE.ok) {
      environment.counters.countRejection(response.status.code);
    }
    return response;
  } catch (error) {
    const status = statusOf(error) ?? unexpected(environment, rpc, error);
    environment.counters.countRejection(status.code);
    return { status };
  }
}

/**
 * The border between one request and the process. A broken invariant ends the process. All other
 * errors that nobody declared end the request, loudly, so that one odd request cannot stop a node.
 */
function unexpected(environment: Environment, rpc: string, error: unknown): Status {
  if (error instanceof InvariantError) throw error;
  environment.counters.unexpectedErrors++;
  environment.logger.error(
    { event: 'grpc.unexpected', rpc, err: error },
    'Request failed on a bug',
  );
  return {
    code: CODE.internalServerError,
    message: `${rpc} failed on this broker for an unexpected reason; its log has the details`,
  };
}

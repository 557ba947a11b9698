/**
 * Telemetry: the stream that a client keeps open to every node it talks to. It carries settings, and
 * tells that the client lives. The only RPC that may end with a gRPC error: clients wait here for
 * their settings, and some would wait for ever.
 *
 * Commands are handled one at a time: reading pauses meanwhile, so a client cannot queue work.
 */
import { status as GRPC_STATUS, Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { assert } from '../../base/assert.ts';
import type { Timer } from '../../io/clock.ts';
import { checkGroupName } from '../names.ts';
import { BrokerError } from '../verbs.ts';
import { type Caller, callerOf } from './caller.ts';
import type { ClientStream } from './client-registry.ts';
import type { Environment } from './environment.ts';
import { GROUP_LOOKUP_MS, SETTINGS_REPEAT_MS } from './limits.ts';
import { storageName } from './resource-names.ts';
import { answerSettings, DEFAULT_GROUP_TRAITS, type GroupTraits, languageOf } from './settings.ts';
import { CODE, isRequestFault, OK, statusOf } from './status-codes.ts';
import { LANGUAGE } from './wire-enums.ts';
import type { Resource, Settings, Status, TelemetryCommand } from './wire-types.ts';
import { writeAll } from './writing.ts';

export interface TelemetryReply {
  readonly status: Status;
  readonly settings?: Settings;
}

export type TelemetryCall = ServerDuplexStream<TelemetryCommand, TelemetryReply>;

export function telemetry(environment: Environment): (call: TelemetryCall) => void {
  return (call) => {
    // The Rust client waits for headers before it says anything.
    call.sendMetadata(new Metadata());
    try {
      const caller = callerOf(call);
      const stream = new TelemetryStream(environment, call, caller);
      environment.clients.streamOpened(caller.clientId, stream);
      stream.start();
    } catch (error) {
      const refusal = statusOf(error);
      if (refusal === null) throw error;
      environment.counters.countRejection(refusal.code);
      call.write({ status: refusal });
      call.end();
    }
  };
}

class TelemetryStream implements ClientStream {
  readonly #environment: Environment;
  readonly #call: TelemetryCall;
  readonly #caller: Caller;
  readonly #released = new AbortController();
  #closed = false;
  #lastReply: TelemetryReply | null = null;
  #repeatTimer: Timer | null = null;
  #repeatOnHeartbeat = false;

  constructor(environment: Environment, call: TelemetryCall, caller: Caller) {
    this.#environment = environment;
    this.#call = call;
    this.#caller = caller;
  }

  start(): void {
    this.#call.on('data', (command: TelemetryCommand) => {
      this.#call.pause();
      this.#environment.inFlight.track(this.#handle(command).then(() => this.#resume()));
    });
    this.#call.on('end', () => this.end());
    this.#call.on('cancelled', () => this.#release());
    // Bytes that are no command; grpc-js has answered already.
    this.#call.on('error', () => this.#release());
  }

  onHeartbeat(): void {
    if (!this.#repeatOnHeartbeat) return;
    this.#repeatOnHeartbeat = false;
    this.#repeat();
  }

  end(): void {
    if (this.#closed) return;
    this.#release();
    this.#call.end();
  }

  #resume(): void {
    if (!this.#closed) this.#call.resume();
  }

  #release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#repeatTimer?.cancel();
    this.#released.abort();
    this.#environment.clients.streamClosed(this.#caller.clientId, this);
  }

  /** Answers to our own commands are of no interest yet: this release sends none. */
  async #handle({ settings }: TelemetryCommand): Promise<void> {
    if (settings === null) return;
    try {
      const group = await this.#groupTraits(settings.subscription?.group ?? null);
      const answer = answerSettings(settings, group);
      if (answer === null) {
        this.#refuse({
          code: CODE.badRequest,
          message: 'The settings are neither those of a producer nor those of a consumer',
        });
        return;
      }
      this.#environment.clients.settingsChanged(this.#caller.clientId, settings);
      await this.#reply(settings, { status: OK, settings: answer });
    } catch (error) {
      const refusal = statusOf(error);
      if (refusal === null) throw error;
      this.#refuse(refusal);
    }
  }

  async #reply(settings: Settings, reply: TelemetryReply): Promise<void> {
    if (this.#closed) return;
    const isFirst = this.#lastReply === null;
    this.#lastReply = reply;
    await writeAll(this.#call, [reply]);
    if (isFirst && !this.#closed && languageOf(settings) === LANGUAGE.nodeJs) {
      this.#repeatOnHeartbeat = true;
      this.#repeatTimer = this.#environment.clock.setTimer(SETTINGS_REPEAT_MS, () =>
        this.#repeat(),
      );
    }
  }

  #repeat(): void {
    if (this.#closed || this.#lastReply === null) return;
    // A client that does not read gets no repetition.
    if (!this.#call.writableNeedDrain) this.#call.write(this.#lastReply);
  }

  /** Both ways to say no, since Node looks at the status and Java and Go at the end of the stream. */
  #refuse(refusal: Status): void {
    if (this.#closed) return;
    this.#environment.counters.countRejection(refusal.code);
    this.#release();
    this.#call.write({ status: refusal });
    const code = isRequestFault(refusal) ? GRPC_STATUS.INVALID_ARGUMENT : GRPC_STATUS.INTERNAL;
    // grpc-js ends the stream with the code of an emitted error.
    this.#call.emit('error', { code, details: refusal.message });
  }

  /** Settings must not wait for an election: without an answer in time, the defaults hold. */
  async #groupTraits(resource: Resource | null): Promise<GroupTraits> {
    if (resource === null) return DEFAULT_GROUP_TRAITS;
    const { clock, gateway } = this.#environment;
    const group = storageName(resource, this.#caller.namespace);
    checkGroupName(group);
    const deadlineAtMonotonicMs = clock.monotonicMs() + GROUP_LOOKUP_MS;
    try {
      const response = await gateway.call(
        { kind: 'groupDescribe', group },
        { deadlineAtMonotonicMs, signal: this.#released.signal },
      );
      assert(response.kind === 'group', 'a groupDescribe is answered with a group');
      return response.group;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      return DEFAULT_GROUP_TRAITS;
    }
  }
}

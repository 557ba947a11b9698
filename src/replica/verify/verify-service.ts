/** Verify on the port for peers and administration (proto/mqraft/verify.proto). One run at a time. */
import {
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { LogIndex } from '../../base/units.ts';
import {
  type Boxed,
  type NodeStanding,
  type VerifyFrame,
  type VerifyRun,
  verifyMethods,
} from '../../protocol/verify-codec.ts';
import type { LogDamage } from '../../store/scrub/log-on-disk.ts';
import { pause } from '../../store/scrub/pause.ts';
import { VERDICT_DELIVERY_MS } from './limits.ts';
import { type VerifyParts, VerifyStopped, verifyReplica } from './verify-run.ts';

export interface VerifyServiceOptions extends VerifyParts {
  /** null: this node does not lead. */
  readonly checkpoint: () => Promise<LogIndex | null>;
  /** The disk, or a bug. */
  readonly onFatal: (error: unknown) => void;
}

export interface VerifyService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** Ends a run that is under way. Idempotent. */
  stop(): Promise<void>;
}

type RunCall = ServerWritableStream<VerifyRun, VerifyFrame>;
type CheckpointCall = ServerUnaryCall<object, Boxed<LogIndex>>;
type StandingCall = ServerUnaryCall<Boxed<LogIndex>, Boxed<NodeStanding>>;

/** For `server.addService(definition, implementation)`. */
export function verifyService(options: VerifyServiceOptions): VerifyService {
  const { checkpoint, standingAt, onFatal } = options;
  const runner = new Runner(options);
  return {
    definition: { ...verifyMethods() },
    implementation: {
      run: (call: RunCall) => runner.answer(call),
      checkpoint: (_call: CheckpointCall, callback: sendUnaryData<Boxed<LogIndex>>) => {
        checkpoint().then((value) => callback(null, { value }), onFatal);
      },
      standing: ({ request }: StandingCall, callback: sendUnaryData<Boxed<NodeStanding>>) => {
        const index = request.value;
        const standing = index === null ? null : standingAt(index);
        const isKnown = index !== null && standing !== null;
        callback(null, { value: isKnown ? { index, ...standing } : null });
      },
    },
    stop: () => runner.stop(),
  };
}

class Runner {
  readonly #options: VerifyServiceOptions;
  readonly #stopping = new AbortController();
  /** Never rejects. */
  #running: Promise<void> | null = null;

  constructor(options: VerifyServiceOptions) {
    this.#options = options;
  }

  answer(call: RunCall): void {
    // Whoever asked went away while it was answered.
    call.on('error', () => {});
    if (this.#running !== null || this.#stopping.signal.aborted) {
      const details = 'Another verification is under way on this node';
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details });
      return;
    }
    this.#running = this.#run(call)
      .catch(this.#options.onFatal)
      .finally(() => {
        this.#running = null;
      });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(call: RunCall): Promise<void> {
    const gone = new AbortController();
    call.on('cancelled', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
    const damages: LogDamage[] = [];
    const parts = { ...this.#options, onDamage: (each: LogDamage) => void damages.push(each) };
    try {
      const onProgress = (progress: Extract<VerifyFrame, { kind: 'progress' }>['progress']) => {
        call.write({ kind: 'progress', progress });
      };
      const verdict = await verifyReplica(parts, call.request, onProgress, signal);
      call.write({ kind: 'verdict', verdict });
      call.end();
    } catch (error) {
      if (!(error instanceof VerifyStopped)) throw error;
      if (!gone.signal.aborted) {
        call.emit('error', { code: status.UNAVAILABLE, details: 'This node stops' });
      }
    } finally {
      await this.#tellLater(damages);
    }
  }

  /** Damage may end this process: whoever asked shall have the verdict first. */
  async #tellLater(damages: readonly LogDamage[]): Promise<void> {
    const { clock, onDamage } = this.#options;
    if (damages.length === 0) return;
    await pause(clock, VERDICT_DELIVERY_MS, this.#stopping.signal);
    for (const damage of damages) onDamage(damage);
  }
}

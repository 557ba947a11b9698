/**
 * Every replica's part in checkpoints: whenever a claim is applied, it compares itself with it, first what it
 * knows (chain and state), then what its disk has. Nothing is changed by that; but a replica that differs
 * says so and stops (divergence.ts says which one does).
 */
import type { LogIndex, NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { DecidingSets } from '../../raft/quorum.ts';
import type { Checkpoint } from '../../store/derived/checkpoint-table.ts';
import type { LogDamage } from '../../store/scrub/log-on-disk.ts';
import { pause } from '../../store/scrub/pause.ts';
import { rangeDigest } from '../../store/scrub/range-digest.ts';
import type { Replica } from '../replica.ts';
import {
  type Divergence,
  divergenceFrom,
  divergenceOf,
  divergenceText,
  type Hearing,
  isOutvoted,
  isSame,
  type Standing,
  verdictOf,
} from './divergence.ts';
import {
  CLAIM_BYTES_PER_SECOND_MAX,
  CLAIMS_WAITING_MAX,
  WITNESS_ROUND_PAUSE_MS,
  WITNESS_ROUNDS_MAX,
} from './limits.ts';

/** How a replica asks another one what that is at a checkpoint. */
export interface Witnesses {
  /** null: it does not know, or no answer came in time. Never rejects. */
  standingAt(address: string, index: LogIndex): Promise<Standing | null>;
}

export type CheckpointEvent =
  /** What the group said of this checkpoint is true of this replica. */
  | { readonly kind: 'checkpointAgreed'; readonly index: LogIndex }
  /** `stays`: most of the others are as this one is, so it is the claimant who is wrong. */
  | {
      readonly kind: 'stateDiverged';
      readonly divergence: Divergence;
      readonly verdict: 'stops' | 'stays';
    }
  /** Seen by the claimant. */
  | {
      readonly kind: 'othersDiffer';
      readonly index: LogIndex;
      readonly nodeIds: readonly NodeId[];
    };

export interface CheckpointJudgeOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly witnesses: Witnesses;
  readonly onEvent: (event: CheckpointEvent) => void;
  readonly onDamage: (damage: LogDamage) => void;
  /** This replica is wrong and must stop. Once. */
  readonly onWrong: (divergence: Divergence) => void;
  /** The disk, or a bug. */
  readonly onFatal: (error: unknown) => void;
}

export class CheckpointJudge {
  readonly #options: CheckpointJudgeOptions;
  readonly #stopping = new AbortController();
  /** Whose bytes are to be compared. */
  readonly #waiting: LogIndex[] = [];
  /** Of those one after the other. Never rejects. */
  #comparing: Promise<void> = Promise.resolve();
  /** Questions to the others that are under way. */
  readonly #asking = new Set<Promise<void>>();
  #agreedIndex: LogIndex | null = null;
  #divergence: string | null = null;
  #divergedCount = 0;
  #isWrong = false;

  constructor(options: CheckpointJudgeOptions) {
    this.#options = options;
    options.replica.onApplied((_entry, results) => {
      for (const result of results) {
        if (result.kind === 'checkpointClaimed' && result.isKnown) this.#onClaim(result.index);
      }
    });
  }

  /** What was claimed while this node was away, or before its state was made anew. */
  start(): void {
    for (const { index, claim } of this.#options.replica.state.checkpoints()) {
      if (claim !== null) this.#compare(index);
    }
  }

  get agreedIndex(): LogIndex | null {
    return this.#agreedIndex;
  }

  get divergence(): string | null {
    return this.#divergence;
  }

  get divergedCount(): number {
    return this.#divergedCount;
  }

  standingAt(index: LogIndex): Standing | null {
    const { log, state } = this.#options.replica;
    const own = state.checkpoints().find((each) => each.index === index);
    const headerCrc = log.headerCrcAt(index);
    return own === undefined || headerCrc === null ? null : { headerCrc, digest: own.digest };
  }

  /** After a claim of this node's own: does anybody agree? */
  onClaimed(index: LogIndex): void {
    this.#ask(() => this.#askAround(index));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#comparing, ...this.#asking]);
  }

  #onClaim(index: LogIndex): void {
    if (!this.#compare(index)) return;
    this.#waiting.push(index);
    if (this.#waiting.length > CLAIMS_WAITING_MAX) this.#waiting.shift();
    this.#comparing = this.#comparing.then(() => this.#compareBytes()).catch(this.#options.onFatal);
  }

  /** @returns whether chain and state are as claimed */
  #compare(index: LogIndex): boolean {
    const checkpoint = this.#checkpointAt(index);
    if (checkpoint === null) return false;
    const divergence = divergenceOf(checkpoint, this.#options.replica.log.headerCrcAt(index));
    if (divergence === null) {
      this.#agreedIndex = index;
      return true;
    }
    this.#note(divergence);
    this.#ask(() => this.#hear(divergence));
    return false;
  }

  async #compareBytes(): Promise<void> {
    const { replica, clock, onEvent, onDamage } = this.#options;
    const { signal } = this.#stopping;
    const index = this.#waiting.shift();
    const claim = index === undefined ? null : (this.#checkpointAt(index)?.claim ?? null);
    if (index === undefined || claim === null) return;
    const bytesPerSecondMax = CLAIM_BYTES_PER_SECOND_MAX;
    const read = { from: claim.firstIndex, to: index, bytesPerSecondMax, signal };
    const range = await rangeDigest(replica.log.onDisk, clock, read);
    if (signal.aborted) return;
    if (range.kind === 'damaged') for (const damage of range.damages) onDamage(damage);
    if (range.kind !== 'digest') return;
    if (range.digest === claim.rangeDigest) {
      onEvent({ kind: 'checkpointAgreed', index });
      return;
    }
    const digests = { own: range.digest, claimed: claim.rangeDigest };
    const divergence: Divergence = { kind: 'bytes', index, ...digests };
    this.#note(divergence);
    // What is on one disk only one replica knows: there is nobody to ask.
    this.#stopFor(divergence);
  }

  /** Ends early when it is clear, and at the latest when everybody had time to answer. */
  async #hear(divergence: Divergence): Promise<void> {
    const { clock, onEvent } = this.#options;
    const { signal } = this.#stopping;
    for (let round = 1; ; round++) {
      const hearing = await this.#hearing(divergence.index);
      if (signal.aborted) return;
      if (hearing !== null && verdictOf(hearing) === 'claimWrong') {
        onEvent({ kind: 'stateDiverged', divergence, verdict: 'stays' });
        return;
      }
      const isClear = hearing === null || isComplete(hearing) || isOutvoted(hearing) !== null;
      if (isClear || round === WITNESS_ROUNDS_MAX) {
        this.#stopFor(divergence);
        return;
      }
      if (!(await pause(clock, WITNESS_ROUND_PAUSE_MS, signal))) return;
    }
  }

  async #askAround(index: LogIndex): Promise<void> {
    const { clock, onEvent } = this.#options;
    const { signal } = this.#stopping;
    for (let round = 1; ; round++) {
      const hearing = await this.#hearing(index);
      if (hearing === null || signal.aborted) return;
      const { own, others } = hearing;
      const right = isOutvoted(hearing);
      if (right !== null) {
        const divergence = divergenceFrom(index, own, right);
        this.#note(divergence);
        this.#stopFor(divergence);
        return;
      }
      const nodeIds = [...others].flatMap(([id, other]) => (isSame(other, own) ? [] : [id]));
      if (isComplete(hearing) || round === WITNESS_ROUNDS_MAX) {
        if (nodeIds.length > 0) onEvent({ kind: 'othersDiffer', index, nodeIds });
        return;
      }
      if (!(await pause(clock, WITNESS_ROUND_PAUSE_MS, signal))) return;
    }
  }

  /** What everybody is at the checkpoint, as far as they answer. */
  async #hearing(index: LogIndex): Promise<Hearing | null> {
    const { replica, witnesses } = this.#options;
    const own = this.standingAt(index);
    if (own === null) return null;
    const { nodeId: self, membership, peers } = replica.status();
    const { voters, outgoing } = membership.membership;
    const sets: DecidingSets = outgoing.length === 0 ? [voters] : [voters, outgoing];
    const others = new Map<NodeId, Standing>();
    await Promise.all(
      peers.map(async ({ nodeId, addresses }) => {
        const standing =
          addresses === null ? null : await witnesses.standingAt(addresses.raft, index);
        if (standing !== null) others.set(nodeId, standing);
      }),
    );
    return { self, own, sets, others };
  }

  #note(divergence: Divergence): void {
    this.#divergence = divergenceText(divergence);
    this.#divergedCount += 1;
  }

  #stopFor(divergence: Divergence): void {
    if (this.#isWrong) return;
    this.#isWrong = true;
    this.#options.onEvent({ kind: 'stateDiverged', divergence, verdict: 'stops' });
    this.#options.onWrong(divergence);
  }

  #checkpointAt(index: LogIndex): Checkpoint | null {
    const { state } = this.#options.replica;
    return state.checkpoints().find((each) => each.index === index) ?? null;
  }

  #ask(question: () => Promise<void>): void {
    const asking = question()
      .catch(this.#options.onFatal)
      .finally(() => this.#asking.delete(asking));
    this.#asking.add(asking);
  }
}

/** Every voter has answered. */
function isComplete({ self, sets, others }: Hearing): boolean {
  return sets.flat().every((id) => id === self || others.has(id));
}

/**
 * Repairs a log from the other members, for as long as it takes: asks one after the other for what is
 * wanted next, and starts over when all holes are filled, until the log opens. Who helps is asked again, for
 * what comes next while the last answer is written; when nobody does, there is a pause.
 */
import { FatalError } from '../../base/errors.ts';
import { LogIndex, type NodeId } from '../../base/units.ts';
import type { Clock, Timer } from '../../io/clock.ts';
import { DiskError } from '../../io/disk.ts';
import type { RepairRead } from '../../protocol/repair-codec.ts';
import type { CommitLog } from '../../store/commit-log.ts';
import { LogNeedsRepair } from '../../store/repair/log-needs-repair.ts';
import type { LogRepairer } from '../../store/repair/log-repairer.ts';
import type { OfferOutcome } from '../../store/repair/offer-outcome.ts';
import type { RepairRange } from '../../store/repair/repair-source.ts';
import type { GroupMember } from '../replica-options.ts';
import type { SnapshotPort } from '../snapshot/snapshot-port.ts';
import { REPAIR_PAUSE_MS_MAX, REPAIR_PAUSE_MS_MIN, REPAIR_REMINDER_MS } from './limits.ts';
import { QuestionsAhead } from './questions-ahead.ts';
import type { RepairClient } from './repair-client.ts';

export interface RepairLogOptions {
  /** What the log needs first. */
  readonly repairer: LogRepairer;
  /** With whom the group was founded; the log may know others. */
  readonly members: readonly GroupMember[];
  readonly client: RepairClient;
  /** Asked where the logs of the others begin, when they have removed what is missing. */
  readonly snapshots: Pick<SnapshotPort, 'newest'>;
  readonly clock: Clock;
  readonly onEvent: (event: RepairEvent) => void;
  /** Whoever gives entries to others takes them from here from now on. */
  readonly onRepairer: (repairer: LogRepairer) => void;
  /** Aborted: the log stays as it is, and is closed. */
  readonly signal: AbortSignal;
}

/** What an operator should read in the log. */
export type RepairEvent =
  | { readonly kind: 'repairStarted'; readonly missing: string; readonly problem: string }
  | {
      readonly kind: 'repairProgress';
      readonly from: NodeId | string;
      readonly entryCount: number;
      readonly sizeBytes: number;
      readonly missing: string;
      /** null: unknown. */
      readonly missingBytes: number | null;
    }
  /** The group has committed something else than what was here. */
  | { readonly kind: 'repairContradicted'; readonly from: string; readonly missing: string }
  /** The group has removed from its log what is missing: this one begins later now, as theirs do. */
  | { readonly kind: 'repairCutInFront'; readonly from: NodeId; readonly firstIndex: LogIndex }
  /** All others lack what may never have been durable here: it is cut off as torn. */
  | { readonly kind: 'repairGivenUp'; readonly missing: string }
  /**
   * Nobody helps; `why` says what each one answered. `needsSnapshot`: the group has removed what is
   * missing from its log, so only a snapshot can stand for it.
   */
  | {
      readonly kind: 'repairWaits';
      readonly missing: string;
      readonly needsSnapshot: boolean;
      readonly why: readonly string[];
    }
  | { readonly kind: 'repairDone'; readonly entryCount: number };

/** @throws FatalError when the disk fails or the log cannot be explained; an AbortError. */
export async function repairLog(options: RepairLogOptions): Promise<CommitLog> {
  let { repairer } = options;
  let entryCount = 0;
  try {
    for (;;) {
      options.onRepairer(repairer);
      const { missing, problem } = repairer;
      options.onEvent({ kind: 'repairStarted', missing, problem });
      const filling = new Filling(options, repairer);
      const filled = await filling.run();
      entryCount += filled;
      const next = await reopened(repairer);
      if (!(next instanceof LogNeedsRepair)) {
        options.onEvent({ kind: 'repairDone', entryCount });
        return next;
      }
      repairer = next.repairer;
      // The same again although it was filled: something undoes it, and needs no hurry.
      if (filled === 0 && !filling.hasNewBase) await pause(options, REPAIR_PAUSE_MS_MAX);
    }
  } catch (error) {
    await repairer.close();
    if (!(error instanceof DiskError)) throw error;
    throw new FatalError('diskFailed', error.message, { cause: error });
  }
}

async function reopened(repairer: LogRepairer): Promise<CommitLog | LogNeedsRepair> {
  try {
    return await repairer.reopen();
  } catch (error) {
    if (error instanceof LogNeedsRepair) return error;
    throw error;
  }
}

type Accepted = Extract<OfferOutcome, { readonly kind: 'accepted' }>;

/** One repairer until it wants nothing more. */
class Filling {
  readonly #options: RepairLogOptions;
  readonly #repairer: LogRepairer;
  readonly #ahead = new QuestionsAhead(({ raftAddress }, range) =>
    this.#options.client.ask(raftAddress, this.#question(range)),
  );
  #pauseMs = REPAIR_PAUSE_MS_MIN;
  #entryCount = 0;
  /** The log begins later than it did. */
  hasNewBase = false;
  #remindedAtMs: number | null = null;
  /** Whoever helped last is asked first. */
  #peers: readonly GroupMember[];

  constructor(options: RepairLogOptions, repairer: LogRepairer) {
    this.#options = options;
    this.#repairer = repairer;
    this.#peers = peersOf(options.members, repairer);
  }

  /** @returns how many entries came */
  async run(): Promise<number> {
    for (;;) {
      this.#options.signal.throwIfAborted();
      const wanted = this.#repairer.wanted();
      if (wanted === null) return this.#entryCount;
      const isHelped = await this.#round(wanted);
      if (isHelped) {
        this.#pauseMs = REPAIR_PAUSE_MS_MIN;
        continue;
      }
      if (this.#repairer.wanted() === null) continue;
      await pause(this.#options, this.#pauseMs);
      this.#pauseMs = Math.min(2 * this.#pauseMs, REPAIR_PAUSE_MS_MAX);
    }
  }

  async #round(wanted: RepairRange): Promise<boolean> {
    const why: string[] = [];
    let lackingCount = 0;
    const removers: GroupMember[] = [];
    let committedIndex = LogIndex(0);
    for (const peer of this.#peers) {
      this.#options.signal.throwIfAborted();
      const outcome = await this.#ahead.take(peer, wanted);
      if (outcome.kind === 'failed') {
        why.push(`${peer.nodeId}: ${outcome.why}`);
        continue;
      }
      const { answer } = outcome;
      if (await this.#repairer.hear(answer.committed)) return this.#contradicted(peer);
      if (answer.entries.length === 0) {
        // What it had was committed: somebody has promised it, and it is not given up.
        const anchor = wanted.anchor === 'first' ? wanted.from : wanted.to;
        if (anchor < answer.firstIndex) {
          removers.push(peer);
          why.push(`${peer.nodeId} has removed what is before entry ${answer.firstIndex}`);
          continue;
        }
        lackingCount += 1;
        if (answer.committed.index > committedIndex) committedIndex = answer.committed.index;
        why.push(`${peer.nodeId} does not have it`);
        continue;
      }
      const offered = await this.#repairer.offer(answer);
      if (offered.kind === 'contradicted') return this.#contradicted(peer);
      if (offered.kind === 'accepted') return this.#accepted(peer, offered);
      why.push(`${peer.nodeId}: ${offered.problem}`);
    }
    const { missing } = this.#repairer;
    if (this.#repairer.isAmbiguous && lackingCount === this.#peers.length) {
      this.#options.onEvent({ kind: 'repairGivenUp', missing });
      await this.#repairer.nobodyHasIt(committedIndex);
      return true;
    }
    for (const peer of removers) {
      if (await this.#beginLater(peer, why)) return true;
    }
    this.#remind(why, removers.length > 0);
    return false;
  }

  /** What is missing was committed, and nobody needs it any more. */
  async #beginLater({ nodeId, raftAddress }: GroupMember, why: string[]): Promise<boolean> {
    const { clusterId, groupId, storeUuid, segmentSizeBytes } = this.#repairer.identity;
    const self = this.#repairer.identity.nodeId;
    const caller = { clusterId, groupId, nodeId: self, storeUuid, bootId: '', segmentSizeBytes };
    const ask = { caller: { ...caller, toNodeId: nodeId } };
    const answer = await this.#options.snapshots.newest({ nodeId, raftAddress }, ask);
    if (answer.kind !== 'answer') {
      const problem = answer.kind === 'gone' ? 'it has no snapshot' : answer.why;
      why.push(`${nodeId} does not say where its log begins: ${problem}`);
      return false;
    }
    const { base } = answer.value;
    if (!(await this.#repairer.standOn(base))) return false;
    this.hasNewBase = true;
    const firstIndex = LogIndex((base.desc?.last.index ?? 0) + 1);
    this.#options.onEvent({ kind: 'repairCutInFront', from: nodeId, firstIndex });
    return true;
  }

  #accepted(peer: GroupMember, { entryCount, sizeBytes }: Accepted): true {
    this.#entryCount += entryCount;
    const { missing, missingBytes } = this.#repairer;
    const progress = { entryCount, sizeBytes, missing, missingBytes };
    this.#options.onEvent({ kind: 'repairProgress', from: peer.nodeId, ...progress });
    this.#peers = [peer, ...this.#peers.filter((each) => each !== peer)];
    return true;
  }

  #contradicted(peer: GroupMember): true {
    const { missing } = this.#repairer;
    this.#options.onEvent({ kind: 'repairContradicted', from: peer.nodeId, missing });
    return true;
  }

  #remind(why: readonly string[], needsSnapshot: boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#remindedAtMs !== null && nowMs - this.#remindedAtMs < REPAIR_REMINDER_MS) return;
    this.#remindedAtMs = nowMs;
    const { missing } = this.#repairer;
    this.#options.onEvent({ kind: 'repairWaits', missing, needsSnapshot, why });
  }

  #question({ from, to, anchor, sizeBytesMax }: RepairRange): RepairRead {
    const { clusterId, groupId, nodeId, segmentSizeBytes } = this.#repairer.identity;
    return {
      ...{ clusterId, groupId, nodeId, segmentSizeBytes, sizeBytesMax },
      firstIndex: from,
      lastIndex: to,
      fromEnd: anchor === 'last',
    };
  }
}

/** Founders and those whom the newest membership that can be read here names, without those it removed. */
function peersOf(
  founders: readonly GroupMember[],
  { membership, identity }: LogRepairer,
): readonly GroupMember[] {
  const current = membership?.membership;
  const peers = new Map<NodeId, GroupMember>();
  for (const member of [...founders, ...(current?.members ?? [])]) {
    const { nodeId, raftAddress } = member;
    if (nodeId === identity.nodeId || current?.removed.includes(nodeId)) continue;
    peers.set(nodeId, { nodeId, raftAddress });
  }
  return [...peers.values()];
}

function pause({ clock, signal }: RepairLogOptions, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer: Timer = clock.setTimer(ms, wake);
    signal.addEventListener('abort', wake, { once: true });
  });
}

/**
 * What a leader knows about one peer, and what it has on the way to it.
 *
 *   match        next
 *     |--in flight-|            entries in (match, next) are sent and not acknowledged
 *
 * `probing`: we do not know where the logs meet, or that what we sent has arrived: one message at a
 * time. `replicating`: the last message was accepted: send ahead, inside the window.
 *
 * Invariants (L1, L5): match < next; match only grows, except when the peer has provably lost log;
 * messages in flight never exceed the window, a single larger one excepted.
 *
 * Sources: etcd raft tracker/progress.go for the states. The repair of losses is our own: see
 * `onReport`.
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex } from '../base/units.ts';
import type { ProgressState } from './core-types.ts';

export interface ProgressLimits {
  readonly inflightCountMax: number;
  readonly inflightSizeBytesMax: number;
  /** A message is given this long before its silence means anything. */
  readonly patienceTicks: number;
  /** A peer that reports less than it acknowledged, for this long, has lost log. */
  readonly lostLogTicks: number;
}

/** What a peer says about its log in a heartbeat reply. */
export interface LogReport {
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
}

interface InflightMessage {
  readonly lastIndex: LogIndex;
  readonly sizeBytes: number;
  readonly sentAtTicks: number;
}

/** Since when, and below which match, a peer's reports have been too short. */
interface ShortReports {
  readonly sinceTicks: number;
  readonly matchIndex: LogIndex;
}

export class Progress {
  readonly #limits: ProgressLimits;
  readonly #inflight: InflightMessage[] = [];
  #inflightSizeBytes = 0;
  #state: ProgressState = 'probing';
  #matchIndex = LogIndex(0);
  #nextIndex: LogIndex;
  #heardAtTicks: number;
  #progressAtTicks: number;
  #shortReports: ShortReports | null = null;

  constructor(limits: ProgressLimits, nextIndex: LogIndex, nowTicks: number) {
    this.#limits = limits;
    this.#nextIndex = nextIndex;
    this.#heardAtTicks = nowTicks;
    this.#progressAtTicks = nowTicks;
  }

  get state(): ProgressState {
    return this.#state;
  }

  get matchIndex(): LogIndex {
    return this.#matchIndex;
  }

  get nextIndex(): LogIndex {
    return this.#nextIndex;
  }

  get inflightCount(): number {
    return this.#inflight.length;
  }

  get inflightSizeBytes(): number {
    return this.#inflightSizeBytes;
  }

  get heardAtTicks(): number {
    return this.#heardAtTicks;
  }

  /** The peer answered in our term. */
  onHeard(nowTicks: number): void {
    this.#heardAtTicks = nowTicks;
  }

  /** Bytes that the next message may carry; null when none may be sent now. */
  roomSizeBytes(): number | null {
    const count = this.#inflight.length;
    if (count === 0) return this.#limits.inflightSizeBytesMax;
    if (this.#state === 'probing' || count >= this.#limits.inflightCountMax) return null;
    const room = this.#limits.inflightSizeBytesMax - this.#inflightSizeBytes;
    return room > 0 ? room : null;
  }

  onSent(lastIndex: LogIndex, sizeBytes: number, nowTicks: number): void {
    assert(this.roomSizeBytes() !== null, 'a message is sent inside the window');
    assert(lastIndex >= this.#nextIndex - 1, 'a message goes forward', () => ({ lastIndex }));
    this.#inflight.push({ lastIndex, sizeBytes, sentAtTicks: nowTicks });
    this.#inflightSizeBytes += sizeBytes;
    if (this.#state === 'replicating') this.#nextIndex = advance(lastIndex, 1);
  }

  /** @returns whether the peer is known to hold more than before. */
  onAccepted(matchIndex: LogIndex, nowTicks: number): boolean {
    if (matchIndex <= this.#matchIndex) return false;
    this.#matchIndex = matchIndex;
    this.#progressAtTicks = nowTicks;
    if (this.#state === 'probing') {
      this.#clearInflight();
      this.#state = 'replicating';
      this.#nextIndex = advance(matchIndex, 1);
      return true;
    }
    this.#nextIndex = LogIndex(Math.max(this.#nextIndex, matchIndex + 1));
    while (this.#inflight.length > 0 && this.#inflight[0]!.lastIndex <= matchIndex) {
      this.#inflightSizeBytes -= this.#inflight.shift()!.sizeBytes; // length > 0
    }
    return true;
  }

  /**
   * @param mayMatchAt the highest index at which the logs may agree
   * @returns false for an old message, which says nothing about what is in flight now.
   */
  onRejected(rejectedIndex: LogIndex, mayMatchAt: LogIndex): boolean {
    if (rejectedIndex <= this.#matchIndex) return false;
    // Of all messages that follow a lost one, only the first rejection moves us.
    if (this.#state === 'probing' && rejectedIndex !== this.#nextIndex - 1) return false;
    this.becomeProbing(LogIndex(Math.min(rejectedIndex, mayMatchAt + 1)));
    return true;
  }

  /**
   * Decides from a heartbeat reply whether a message was lost. Losses are repaired only here: a peer
   * that answers no heartbeat is sent nothing, one that answers gets at most one repeated message per
   * heartbeat interval, and a heartbeat follows the messages it judges on the same stream.
   *
   * - The oldest message has not arrived although its time is over: it was lost.
   * - It has arrived and is durable there, but we were not told: the acknowledgement was lost.
   * - It has arrived and is not durable: the disk is slow, and sending again would not help it.
   */
  onReport(report: LogReport, nowTicks: number): 'lostLog' | 'lostMessage' | 'fine' {
    if (this.#isLogLost(report, nowTicks)) {
      this.#matchIndex = report.durableIndex;
      this.#shortReports = null;
      this.becomeProbing(advance(report.durableIndex, 1));
      return 'lostLog';
    }
    const oldest = this.#inflight[0];
    if (oldest === undefined) return 'fine';
    const { patienceTicks } = this.#limits;
    if (nowTicks - oldest.sentAtTicks < patienceTicks) return 'fine';
    if (nowTicks - this.#progressAtTicks < patienceTicks) return 'fine';
    const isSlowDisk =
      report.lastIndex >= oldest.lastIndex && report.durableIndex < oldest.lastIndex;
    if (isSlowDisk) return 'fine';
    this.becomeProbing(LogIndex(Math.min(this.#nextIndex, report.lastIndex + 1)));
    return 'lostMessage';
  }

  /**
   * What is in flight is given up. A probe keeps its guess: a new leader knows no match yet, and going
   * back to it would send the whole log to a peer that was merely away during the election.
   */
  onUnreachable(): void {
    if (this.#state === 'probing') this.#clearInflight();
    else this.becomeProbing(advance(this.#matchIndex, 1));
  }

  becomeProbing(nextIndex: LogIndex): void {
    this.#clearInflight();
    this.#state = 'probing';
    this.#nextIndex = LogIndex(Math.max(this.#matchIndex + 1, nextIndex));
  }

  /**
   * One short report may be an old message that was overtaken by an acknowledgement; nothing but
   * short ones for longer than an election timeout is a disk that forgot (H23).
   */
  #isLogLost(report: LogReport, nowTicks: number): boolean {
    const short = this.#shortReports;
    if (report.durableIndex >= (short?.matchIndex ?? this.#matchIndex)) {
      this.#shortReports = null;
      return false;
    }
    if (short === null) {
      this.#shortReports = { sinceTicks: nowTicks, matchIndex: this.#matchIndex };
      return false;
    }
    return nowTicks - short.sinceTicks >= this.#limits.lostLogTicks;
  }

  #clearInflight(): void {
    this.#inflight.length = 0;
    this.#inflightSizeBytes = 0;
  }
}

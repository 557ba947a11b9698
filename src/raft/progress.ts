/**
 * What a leader knows about one peer, and what it has on the way to it.
 *
 *   match        next
 *     |--in flight-|            entries in (match, next) are sent and not acknowledged
 *
 * `probing`: we do not know where the logs meet, or that what we sent has arrived: one message at a
 * time. `replicating`: the last message was accepted: send ahead, inside the window. `snapshot`: what
 * the peer needs is gone from our log; the driver brings it a snapshot, and nothing else is sent.
 *
 * Into `snapshot` from both others when the log is compacted past `next`; out of it to `replicating` by
 * an acceptance that lets the log go on, to `probing` when the snapshot failed or seems lost.
 *
 * Invariants (L1, L5): match < next; match only grows, except when the peer has provably lost log;
 * messages in flight never exceed the window, a single larger one excepted; none are in flight in
 * state `snapshot`.
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
  /** The same for a snapshot that was sent: it has to be installed before it is accepted. */
  readonly snapshotPatienceTicks: number;
  /** A peer that reports less than it acknowledged, for this long, has lost log. */
  readonly lostLogTicks: number;
  /** A peer that was heard so recently is active. */
  readonly activeTicks: number;
}

/** What a peer says about itself in a heartbeat reply. */
export interface LogReport {
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
  readonly isDiskStalled: boolean;
}

interface InflightMessage {
  readonly lastIndex: LogIndex;
  readonly sizeBytes: number;
  readonly sentAtTicks: number;
}

interface SentSnapshot {
  readonly index: LogIndex;
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
  #hasAnswered = false;
  #progressAtTicks: number;
  #movedAtTicks: number;
  #shortReports: ShortReports | null = null;
  /** Not null only in state `snapshot`, when the peer has been told to install it. */
  #sentSnapshot: SentSnapshot | null = null;
  /** Nothing is sent until the peer's next report. */
  #isHeldBack = false;
  #isDiskStalled = false;
  #confirmedRound = 0;

  constructor(limits: ProgressLimits, nextIndex: LogIndex, nowTicks: number) {
    this.#limits = limits;
    this.#nextIndex = nextIndex;
    this.#heardAtTicks = nowTicks;
    this.#progressAtTicks = nowTicks;
    this.#movedAtTicks = nowTicks;
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

  /** What the peer last said. */
  get isDiskStalled(): boolean {
    return this.#isDiskStalled;
  }

  /** The newest round of heartbeats that the peer has answered; 0 when none. */
  get confirmedRound(): number {
    return this.#confirmedRound;
  }

  /** Has answered, and lately: may be counted on. */
  isActive(nowTicks: number): boolean {
    return this.#hasAnswered && !this.isSilent(nowTicks);
  }

  /** For too long nothing was heard; a leadership and a member that are new are given time. */
  isSilent(nowTicks: number): boolean {
    return nowTicks - this.#heardAtTicks > this.#limits.activeTicks;
  }

  /**
   * Has everything, is on its way there, or waits for a snapshot: what a leader needs of a majority
   * to be of use (L8). Heartbeats alone prove none of it.
   */
  isMoving(nowTicks: number, timeoutTicks: number): boolean {
    return this.#state === 'snapshot' || nowTicks - this.#movedAtTicks < timeoutTicks;
  }

  onTick(lastIndex: LogIndex, nowTicks: number): void {
    if (this.#matchIndex === lastIndex) this.#movedAtTicks = nowTicks;
  }

  /** The peer answered in our term. */
  onHeard(nowTicks: number): void {
    this.#hasAnswered = true;
    this.#heardAtTicks = nowTicks;
  }

  /** An answer that was overtaken by a younger one takes nothing back. */
  onRound(round: number): void {
    this.#confirmedRound = Math.max(this.#confirmedRound, round);
  }

  /** Bytes that the next message may carry; null when none may be sent now, nor a snapshot. */
  roomSizeBytes(): number | null {
    if (this.#state === 'snapshot' || this.#isHeldBack) return null;
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

  /**
   * @param firstIndex where our log begins now
   * @returns whether the peer is known to hold more than before.
   */
  onAccepted(matchIndex: LogIndex, nowTicks: number, firstIndex: LogIndex): boolean {
    if (matchIndex <= this.#matchIndex) return false;
    this.#matchIndex = matchIndex;
    this.#progressAtTicks = nowTicks;
    this.#movedAtTicks = nowTicks;
    if (this.#state !== 'replicating') {
      if (this.#state === 'snapshot' && !this.#endsSnapshot(matchIndex, firstIndex)) {
        this.#nextIndex = LogIndex(Math.max(this.#nextIndex, matchIndex + 1));
        return true;
      }
      this.becomeProbing(advance(matchIndex, 1));
      this.#state = 'replicating';
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
    if (rejectedIndex <= this.#matchIndex || this.#state === 'snapshot') return false;
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
   *
   * The message to install a snapshot is judged in the same way, with a patience of its own. Before it
   * is sent the report means nothing: the driver will say how the transfer ends.
   */
  onReport(report: LogReport, nowTicks: number): 'lostLog' | 'lostMessage' | 'fine' {
    this.#isDiskStalled = report.isDiskStalled;
    this.#isHeldBack = false;
    if (this.#state === 'snapshot') return this.#judgeSnapshot(report, nowTicks);
    if (this.#isLogLost(report, nowTicks)) {
      // Nor is what it still has known to be ours: an older image may end in entries long replaced.
      this.#matchIndex = LogIndex(0);
      this.#shortReports = null;
      this.becomeProbing(advance(report.durableIndex, 1));
      return 'lostLog';
    }
    const oldest = this.#inflight[0];
    if (oldest === undefined) return 'fine';
    const { patienceTicks } = this.#limits;
    if (nowTicks - oldest.sentAtTicks < patienceTicks) return 'fine';
    if (nowTicks - this.#progressAtTicks < patienceTicks) return 'fine';
    if (isSlowDisk(report, oldest.lastIndex)) return 'fine';
    this.becomeProbing(LogIndex(Math.min(this.#nextIndex, report.lastIndex + 1)));
    return 'lostMessage';
  }

  /** The peer needs an entry that is gone. Comes with one `sendSnapshot`; it is sent nothing else. */
  becomeSnapshot(): void {
    assert(this.roomSizeBytes() !== null, 'a snapshot is sent only when a message could be');
    this.#clearInflight();
    // The snapshot makes good what was lost below our base; and while it is being installed the peer
    // reports less than it acknowledged.
    this.#shortReports = null;
    this.#state = 'snapshot';
  }

  /** Ignored when the peer came to need no snapshot while the files were on their way. */
  onSnapshotSent(index: LogIndex, nowTicks: number): void {
    if (this.#state !== 'snapshot') return;
    if (index <= this.#matchIndex) {
      this.becomeProbing(advance(this.#matchIndex, 1)); // the acceptance was faster than the driver
      return;
    }
    this.#sentSnapshot = { index, sentAtTicks: nowTicks };
    this.#nextIndex = advance(index, 1);
  }

  /**
   * Held back until the peer reports, because the next thing to send is the same snapshot: a peer that
   * cannot take it costs one attempt per heartbeat, and a peer that is away costs none.
   */
  onSnapshotFailed(): void {
    if (this.#state !== 'snapshot') return;
    this.becomeProbing(advance(this.#matchIndex, 1));
    this.#isHeldBack = true;
  }

  /**
   * What is in flight is given up. A probe keeps its guess: a new leader knows no match yet, and going
   * back to it would send the whole log to a peer that was merely away during the election. A
   * snapshot is the driver's affair until it is sent; then the message, or its answer, may be lost.
   */
  onUnreachable(): void {
    if (this.#state === 'probing') this.#clearInflight();
    else if (this.#state === 'replicating' || this.#sentSnapshot !== null) {
      this.becomeProbing(advance(this.#matchIndex, 1));
    }
  }

  becomeProbing(nextIndex: LogIndex): void {
    this.#clearInflight();
    this.#sentSnapshot = null;
    this.#isHeldBack = false;
    this.#state = 'probing';
    this.#nextIndex = LogIndex(Math.max(this.#matchIndex + 1, nextIndex));
  }

  /** The peer has what the driver brought, or got by older messages to where our log begins. */
  #endsSnapshot(matchIndex: LogIndex, firstIndex: LogIndex): boolean {
    const sent = this.#sentSnapshot;
    return matchIndex + 1 >= firstIndex || (sent !== null && matchIndex >= sent.index);
  }

  #judgeSnapshot(report: LogReport, nowTicks: number): 'lostMessage' | 'fine' {
    const sent = this.#sentSnapshot;
    if (sent === null) return 'fine';
    if (nowTicks - sent.sentAtTicks < this.#limits.snapshotPatienceTicks) return 'fine';
    if (isSlowDisk(report, sent.index)) return 'fine';
    this.becomeProbing(LogIndex(Math.min(this.#nextIndex, report.lastIndex + 1)));
    return 'lostMessage';
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

/** It has arrived and is not durable. */
function isSlowDisk(report: LogReport, lastIndexSent: LogIndex): boolean {
  return report.lastIndex >= lastIndexSent && report.durableIndex < lastIndexSent;
}

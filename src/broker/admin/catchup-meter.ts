/** How fast members copy the log, from what the leader sees of them now and saw a while ago. */
import type { NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { CatchupReport } from '../../protocol/admin-report.ts';
import { HANDOVER_LAG_BYTES_MAX } from '../../raft/limits.ts';
import { type GroupView, memberOf } from './group-view.ts';
import { CATCHUP_SAMPLE_MS_MIN, CATCHUP_SAMPLES_MAX, CATCHUP_WINDOW_MS } from './limits.ts';

interface Sample {
  readonly atMs: number;
  readonly lagBytes: number;
  /** Size of the leader's log less the lag. */
  readonly copiedBytes: number;
}

const MS_PER_SECOND = 1_000;

export class CatchupMeter {
  readonly #clock: Clock;
  readonly #samples = new Map<NodeId, Sample[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  report(nodeId: NodeId, view: GroupView): CatchupReport {
    const member = memberOf(view, nodeId);
    const lagBytes = member?.lagBytes ?? view.logSizeBytes;
    const { logSizeBytes: logBytes } = view;
    const known = { nodeId, lagBytes, logBytes };
    const nothing = { bytesPerSecond: null, remainingMs: null };
    if (view.membership.voters.includes(nodeId)) return { ...known, state: 'voting', ...nothing };
    if (member === null || (member.storeUuid === null && !member.isMet)) {
      return { ...known, state: 'joining', ...nothing };
    }
    if (!member.isActive) return { ...known, state: 'silent', ...nothing };
    const rate = this.#rateOf(nodeId, lagBytes, logBytes);
    const state = lagBytes <= HANDOVER_LAG_BYTES_MAX ? 'caughtUp' : 'copying';
    return { ...known, state, ...rate };
  }

  #rateOf(nodeId: NodeId, lagBytes: number, logBytes: number) {
    const atMs = this.#clock.monotonicMs();
    const samples = (this.#samples.get(nodeId) ?? []).filter(
      (sample) => atMs - sample.atMs <= CATCHUP_WINDOW_MS,
    );
    const [oldest] = samples;
    const newest = samples.at(-1);
    if (newest === undefined || atMs - newest.atMs >= CATCHUP_SAMPLE_MS_MIN) {
      samples.push({ atMs, lagBytes, copiedBytes: logBytes - lagBytes });
    }
    this.#samples.set(nodeId, samples.slice(-CATCHUP_SAMPLES_MAX));
    if (oldest === undefined || atMs - oldest.atMs < CATCHUP_SAMPLE_MS_MIN) {
      return { bytesPerSecond: null, remainingMs: null };
    }
    const seconds = (atMs - oldest.atMs) / MS_PER_SECOND;
    const bytesPerSecond = Math.max(0, (logBytes - lagBytes - oldest.copiedBytes) / seconds);
    // The log goes on growing meanwhile: what counts is how the distance shrinks.
    const closingPerSecond = (oldest.lagBytes - lagBytes) / seconds;
    const remainingMs =
      closingPerSecond > 0 ? Math.round((lagBytes / closingPerSecond) * MS_PER_SECOND) : null;
    return { bytesPerSecond, remainingMs };
  }
}

/** Starts a replica from an open log and open derived state. */
import { FatalError } from '../base/errors.ts';
import { LogIndex } from '../base/units.ts';
import { describeMembership } from '../protocol/membership-codec.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import {
  APPEND_SIZE_BYTES_MAX,
  ELECTION_TIMEOUT_TICKS_MAX,
  ELECTION_TIMEOUT_TICKS_MIN,
  EXTENT_POLL_TICKS,
  HANDOVER_LAG_BYTES_MAX,
  HEARTBEAT_TICKS,
  INFLIGHT_COUNT_MAX,
  INFLIGHT_SIZE_BYTES_MAX,
  PREFERENCE_TICKS,
  PROGRESS_TIMEOUT_TICKS,
  UNCOMMITTED_SIZE_BYTES_MAX,
} from '../raft/limits.ts';
import { RaftCore } from '../raft/raft-core.ts';
import { SwitchableState } from '../store/derived/switchable-state.ts';
import { ApplyLoop } from './apply-loop.ts';
import { foundationOf } from './membership-in-force.ts';
import { ReplicaDriver } from './replica-driver.ts';
import type {
  RaftTiming,
  ReplicaOptions,
  ReplicaParts,
  RunningReplica,
} from './replica-options.ts';
import { baseIndexOf, isBehindLog, StateRebuilder } from './snapshot/state-rebuilder.ts';

export type {
  GroupMember,
  RaftTiming,
  ReplicaEvent,
  ReplicaMetrics,
  ReplicaOptions,
  RunningReplica,
} from './replica-options.ts';

const DEFAULT_TIMING: RaftTiming = {
  heartbeatTicks: HEARTBEAT_TICKS,
  electionTimeoutTicksMin: ELECTION_TIMEOUT_TICKS_MIN,
  electionTimeoutTicksMax: ELECTION_TIMEOUT_TICKS_MAX,
  progressTimeoutTicks: PROGRESS_TIMEOUT_TICKS,
  extentPollTicks: EXTENT_POLL_TICKS,
  preferenceTicks: PREFERENCE_TICKS,
};

/**
 * Applies what is proven committed, then joins the group: when it resolves, derived state is as
 * recent as the own log can prove, and the peers have been told. Where a snapshot is needed first that is
 * not here, or whose entries are not all here, the replica joins as a follower that is still to get them.
 */
export async function startReplica(given: ReplicaOptions): Promise<RunningReplica> {
  const options: ReplicaParts = { ...given, state: new SwitchableState(given.state) };
  const { log, state, identity, members } = options;
  const base = foundationOf(log.recovered, members);
  const commitIndex = provenCommitIndex(options, base);
  log.noteCommitIndex(commitIndex);
  await rebuild(options, commitIndex);
  if (!isBehindLog(options)) await replay(options, commitIndex);
  const { hardState, entries, memberships, hasTornTail } = log.recovered;
  // For the core what lies before the log was applied; the turns wait for the snapshot that makes it true.
  const appliedIndex = LogIndex(Math.max(state.appliedIndex, base.last.index));
  const timing = { ...DEFAULT_TIMING, ...options.timing };
  const core = new RaftCore(
    {
      self: identity.nodeId,
      segmentSizeBytes: log.identity.segmentSizeBytes,
      ...timing,
      appendSizeBytesMax: APPEND_SIZE_BYTES_MAX,
      inflightSizeBytesMax: INFLIGHT_SIZE_BYTES_MAX,
      inflightCountMax: INFLIGHT_COUNT_MAX,
      uncommittedSizeBytesMax: UNCOMMITTED_SIZE_BYTES_MAX,
      handoverLagBytesMax: HANDOVER_LAG_BYTES_MAX,
      describeMembership,
    },
    { hardState, base, entries, memberships, commitIndex, appliedIndex, hasTornTail },
    options.random,
  );
  // Core and table have their own records of the entries by now.
  log.releaseRecovered();
  const driver = new ReplicaDriver(options, core, timing.electionTimeoutTicksMin);
  driver.start();
  return driver;
}

/** Derived state that is lost, or older than the log reaches back, is made from a snapshot if it can be. */
async function rebuild(options: ReplicaParts, commitIndex: LogIndex): Promise<void> {
  const { log, state, snapshots, onEvent } = options;
  if (!isBehindLog(options)) return;
  if (snapshots === undefined) {
    throw new FatalError(
      'logDamaged',
      `Cannot start: the log begins behind entry ${baseIndexOf(log)}, and there are no snapshots`,
    );
  }
  const failures: unknown[] = [];
  const { files, home } = snapshots;
  const rebuilder = new StateRebuilder({
    ...{ log, state, home, files },
    beforeSwitch: async () => {},
    onRebuilt: ({ appliedIndex }) => onEvent({ kind: 'stateRebuilt', index: appliedIndex }),
    onFatal: (error) => failures.push(error),
  });
  rebuilder.commitTo(commitIndex);
  await rebuilder.idle();
  if (failures.length > 0) throw failures[0];
}

/** Resolves when everything up to `target` is applied and in the database. */
function replay(options: ReplicaParts, target: LogIndex): Promise<void> {
  const { log, state, clock } = options;
  return new Promise((resolve, reject) => {
    const onReady = () => {
      try {
        applyLoop.runSlice();
        if (state.appliedIndex === target) resolve(applyLoop.close());
      } catch (error) {
        // Whoever starts the replica hears of it, whatever it is.
        reject(error);
      }
    };
    const onEntry = () => {};
    const applyLoop = new ApplyLoop({ log, state, clock, onEntry, onReady, onFatal: reject });
    applyLoop.extendTo(target);
    onReady();
  });
}

/**
 * What was applied once was committed, whatever the headers prove. So was what a snapshot is of; and if
 * the entry it ends with is in the log, so is all before it (Raft 5.3, Log Matching).
 */
function provenCommitIndex({ log, state, snapshots }: ReplicaParts, base: SnapshotDesc): LogIndex {
  const { provenCommitIndex, entries } = log.recovered;
  const ends = (snapshots?.files.all ?? []).filter(({ appliedIndex, appliedTerm }) => {
    return entries[appliedIndex - base.last.index - 1]?.term === appliedTerm;
  });
  const endIndexes = ends.map(({ appliedIndex }) => appliedIndex);
  const proven = LogIndex(
    Math.max(provenCommitIndex, state.appliedIndex, base.last.index, ...endIndexes),
  );
  const lastIndex = entries.at(-1)?.index ?? base.last.index;
  if (proven > lastIndex) {
    throw new FatalError(
      'logDamaged',
      `Cannot start: the log ends at entry ${lastIndex}, but entry ${proven} was committed and is gone`,
    );
  }
  return proven;
}

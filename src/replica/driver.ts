/** Starts a replica from an open log and open derived state. */
import { assert } from '../base/assert.ts';
import { FatalError } from '../base/errors.ts';
import { LogIndex } from '../base/units.ts';
import {
  APPEND_SIZE_BYTES_MAX,
  ELECTION_TIMEOUT_TICKS_MAX,
  ELECTION_TIMEOUT_TICKS_MIN,
  HEARTBEAT_TICKS,
  INFLIGHT_COUNT_MAX,
  INFLIGHT_SIZE_BYTES_MAX,
  UNCOMMITTED_SIZE_BYTES_MAX,
} from '../raft/limits.ts';
import { RaftCore } from '../raft/raft-core.ts';
import { ApplyLoop } from './apply-loop.ts';
import { ReplicaDriver } from './replica-driver.ts';
import type { ReplicaOptions, RunningReplica } from './replica-options.ts';

export type {
  GroupMember,
  RaftTiming,
  ReplicaEvent,
  ReplicaMetrics,
  ReplicaOptions,
  RunningReplica,
} from './replica-options.ts';

/**
 * Applies what is proven committed, then joins the group: when it resolves, derived state is as
 * recent as the own log can prove, and the peers have been told.
 */
export async function startReplica(options: ReplicaOptions): Promise<RunningReplica> {
  const { log, state, identity, members } = options;
  const voters = members.map((member) => member.nodeId);
  assert(voters.includes(identity.nodeId), 'a replica is a member of its group');
  assert(new Set(voters).size === voters.length, 'members have different names');

  const commitIndex = provenCommitIndex(options);
  await replay(options, commitIndex);
  const timing = options.timing ?? {
    heartbeatTicks: HEARTBEAT_TICKS,
    electionTimeoutTicksMin: ELECTION_TIMEOUT_TICKS_MIN,
    electionTimeoutTicksMax: ELECTION_TIMEOUT_TICKS_MAX,
  };
  const core = new RaftCore(
    {
      self: identity.nodeId,
      voters,
      segmentSizeBytes: log.identity.segmentSizeBytes,
      ...timing,
      appendSizeBytesMax: APPEND_SIZE_BYTES_MAX,
      inflightSizeBytesMax: INFLIGHT_SIZE_BYTES_MAX,
      inflightCountMax: INFLIGHT_COUNT_MAX,
      uncommittedSizeBytesMax: UNCOMMITTED_SIZE_BYTES_MAX,
    },
    {
      hardState: log.recovered.hardState,
      entries: log.recovered.entries,
      commitIndex,
      appliedIndex: state.appliedIndex,
    },
    options.random,
  );
  const driver = new ReplicaDriver(options, core, timing.electionTimeoutTicksMin);
  driver.start();
  return driver;
}

/** Resolves when everything up to `target` is applied and in the database. */
function replay(options: ReplicaOptions, target: LogIndex): Promise<void> {
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

/** What was applied once was committed, whatever the headers prove. */
function provenCommitIndex({ log, state }: ReplicaOptions): LogIndex {
  const { provenCommitIndex, entries } = log.recovered;
  const proven = LogIndex(Math.max(provenCommitIndex, state.appliedIndex));
  const lastIndex = entries.at(-1)?.index ?? 0;
  if (proven > lastIndex) {
    throw new FatalError(
      'logDamaged',
      `Cannot start: the log ends at entry ${lastIndex}, but entry ${proven} was committed and is gone`,
    );
  }
  return proven;
}

/** What a broker process is told, as its object graph wants it. */
import { NodeId } from '../base/units.ts';
import type { RetentionLimits } from '../broker/services/retention-decision.ts';
import {
  type Addresses,
  advertisedAddresses,
  type BrokerValues,
  STOP_GRACE_SECONDS_DEFAULT,
} from '../config/broker-settings.ts';
import type { ScrubLimits } from '../store/scrub/scrubber.ts';

export interface Member {
  readonly nodeId: NodeId;
  readonly raftAddress: string;
}

/** What is known of the group is settled before anything is opened: founding.ts. */
export interface BrokerOptions extends Omit<AskedOptions, 'clusterId' | 'groupId' | 'token'> {
  readonly clusterId: string;
  readonly groupId: string;
  /** With whom the group was founded; a node that joined is not among them. */
  readonly members: readonly Member[];
  /** Of a directory that has no superblock yet; null: minted then. */
  readonly storeUuid: string | null;
}

/** What the operator says. */
export interface AskedOptions {
  readonly nodeId: NodeId;
  /** null: whatever the group is called. */
  readonly clusterId: string | null;
  readonly groupId: string | null;
  /** Empty: the node joins, or has joined. */
  readonly members: readonly Member[];
  /** Members that are asked to take the node in. */
  readonly join: readonly string[];
  readonly token: string | null;
  /** What fails together with this node; null: nobody has said. */
  readonly zone: string | null;
  readonly directory: string;
  /** What is listened on. */
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
  /** What others are told. */
  readonly advertised: Addresses;
  readonly nameServers: readonly string[];
  readonly segmentSizeBytes: number;
  /** null: by the size of the disk. */
  readonly diskReserveBytes: number | null;
  /** 0: for ever. */
  readonly retentionHours: number;
  /** 0: no limit by size. */
  readonly retentionBytes: number;
  /** A member that is silent for longer does not hold the log. */
  readonly memberGraceSeconds: number;
  /** The log is read again at most so fast; 0: never. */
  readonly scrubRateBytes: number;
  /** And at least so often; 0: never. */
  readonly scrubPeriodHours: number;
  /** From the wish to stop to the stop, at most. */
  readonly stopGraceSeconds: number;
  readonly autoCreateTopics: boolean;
  readonly supervised: boolean;
  readonly logLevel: string;
}

const MS_PER_HOUR = 60 * 60 * 1_000;

/** Requires that `brokerProblems` has none. */
export function brokerOptionsOf(values: BrokerValues): AskedOptions {
  return {
    nodeId: NodeId(values['node-id']),
    clusterId: values['cluster-id'],
    groupId: values['group-id'],
    members: values.members.map((member) => ({ ...member, nodeId: NodeId(member.nodeId) })),
    join: values.join,
    token: values.token,
    zone: values.zone,
    directory: values.dir,
    grpc: values.grpc,
    raft: values.raft,
    http: values.http,
    advertised: advertisedAddresses(values),
    nameServers: values.namesrv,
    segmentSizeBytes: values['segment-size-bytes'],
    diskReserveBytes: values['disk-reserve-bytes'],
    retentionHours: values['retention-hours'],
    retentionBytes: values['retention-bytes'],
    memberGraceSeconds: values['member-grace-seconds'],
    scrubRateBytes: values['scrub-rate-bytes'],
    scrubPeriodHours: values['scrub-period-hours'],
    stopGraceSeconds:
      values['stop-grace-seconds'] ?? (values.supervised ? 0 : STOP_GRACE_SECONDS_DEFAULT),
    autoCreateTopics: values['auto-create-topics'],
    supervised: values.supervised,
    logLevel: values['log-level'],
  };
}

export function retentionOf(options: BrokerOptions): RetentionLimits {
  const { retentionHours, retentionBytes } = options;
  return {
    ageMsMax: retentionHours === 0 ? null : retentionHours * MS_PER_HOUR,
    sizeBytesMax: retentionBytes === 0 ? null : retentionBytes,
  };
}

/** null: switched off. */
export function scrubLimitsOf(options: BrokerOptions): ScrubLimits | null {
  const { scrubRateBytes, scrubPeriodHours } = options;
  if (scrubRateBytes === 0 || scrubPeriodHours === 0) return null;
  return { bytesPerSecondMax: scrubRateBytes, periodMs: scrubPeriodHours * MS_PER_HOUR };
}

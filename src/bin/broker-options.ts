/** Command line of a broker process. */
import { isIP } from 'node:net';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { EXIT_CODE } from '../base/errors.ts';
import { GIB, KIB, MIB } from '../base/sizes.ts';
import { NodeId } from '../base/units.ts';
import type { RetentionLimits } from '../broker/services/retention-decision.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import { SNAPSHOT_LIMITS } from '../replica/snapshot/limits.ts';

export interface Member {
  readonly nodeId: NodeId;
  readonly raftAddress: string;
}

export interface BrokerOptions {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly groupId: string;
  readonly members: readonly Member[];
  readonly directory: string;
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
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
  readonly autoCreateTopics: boolean;
  readonly supervised: boolean;
  readonly logLevel: string;
}

const SEGMENT_SIZE_BYTES_DEFAULT = GIB;
/** Room for the largest entry beside the header. */
const SEGMENT_SIZE_BYTES_MIN = 64 * KIB;
const SEGMENT_SIZE_BYTES_MAX = 4 * GIB - MIB;

/** More is a slip of the pen. */
const DISK_RESERVE_BYTES_MAX = 1024 * GIB;
const MS_PER_SECOND = 1_000;
const MS_PER_HOUR = 60 * 60 * MS_PER_SECOND;
/** Thirty days; the disk is full long before. */
const MEMBER_GRACE_SECONDS_MAX = 30 * 24 * 60 * 60;
const RETENTION_HOURS_DEFAULT = 72;
/** A hundred years; for ever is 0. */
const RETENTION_HOURS_MAX = 876_600;

const word = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ -');
const address = z.string().regex(/^[^\s:]+:\d{1,5}$/, 'must be host:port');
/** Stored in every message as its store host, and told to clients: a literal, resolved by nobody. */
const ipAddress = address.refine(
  (text) => isIP(text.slice(0, text.lastIndexOf(':'))) !== 0,
  'must be ip:port, not a host name',
);
const schema = z.object({
  nodeId: word,
  clusterId: word,
  groupId: word,
  members: z
    .array(z.object({ nodeId: word, raftAddress: address }))
    .min(1)
    .max(9),
  directory: z.string().min(1),
  grpc: ipAddress,
  raft: address,
  http: address,
  nameServers: z.array(address).max(16),
  segmentSizeBytes: z
    .number()
    .int()
    .min(SEGMENT_SIZE_BYTES_MIN)
    .max(SEGMENT_SIZE_BYTES_MAX)
    .multipleOf(SEGMENT_HEADER_SIZE_BYTES),
  retentionHours: z.number().min(0).max(RETENTION_HOURS_MAX),
  retentionBytes: z.number().int().min(0),
  memberGraceSeconds: z.number().min(0).max(MEMBER_GRACE_SECONDS_MAX),
  diskReserveBytes: z.number().int().min(0).max(DISK_RESERVE_BYTES_MAX).nullable(),
  autoCreateTopics: z.boolean(),
  supervised: z.boolean(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
});

export type OptionsOutcome =
  | { readonly kind: 'options'; readonly options: BrokerOptions }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/** All problems at once, each naming the flag. */
export function parseBrokerOptions(argv: readonly string[]): OptionsOutcome {
  const flags = command().parse(argv, { from: 'user' }).opts<Record<string, unknown>>();
  const parsed = schema.safeParse({
    ...flags,
    directory: flags['dir'],
    nameServers: flags['namesrv'],
  });
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join('.')}: ${issue.message}`,
    );
    return { kind: 'refused', problems };
  }
  const { data } = parsed;
  const ids = data.members.map(({ nodeId }) => nodeId);
  const problems: string[] = [];
  if (!ids.includes(data.nodeId)) {
    problems.push(`members: ${ids.join(', ')} do not include this node, ${data.nodeId}`);
  }
  if (new Set(ids).size !== ids.length)
    problems.push(`members: an id occurs twice in ${ids.join(', ')}`);
  if (problems.length > 0) return { kind: 'refused', problems };
  const members = data.members.map((member) => ({ ...member, nodeId: NodeId(member.nodeId) }));
  return { kind: 'options', options: { ...data, nodeId: NodeId(data.nodeId), members } };
}

export function retentionOf(options: BrokerOptions): RetentionLimits {
  const { retentionHours, retentionBytes } = options;
  return {
    ageMsMax: retentionHours === 0 ? null : retentionHours * MS_PER_HOUR,
    sizeBytesMax: retentionBytes === 0 ? null : retentionBytes,
  };
}

function command(): Command {
  return new Command('mq-raft-broker')
    .description('One replica of one broker group')
    .requiredOption('--node-id <id>', 'name of this replica, unique in its group for ever')
    .requiredOption('--cluster-id <id>', 'peers of another cluster are refused')
    .requiredOption('--group-id <id>', 'broker group')
    .requiredOption('--members <list>', 'all replicas: n1=host:port,n2=host:port,...', parseMembers)
    .requiredOption('--dir <path>', 'data directory')
    .option('--grpc <address>', 'listen here for RocketMQ 5 clients', '127.0.0.1:8081')
    .option('--raft <address>', 'listen here for peers and administration', '127.0.0.1:10912')
    .option('--http <address>', 'health and metrics', '127.0.0.1:9910')
    .option('--namesrv <list>', 'name servers: host:port,...', parseList, [])
    .option('--segment-size-bytes <n>', 'size of a log file', Number, SEGMENT_SIZE_BYTES_DEFAULT)
    .option(
      '--disk-reserve-bytes <n>',
      'refuse messages when less is free (default: 5 % of the disk, within bounds)',
      Number,
      null,
    )
    .option(
      '--retention-hours <n>',
      'keep messages this long, 0 for ever; whole segments go',
      Number,
      RETENTION_HOURS_DEFAULT,
    )
    .option(
      '--retention-bytes <n>',
      'delete what is consumed when the log is larger, 0 never',
      Number,
      0,
    )
    .option(
      '--member-grace-seconds <n>',
      'delete what a member still has to get when it was silent for so long; it gets a snapshot then',
      Number,
      SNAPSHOT_LIMITS.memberGraceMs / MS_PER_SECOND,
    )
    .option('--auto-create-topics', 'create a topic when it is first used', false)
    .option('--supervised', 'stop when standard input closes', false)
    .option('--log-level <level>', 'debug, info, warn, error or silent', 'info')
    .exitOverride((error) => {
      process.exit(error.exitCode === 0 ? 0 : EXIT_CODE.badConfiguration);
    });
}

function parseList(text: string): string[] {
  return text.split(',').filter((item) => item !== '');
}

function parseMembers(text: string): { nodeId: string; raftAddress: string }[] {
  return parseList(text).map((item) => {
    const [nodeId, raftAddress] = item.split('=');
    if (!nodeId || !raftAddress) throw new InvalidArgumentError(`'${item}' is not id=host:port`);
    return { nodeId, raftAddress };
  });
}

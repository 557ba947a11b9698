/** The settings of a broker: the one table from which flags, variables, help and the docs page come. */
import { z } from 'zod';
import { GIB, KIB, MIB } from '../base/sizes.ts';
import { parseHostAddress } from '../protocol/host-address.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import { listenAddress, logLevel, peerAddress, supervised, word } from './common-settings.ts';
import { type Problem, problem } from './problem.ts';
import { flagOf, type ServerSettings, setting, type ValuesOf } from './setting.ts';

const SEGMENT_SIZE_BYTES_DEFAULT = GIB;
/** Room for the largest entry beside the header. */
const SEGMENT_SIZE_BYTES_MIN = 64 * KIB;
const SEGMENT_SIZE_BYTES_MAX = 4 * GIB - MIB;
/** More is a slip of the pen. */
const DISK_RESERVE_BYTES_MAX = 1024 * GIB;
/** SNAPSHOT_LIMITS.memberGraceMs of the replica. */
const MEMBER_GRACE_SECONDS_DEFAULT = 3_600;
/** Thirty days; the disk is full long before. */
const MEMBER_GRACE_SECONDS_MAX = 2_592_000;
const RETENTION_HOURS_DEFAULT = 72;
/** A hundred years; for ever is 0. */
const RETENTION_HOURS_MAX = 876_600;
/** Little beside what a disk gives, and a fraction of a core. */
const SCRUB_RATE_BYTES_DEFAULT = 20 * MIB;
/** More than any disk gives. */
const SCRUB_RATE_BYTES_MAX = 64 * GIB;
/** A week: rot is found while the other copies are good. */
const SCRUB_PERIOD_HOURS_DEFAULT = 168;
/** A year; never is 0. */
const SCRUB_PERIOD_HOURS_MAX = 8_784;
/** Push consumers look for another node every 5 s; renewing all routes takes 30 s, and few wait so long. */
export const STOP_GRACE_SECONDS_DEFAULT = 10;
/** An hour: more is a slip of the pen. */
const STOP_GRACE_SECONDS_MAX = 3_600;
const MEMBER_COUNT_MAX = 9;
const NAME_SERVER_COUNT_MAX = 16;

const isLiteral = (text: string): boolean => parseHostAddress(text) !== null;

const table = {
  'node-id': setting({
    form: 'text',
    value: 'name',
    schema: word,
    standard: undefined,
    help: 'name of this replica, unique in its group for ever',
    more: 'It is written into the data directory. A name that was removed from the group never comes back: a new machine gets a new name.',
    example: 'n1',
  }),
  'cluster-id': setting({
    form: 'text',
    value: 'name',
    schema: word.nullable(),
    standard: null,
    standardText: 'that of the group which is joined; founders must say it',
    help: 'name of the cluster; peers of another one are refused',
    more: 'Equal on all nodes of all groups that share name servers. A node that joins learns it from the group; said all the same, it is compared.',
    example: 'payments',
  }),
  'group-id': setting({
    form: 'text',
    value: 'name',
    schema: word.nullable(),
    standard: null,
    standardText: 'that of the group which is joined; founders must say it',
    help: 'name of the broker group',
    more: 'The nodes of one group hold the same log. Topics are spread over groups. A node that joins learns it from the group; said all the same, it is compared.',
    example: 'broker-a',
  }),
  members: setting({
    form: 'members',
    value: 'n1=host:port,...',
    schema: z
      .array(z.object({ nodeId: word, raftAddress: peerAddress }))
      .max(MEMBER_COUNT_MAX, `must name at most ${MEMBER_COUNT_MAX} replicas`),
    standard: [],
    standardText: 'none: the node joins, or has joined',
    help: 'all replicas the group is founded with, this one among them',
    more: 'Equal on all founders and not changed afterwards: later members are added with `mq-raft member add`, and the group remembers them. Addresses may be host names; they are resolved again at each connection.',
    example: 'n1=10.0.0.1:10912,n2=10.0.0.2:10912,n3=10.0.0.3:10912',
  }),
  join: setting({
    form: 'list',
    value: 'host:port,...',
    schema: z
      .array(peerAddress)
      .max(MEMBER_COUNT_MAX, `must name at most ${MEMBER_COUNT_MAX} members`),
    standard: [],
    standardText: 'none',
    help: 'members to ask to be taken in; with an empty directory and a token',
    more: 'For a node that is added later, instead of members. `mq-raft member add` prints the line. Once it has joined, neither this nor the token is needed any more; both may stay.',
    example: '10.0.0.1:10912,10.0.0.2:10912',
  }),
  token: setting({
    form: 'text',
    value: 'token',
    schema: z.string().min(1, 'must not be empty').nullable(),
    standard: null,
    standardText: 'none',
    help: 'what `mq-raft member add` printed for this node; works once, for a day',
    more: 'Better given by variable than by flag: flags are seen by all users of the machine.',
    example: 'c2VjcmV0',
    isSecret: true,
  }),
  zone: setting({
    form: 'text',
    value: 'name',
    schema: word.nullable(),
    standard: null,
    standardText: 'none',
    help: 'what fails together with this node: a rack, a room, a data centre',
    more: 'Changes of the voters and `mq-raft check` warn where one zone holds a majority of them: without it nothing is committed. It decides nothing else.',
    example: 'eu-1a',
  }),
  dir: setting({
    form: 'text',
    value: 'path',
    schema: z.string().min(1, 'must be a path'),
    standard: undefined,
    help: 'data directory of this replica alone',
    more: 'Made if it is not there. It holds the log and the promises of this replica; never copy it to a second node, and never give an emptied one its old name.',
    example: '/var/lib/mq-raft/n1',
  }),
  grpc: setting({
    form: 'text',
    value: 'ip:port',
    schema: listenAddress,
    standard: '127.0.0.1:8081',
    help: 'listen here for RocketMQ 5 clients',
    more: '0.0.0.0 listens on every address; then say with advertise-grpc which one clients are to use. A listening socket that systemd hands over (socket activation) is taken instead: while the process is restarted, clients wait there, and are not refused.',
    example: '0.0.0.0:8081',
  }),
  raft: setting({
    form: 'text',
    value: 'host:port',
    schema: peerAddress,
    standard: '127.0.0.1:10912',
    help: 'listen here for peers and administration',
    more: 'The other members and the command line connect to it. It needs no access from clients.',
    example: '0.0.0.0:10912',
  }),
  http: setting({
    form: 'text',
    value: 'host:port',
    schema: peerAddress,
    standard: '127.0.0.1:9910',
    help: 'listen here for health checks and metrics',
    more: '/healthz, /readyz and /metrics.',
    example: '0.0.0.0:9910',
  }),
  'advertise-grpc': setting({
    form: 'text',
    value: 'host:port',
    schema: peerAddress.nullable(),
    standard: null,
    standardText:
      'what grpc listens on; if that is every address, the host of this node in members',
    help: 'what RocketMQ 5 clients are told to connect to',
    more: 'Behind address translation or in containers this differs from what the process listens on. Clients must be able to reach it; the broker tries it itself at start and warns.',
    example: 'mq1.example.com:8081',
  }),
  'advertise-raft': setting({
    form: 'text',
    value: 'host:port',
    schema: peerAddress.nullable(),
    standard: null,
    standardText:
      'what raft listens on; if that is every address, the address of this node in members',
    help: 'what peers, name servers and the command line are told to connect to',
    more: 'A host name is resolved anew at each connection, so a machine may come back with another address.',
    example: 'mq1.internal:10912',
  }),
  'advertise-http': setting({
    form: 'text',
    value: 'host:port',
    schema: peerAddress.nullable(),
    standard: null,
    standardText:
      'what http listens on; if that is every address, the host of this node in members',
    help: 'where others find health checks and metrics',
    more: 'Shown by `mq-raft status -o json`.',
    example: 'mq1.internal:9910',
  }),
  namesrv: setting({
    form: 'list',
    value: 'host:port,...',
    schema: z
      .array(peerAddress)
      .max(NAME_SERVER_COUNT_MAX, `must name at most ${NAME_SERVER_COUNT_MAX} name servers`),
    standard: [],
    standardText: 'none',
    help: 'name servers to register with',
    more: 'Name all of them: they know nothing of each other.',
    example: '10.0.0.1:9876,10.0.0.2:9876',
  }),
  'segment-size-bytes': setting({
    form: 'number',
    value: 'bytes',
    schema: z
      .number('must be a number of bytes')
      .int('must be a whole number of bytes')
      .min(SEGMENT_SIZE_BYTES_MIN, `must be at least ${SEGMENT_SIZE_BYTES_MIN}`)
      .max(SEGMENT_SIZE_BYTES_MAX, `must be at most ${SEGMENT_SIZE_BYTES_MAX}`)
      .multipleOf(SEGMENT_HEADER_SIZE_BYTES, `must be a multiple of ${SEGMENT_HEADER_SIZE_BYTES}`),
    standard: SEGMENT_SIZE_BYTES_DEFAULT,
    help: 'size of a file of the log',
    more: 'Fixed when the directory is made, and equal on all nodes of a group. The log is deleted in whole files, so small disks want small ones.',
    example: '268435456',
  }),
  'disk-reserve-bytes': setting({
    form: 'number',
    value: 'bytes',
    schema: z
      .number('must be a number of bytes')
      .int('must be a whole number of bytes')
      .min(0, 'must not be negative')
      .max(DISK_RESERVE_BYTES_MAX, `must be at most ${DISK_RESERVE_BYTES_MAX}`)
      .nullable(),
    standard: null,
    standardText: '5 % of the disk, within bounds',
    help: 'refuse messages when less than this is free',
    more: 'The reserve is what deletions, offsets and acknowledgements still need when the disk is full.',
    example: '1073741824',
  }),
  'retention-hours': setting({
    form: 'number',
    value: 'hours',
    schema: z
      .number('must be a number of hours')
      .min(0, 'must not be negative')
      .max(RETENTION_HOURS_MAX, `must be at most ${RETENTION_HOURS_MAX}`),
    standard: RETENTION_HOURS_DEFAULT,
    help: 'keep messages this long, 0 for ever; whole segments go',
    more: 'The leader of the moment decides by its own setting: keep it equal on all nodes.',
    example: '168',
  }),
  'retention-bytes': setting({
    form: 'number',
    value: 'bytes',
    schema: z
      .number('must be a number of bytes')
      .int('must be a whole number of bytes')
      .min(0, 'must not be negative'),
    standard: 0,
    help: 'delete what is consumed when the log is larger, 0 never',
    more: 'Messages that somebody has still to consume are kept beyond it.',
    example: '107374182400',
  }),
  'member-grace-seconds': setting({
    form: 'number',
    value: 'seconds',
    schema: z
      .number('must be a number of seconds')
      .min(0, 'must not be negative')
      .max(MEMBER_GRACE_SECONDS_MAX, `must be at most ${MEMBER_GRACE_SECONDS_MAX}`),
    standard: MEMBER_GRACE_SECONDS_DEFAULT,
    help: 'keep what a silent member still has to get for so long; later it gets a snapshot',
    more: 'A member that answers is waited for without end, unless the disk is nearly full.',
    example: '7200',
  }),
  'scrub-rate-bytes': setting({
    form: 'number',
    value: 'bytes',
    schema: z
      .number('must be a number of bytes')
      .int('must be a whole number of bytes')
      .min(0, 'must not be negative')
      .max(SCRUB_RATE_BYTES_MAX, `must be at most ${SCRUB_RATE_BYTES_MAX}`),
    standard: SCRUB_RATE_BYTES_DEFAULT,
    help: 'read the log again at most so fast (per second), 0 never',
    more: 'The scrubber looks for bytes that have rotted while the other replicas still have good ones. It waits while log writes wait.',
    example: '5242880',
  }),
  'scrub-period-hours': setting({
    form: 'number',
    value: 'hours',
    schema: z
      .number('must be a number of hours')
      .min(0, 'must not be negative')
      .max(SCRUB_PERIOD_HOURS_MAX, `must be at most ${SCRUB_PERIOD_HOURS_MAX}`),
    standard: SCRUB_PERIOD_HOURS_DEFAULT,
    help: 'read all of the log at least so often, 0 never',
    more: 'The metric mqraft_scrub_late says when the rate is too low for it.',
    example: '24',
  }),
  'stop-grace-seconds': setting({
    form: 'number',
    value: 'seconds',
    schema: z
      .number('must be a number of seconds')
      .min(0, 'must not be negative')
      .max(STOP_GRACE_SECONDS_MAX, `must be at most ${STOP_GRACE_SECONDS_MAX}`)
      .nullable(),
    standard: null,
    standardText: `${STOP_GRACE_SECONDS_DEFAULT}; 0 with \`supervised\``,
    help: 'when told to stop, serve on for so long until clients have gone elsewhere',
    more: 'Leadership is handed over first, and the node leaves the routes. It ends sooner when no client uses it, and at once after `mq-raft drain` or a second signal. 0 stops at once and hands nothing over. Whoever starts the process must wait longer than this before it kills it.',
    example: '30',
  }),
  'auto-create-topics': setting({
    form: 'switch',
    value: 'true|false',
    schema: z.boolean('must be true or false'),
    standard: false,
    help: 'create a topic when it is first used',
    more: 'For development. In production a misspelt topic should be an error.',
    example: 'true',
  }),
  supervised,
  'log-level': logLevel,
} as const;

export type BrokerTable = typeof table;
export type BrokerValues = ValuesOf<BrokerTable>;

export const BROKER_SETTINGS: ServerSettings<BrokerTable> = {
  program: 'mq-raft-broker',
  description: 'One replica of one broker group.',
  variablePrefix: 'MQ_RAFT_BROKER_',
  table,
};

export interface Addresses {
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
}

/** What is wrong only when looked at together. */
export function brokerProblems(values: BrokerValues): readonly Problem[] {
  const nodeId = values['node-id'];
  const ids = values.members.map((member) => member.nodeId);
  const problems: Problem[] = [];
  if (ids.length > 0 && !ids.includes(nodeId)) {
    problems.push(problem('members', `${ids.join(', ')} do not include this node, ${nodeId}`));
  }
  for (const key of ['cluster-id', 'group-id'] as const) {
    if (ids.length === 0 || values[key] !== null) continue;
    problems.push(problem(key, 'a founder (members is given) must say it', `give ${flagOf(key)}`));
  }
  if (ids.length > 0 && values.join.length > 0) {
    const what = 'a node is a founder (members) or joins later (join), not both';
    problems.push(problem('join', what, 'leave out one of them'));
  }
  if (new Set(ids).size !== ids.length) {
    problems.push(problem('members', `an id occurs twice in ${ids.join(', ')}`));
  }
  const advertised = advertisedAddresses(values);
  for (const name of ['grpc', 'raft', 'http'] as const) {
    if (!isEveryAddress(advertised[name])) continue;
    const what = `${advertised[name]} is no address that others can connect to`;
    problems.push(problem(`advertise-${name}`, what, `give ${flagOf(`advertise-${name}`)}`));
  }
  return problems;
}

/** What others are told. */
export function advertisedAddresses(values: BrokerValues): Addresses {
  const own = values.members.find(({ nodeId }) => nodeId === values['node-id'])?.raftAddress;
  const outward = (listen: string): string =>
    isEveryAddress(listen) && own !== undefined ? `${hostOf(own)}:${portOf(listen)}` : listen;
  const raft = isEveryAddress(values.raft) && own !== undefined ? own : values.raft;
  return {
    grpc: values['advertise-grpc'] ?? outward(values.grpc),
    raft: values['advertise-raft'] ?? raft,
    http: values['advertise-http'] ?? outward(values.http),
  };
}

/** `0.0.0.0` or `::`: all addresses of this machine, and none for anybody else. */
export function isEveryAddress(address: string): boolean {
  return ['0.0.0.0', '[::]', '::', '*'].includes(hostOf(address));
}

/** Whether nobody has to be asked what it means. */
export function isLiteralAddress(address: string): boolean {
  return isLiteral(address);
}

export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

/**
 * What the group is, for this node: said by its operator (a founder), remembered from when it joined, or
 * asked of the group now (a new node with a token).
 *
 * A new node writes nothing that could vote: until the group has taken its store in, there is no
 * superblock. Its uuid is durable before the token is used, so a crash at any point is only a delay.
 */
import { FatalError } from '../base/errors.ts';
import type { AdminCallClient } from '../client/admin-client.ts';
import { BrokerCallFailure } from '../client/call-client.ts';
import type { Clock } from '../io/clock.ts';
import { type Disk, DiskError } from '../io/disk.ts';
import {
  type AdminReply,
  type JoinGrant,
  type JoinRequest,
  NO_OPTIONS,
} from '../protocol/admin.ts';
import {
  type FoundedGroup,
  type Founding,
  readFounding,
  writeFounding,
} from '../store/founding-file.ts';
import type { AskedOptions, BrokerOptions } from './broker-options.ts';
import type { Logger } from './logger.ts';

/** What of the settings decides it. */
export type AskedFounding = Pick<
  AskedOptions,
  | 'clusterId'
  | 'directory'
  | 'groupId'
  | 'join'
  | 'members'
  | 'nodeId'
  | 'segmentSizeBytes'
  | 'token'
> & { readonly advertised: Pick<AskedOptions['advertised'], 'raft'> };

export type SettledFounding = Pick<
  BrokerOptions,
  'clusterId' | 'groupId' | 'members' | 'segmentSizeBytes' | 'storeUuid'
>;

export interface FoundingTools {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** The way to a member that is asked to take the node in. */
  readonly connect: (address: string) => AdminCallClient;
  readonly mintUuid: () => string;
  readonly signal: AbortSignal;
}

/** One node's time to take us in: its leader may be in an election. */
const JOIN_CALL_MS = 10_000;
/** After all addresses were tried in vain. */
const JOIN_PAUSE_MS = 1_000;

export async function settleFounding<Asked extends AskedFounding>(
  asked: Asked,
  tools: FoundingTools,
): Promise<Asked & SettledFounding> {
  return { ...asked, ...(await settled(asked, tools)) };
}

async function settled(asked: AskedFounding, tools: FoundingTools): Promise<SettledFounding> {
  const { disk } = tools;
  const { directory, nodeId } = asked;
  const found = await readFounding(disk, directory);
  if (found !== null && found.nodeId !== nodeId) {
    throw identity(
      `${directory} is that of node ${found.nodeId}, but the configuration says ${nodeId}`,
    );
  }
  if (found !== null && found.group !== null) return joined(asked, found, found.group);
  if (asked.members.length > 0) return founder(asked, found);
  return join(asked, found, tools);
}

/** A member that joined once: what it was told then holds for ever. */
function joined(
  asked: AskedFounding,
  { storeUuid }: Founding,
  group: FoundedGroup,
): SettledFounding {
  for (const [name, own, theirs] of [
    ['cluster-id', asked.clusterId, group.clusterId],
    ['group-id', asked.groupId, group.groupId],
  ] as const) {
    if (own === null || own === theirs) continue;
    throw identity(`${asked.directory} is of ${name} ${theirs}, but the configuration says ${own}`);
  }
  if (asked.members.length > 0) {
    throw identity(
      `${asked.directory} joined its group later, but the configuration calls it a founder: leave out members`,
    );
  }
  return settledAs(group, storeUuid);
}

function founder(asked: AskedFounding, found: Founding | null): SettledFounding {
  const { clusterId, groupId, members, segmentSizeBytes } = asked;
  if (clusterId === null || groupId === null) {
    throw new FatalError(
      'badConfiguration',
      'Cannot start as a founder (members is given) without cluster-id and group-id',
    );
  }
  if (found !== null) {
    throw identity(
      `${asked.directory} was about to join a group, but the configuration founds one`,
    );
  }
  return settledAs({ clusterId, groupId, segmentSizeBytes, founders: members }, null);
}

async function join(
  asked: AskedFounding,
  found: Founding | null,
  tools: FoundingTools,
): Promise<SettledFounding> {
  const { disk, mintUuid } = tools;
  const { directory, nodeId, token } = asked;
  if (asked.join.length === 0) {
    throw new FatalError(
      'badConfiguration',
      `Cannot start: ${directory} belongs to no group yet. Give members to found one, or join and token to ` +
        'become a member of one (`mq-raft member add` prints the line)',
    );
  }
  if (token === null) {
    throw new FatalError(
      'badConfiguration',
      `Cannot join with the empty directory ${directory} and no token: a member that lost its directory has ` +
        'forgotten what it promised. Add a new node with a new id, and start it with its token',
    );
  }
  await withDisk(() => disk.makeDirectory(directory));
  const lock = await disk.lock(directory);
  try {
    await refuseUsed(disk, directory);
    const begun = found ?? { nodeId, storeUuid: mintUuid(), group: null };
    if (found === null) await withDisk(() => writeFounding(disk, directory, begun));
    const { freeBytes } = await disk.room(directory);
    const request: JoinRequest = {
      ...{ kind: 'join', token, nodeId, storeUuid: begun.storeUuid, diskFreeBytes: freeBytes },
      raftAddress: asked.advertised.raft,
      clusterId: asked.clusterId ?? '',
      groupId: asked.groupId ?? '',
    };
    const { clusterId, groupId, segmentSizeBytes, founders } = await takenIn(asked, request, tools);
    const group: FoundedGroup = { clusterId, groupId, segmentSizeBytes, founders };
    await withDisk(() => writeFounding(disk, directory, { ...begun, group }));
    tools.logger.info({ event: 'group.joined', ...group }, 'The group has taken this node in');
    return settledAs(group, begun.storeUuid);
  } finally {
    await lock.release();
  }
}

/** What has voted or acknowledged anything is no new node. */
async function refuseUsed(disk: Disk, directory: string): Promise<void> {
  const segments = await disk.list(`${directory}/data`);
  const superblock = await disk.sizeOf(`${directory}/superblock`);
  if (superblock === null && segments.length === 0) return;
  throw identity(
    `${directory} has data of a node already: a new member starts with an empty directory. If it is that of ` +
      'a founder, start it with members',
  );
}

/** Asks one member after the other, for as long as it takes. @throws FatalError when the group says no */
async function takenIn(
  { join: addresses }: AskedFounding,
  request: JoinRequest,
  tools: FoundingTools,
): Promise<JoinGrant> {
  const { clock, logger, signal } = tools;
  for (;;) {
    const problems: string[] = [];
    for (const address of addresses) {
      if (signal.aborted) return never();
      const answer = await ask(address, request, tools);
      if (typeof answer !== 'string') return answer;
      problems.push(answer);
    }
    logger.warn(
      { event: 'group.join_waits', problems },
      'Nobody could take this node in: asking again',
    );
    await pause(clock);
  }
}

/** @returns the grant, or why there was no answer that counts */
async function ask(
  address: string,
  request: JoinRequest,
  { connect, signal }: FoundingTools,
): Promise<JoinGrant | string> {
  const client = connect(address);
  const call = { remainingMs: JOIN_CALL_MS, hops: 0, stale: false, options: NO_OPTIONS, request };
  try {
    return grantOf(address, await client.call(call, signal));
  } catch (error) {
    if (!(error instanceof BrokerCallFailure)) throw error;
    return error.message;
  } finally {
    client.close();
  }
}

function grantOf(address: string, reply: AdminReply): JoinGrant | string {
  if (reply.kind === 'answer' && reply.response.kind === 'granted') return reply.response.grant;
  if (reply.kind !== 'failure') return `${address} answered something else`;
  const { code, message } = reply;
  if (code !== 'joinRefused' && code !== 'badRequest') return `${address}: ${message}`;
  throw new FatalError('joinRefused', `Cannot join the group at ${address}: ${message}`);
}

function settledAs(
  { clusterId, groupId, segmentSizeBytes, founders }: FoundedGroup,
  storeUuid: string | null,
): SettledFounding {
  return { clusterId, groupId, segmentSizeBytes, members: founders, storeUuid };
}

async function withDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new FatalError('diskFailed', error.message, { cause: error });
  }
}

function identity(sentence: string): FatalError {
  return new FatalError('identityRefused', `Cannot start: ${sentence}`);
}

/** The process is being stopped: whoever stops it ends it. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function pause(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(JOIN_PAUSE_MS, resolve);
  });
}

/**
 * What the group is, for this node: said by its operator (a founder), remembered from when it joined, or
 * asked of the group now (a new node with a token).
 *
 * A new node writes nothing that could vote: until the group has taken its store in, there is no
 * superblock. Its uuid is durable before the token is used, so a crash at any point is only a delay.
 */
import { randomUUID } from 'node:crypto';
import { FatalError } from '../base/errors.ts';
import { createAdminCallClient } from '../client/admin-client.ts';
import { BrokerCallFailure } from '../client/call-client.ts';
import type { Clock } from '../io/clock.ts';
import { type Disk, DiskError } from '../io/disk.ts';
import { NodeDisk } from '../io/node/node-disk.ts';
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

export interface FoundingTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** One node's time to take us in: its leader may be in an election. */
const JOIN_CALL_MS = 10_000;
/** After all addresses were tried in vain. */
const JOIN_PAUSE_MS = 1_000;

export async function settleFounding(
  asked: AskedOptions,
  tools: FoundingTools,
): Promise<BrokerOptions> {
  const disk = new NodeDisk();
  const { directory, nodeId } = asked;
  const found = await readFounding(disk, directory);
  if (found !== null && found.nodeId !== nodeId) {
    throw identity(
      `${directory} is that of node ${found.nodeId}, but the configuration says ${nodeId}`,
    );
  }
  if (found !== null && found.group !== null) return joined(asked, found, found.group);
  if (asked.members.length > 0) return founder(asked, found);
  return join(asked, found, disk, tools);
}

/** A member that joined once: what it was told then holds for ever. */
function joined(asked: AskedOptions, { storeUuid }: Founding, group: FoundedGroup): BrokerOptions {
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
  return optionsOf(asked, group, storeUuid);
}

function founder(asked: AskedOptions, found: Founding | null): BrokerOptions {
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
  return optionsOf(asked, { clusterId, groupId, segmentSizeBytes, founders: members }, null);
}

async function join(
  asked: AskedOptions,
  found: Founding | null,
  disk: Disk,
  tools: FoundingTools,
): Promise<BrokerOptions> {
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
    const begun = found ?? { nodeId, storeUuid: randomUUID(), group: null };
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
    return optionsOf(asked, group, begun.storeUuid);
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
  { join: addresses }: AskedOptions,
  request: JoinRequest,
  { clock, logger, signal }: FoundingTools,
): Promise<JoinGrant> {
  for (;;) {
    const problems: string[] = [];
    for (const address of addresses) {
      if (signal.aborted) return never();
      const answer = await ask(address, request, signal);
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
  signal: AbortSignal,
): Promise<JoinGrant | string> {
  const client = createAdminCallClient(address);
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

function optionsOf(
  asked: AskedOptions,
  { clusterId, groupId, segmentSizeBytes, founders }: FoundedGroup,
  storeUuid: string | null,
): BrokerOptions {
  return { ...asked, clusterId, groupId, segmentSizeBytes, members: founders, storeUuid };
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

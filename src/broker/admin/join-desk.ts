/**
 * Takes in new processes: a token for the node, used by one store, before it expires; then the store is
 * pinned in the membership, and only then the process learns what it must know to write its log. Asked
 * again by the same store it gives the same answer, so a lost answer costs nothing.
 */
import { unreachable } from '../../base/assert.ts';
import { AdminError, type JoinGrant, type JoinRequest } from '../../protocol/admin.ts';
import type { Member, Membership } from '../../raft/membership.ts';
import type { Replica } from '../../replica/replica.ts';
import type { AdminOutcome } from '../../store/derived/admin-view.ts';
import { LeadershipLost } from '../leadership-lost.ts';
import { type AdminLog, tokenHashOf } from './admin-log.ts';
import type { AdminOptions } from './admin-ports.ts';
import { isPassing } from './core-problems.ts';
import type { GroupView } from './group-view.ts';
import { ACTOR_LENGTH_MAX, DISK_ROOM_FACTOR, STORE_UUID_LENGTH_MAX } from './limits.ts';
import type { Situation } from './situation.ts';

export interface JoinDeskOptions {
  readonly replica: Replica;
  readonly founders: AdminOptions['founders'];
  readonly situation: Situation;
  readonly log: AdminLog;
}

/** Of pinning a store, when something else is under way. */
const PIN_TRIES_MAX = 5;

export class JoinDesk {
  readonly #options: JoinDeskOptions;

  constructor(options: JoinDeskOptions) {
    this.#options = options;
  }

  /**
   * @throws AdminError joinRefused
   * @throws LeadershipLost ask whoever leads now
   */
  async admit(request: JoinRequest): Promise<JoinGrant> {
    const { situation, log } = this.#options;
    situation.requireLeadership();
    const view = situation.glance();
    this.#refuseUnfit(request, view);
    const { nodeId, storeUuid, token, raftAddress } = request;
    const outcome = await log.write(
      { kind: 'useToken', nodeId, storeUuid, tokenHash: tokenHashOf(token) },
      {
        actor: nodeId.slice(0, ACTOR_LENGTH_MAX),
        action: `join ${nodeId}`,
        phase: 'token used',
        details: `store ${storeUuid}, at ${raftAddress}`,
      },
    );
    if (outcome !== 'done') throw refusal(tokenSentence(outcome, request));
    await this.#pin(request);
    return this.#grant();
  }

  #refuseUnfit(request: JoinRequest, { membership, logSizeBytes }: GroupView): void {
    const { clusterId, groupId } = this.#options.replica.status();
    const { nodeId, raftAddress, storeUuid, diskFreeBytes } = request;
    if (request.clusterId !== '' && request.clusterId !== clusterId) {
      throw refusal(
        `This group is of cluster ${clusterId}, not of ${request.clusterId}: the address or the cluster id is wrong.`,
      );
    }
    if (request.groupId !== '' && request.groupId !== groupId) {
      throw refusal(
        `This is group ${groupId}, not ${request.groupId}: the address or the group id is wrong.`,
      );
    }
    if (storeUuid === '' || storeUuid.length > STORE_UUID_LENGTH_MAX) {
      throw refusal(`A store id has 1 to ${STORE_UUID_LENGTH_MAX} characters.`);
    }
    const member = learnerOf(request, membership);
    if (member.raftAddress !== raftAddress) {
      throw refusal(
        `${nodeId} was added at ${member.raftAddress}, but the process says ${raftAddress}. Start it with ` +
          'that address, or remove the learner and add a new id at the right one.',
      );
    }
    const neededBytes = Math.ceil(logSizeBytes * DISK_ROOM_FACTOR);
    if (diskFreeBytes !== null && diskFreeBytes < neededBytes) {
      throw refusal(
        `The disk of ${nodeId} has ${diskFreeBytes} bytes free, but needs ${neededBytes}: ${DISK_ROOM_FACTOR} ` +
          `times the log of ${logSizeBytes} bytes. Give it a larger disk.`,
      );
    }
  }

  async #pin({ nodeId, storeUuid }: JoinRequest): Promise<void> {
    const { replica, situation } = this.#options;
    for (let tries = 0; tries < PIN_TRIES_MAX; tries++) {
      situation.requireLeadership();
      const { index, membership } = replica.status().membership;
      const member = membership.members.find((one) => one.nodeId === nodeId);
      if (member === undefined) throw refusal(`${nodeId} was removed while it joined.`);
      if (member.storeUuid === storeUuid) return situation.untilSettled(index);
      if (member.storeUuid !== null) throw refusal(otherStore(member, storeUuid));
      const steps = [{ kind: 'describe', member: { ...member, storeUuid } }] as const;
      const outcome = await replica.changeMembership(steps, index);
      if (outcome.kind === 'accepted') continue;
      const { problems } = outcome;
      if (problems.some(({ kind }) => kind === 'notLeader')) throw new LeadershipLost();
      const lasting = problems.find((problem) => !isPassing(problem));
      if (lasting?.kind === 'invalidStep') throw refusal(`${lasting.reason}.`);
      await situation.pause();
    }
    throw new AdminError('busy', 'The group is changing its members. Ask again in a moment.');
  }

  #grant(): JoinGrant {
    const { replica, founders, situation } = this.#options;
    const { clusterId, groupId, membership } = replica.status();
    const { segmentSizeBytes } = replica.log.identity;
    const { logSizeBytes } = situation.glance();
    const configIndex = membership.index;
    return { clusterId, groupId, segmentSizeBytes, founders, configIndex, logSizeBytes };
  }
}

function learnerOf({ nodeId, storeUuid }: JoinRequest, membership: Membership): Member {
  const { members, removed, learners } = membership;
  if (removed.includes(nodeId)) {
    throw refusal(
      `${nodeId} was removed from this group, and a node id is used only once. Add a new id.`,
    );
  }
  const member = members.find((one) => one.nodeId === nodeId);
  if (member === undefined) {
    throw refusal(`${nodeId} is not a member of this group: add it first, with its address.`);
  }
  if (member.storeUuid !== null && member.storeUuid !== storeUuid) {
    throw refusal(otherStore(member, storeUuid));
  }
  if (!learners.includes(nodeId) && member.storeUuid !== storeUuid) {
    throw refusal(
      `${nodeId} is a voter of this group: an empty directory has forgotten what it promised. Replace the ` +
        'node by a new one with a new id.',
    );
  }
  return member;
}

function otherStore({ nodeId, storeUuid: agreed }: Member, storeUuid: string): string {
  return (
    `${nodeId} has joined with store ${agreed}, and this directory is ${storeUuid}: one that was lost has ` +
    'forgotten what it promised. Remove the node, and add a new one with a new id.'
  );
}

function tokenSentence(outcome: Exclude<AdminOutcome, 'done'>, { nodeId }: JoinRequest): string {
  const again = `A new token is printed by \`mq-raft add ${nodeId}\`.`;
  switch (outcome) {
    case 'noToken':
      return `The token is not that of ${nodeId}, or a newer one has taken its place. ${again}`;
    case 'tokenExpired':
      return `The token of ${nodeId} has expired. ${again}`;
    case 'tokenUsed':
      return `The token of ${nodeId} was used by another directory, and works once. ${again}`;
    case 'storeRetired':
      return 'This directory belonged to a node that was removed: wipe it, and use a new id.';
    case 'lockHeld':
    case 'lockLost':
    case 'levelLower':
      return `It was not taken in: ${outcome}.`;
    default:
      return unreachable(outcome);
  }
}

function refusal(sentence: string): AdminError {
  return new AdminError('joinRefused', sentence);
}

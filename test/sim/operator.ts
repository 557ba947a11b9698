/** What an operator's command means for the membership that the asked node goes by. */
import { advance, LogIndex } from '../../src/base/units.ts';
import { isMember, type Member, type MembershipStep } from '../../src/raft/membership.ts';
import type { ChangeOp, TransferOp } from './client-script.ts';
import { introduce } from './identity.ts';
import type { SimNode } from './node.ts';

const PRIORITY_COUNT = 3;

export class Operator {
  readonly #nodes: readonly SimNode[];
  /** The membership index of the last status that an operator looked at. */
  #lastSeenIndex = LogIndex(0);

  constructor(nodes: readonly SimNode[]) {
    this.#nodes = nodes;
  }

  transfer({ pick }: TransferOp, asked: SimNode): void {
    const { members } = asked.membership.membership;
    // Sometimes a stranger: nodes that are no voters must be refused.
    const isWrong = pick % 10 === 0;
    const ids = isWrong ? this.#nodes.map(({ id }) => id) : members.map(({ nodeId }) => nodeId);
    const to = ids[(pick >>> 4) % Math.max(1, ids.length)];
    if (to !== undefined) asked.transfer(to);
  }

  /** A command that could mean nobody is not given. */
  change(op: ChangeOp, asked: SimNode): void {
    const steps = this.#stepsOf(op, asked);
    if (steps === null) return;
    asked.changeMembership(steps, this.#belief(op, asked));
    const { membership } = asked.membership;
    for (const step of steps) {
      if (step.kind !== 'addLearner' || !isMember(membership, step.member.nodeId)) continue;
      const joining = this.#nodes.find(({ id }) => id === step.member.nodeId);
      if (joining !== undefined) introduce(asked, joining);
    }
  }

  #belief({ belief, pick }: ChangeOp, asked: SimNode): LogIndex {
    const current = asked.membership.index;
    switch (belief) {
      case 'stale': {
        const stale = LogIndex(Math.max(0, current - 1 - (pick % 3)));
        return current === 0 ? advance(current, 1) : stale;
      }
      case 'asTheOneBefore':
        return this.#lastSeenIndex;
      case 'current':
        this.#lastSeenIndex = current;
        return current;
    }
  }

  #stepsOf({ plan, pick }: ChangeOp, asked: SimNode): readonly MembershipStep[] | null {
    const { membership } = asked.membership;
    const { learners, voters, members, removed } = membership;
    const strangers = this.#nodes.filter(({ id }) => !isMember(membership, id));
    const spares = strangers.filter(({ id, hasLostMemory }) => {
      return !removed.includes(id) && !hasLostMemory;
    });
    const one = <T>(items: readonly T[]): T | undefined => items[pick % Math.max(1, items.length)];
    switch (plan) {
      case 'addLearner':
        return adding(one(spares));
      case 'promote':
        return naming('promote', one(learners));
      case 'remove':
        return naming('remove', one(this.#lost(members)) ?? one(members)?.nodeId);
      case 'replace': {
        const joins = one(learners);
        const leaves = one(this.#lost(members)) ?? one(voters);
        if (joins === undefined || leaves === undefined) return adding(one(spares));
        if (joins === leaves) return naming('promote', joins);
        return [
          { kind: 'promote', nodeId: joins },
          { kind: 'remove', nodeId: leaves },
        ];
      }
      case 'describe':
        return describing(one(members), { priority: (pick >>> 8) % PRIORITY_COUNT });
      case 'pin':
        return this.#pinning(one(members.filter(({ storeUuid }) => storeUuid === null)));
      case 'reAdd':
        return adding(this.#nodes.find(({ id }) => id === one(removed)));
      case 'promoteStranger':
        return naming('promote', one(strangers)?.id);
      case 'removeStranger':
        return naming('remove', one(strangers)?.id);
      case 'removeMost': {
        const most = voters.slice(0, Math.floor(voters.length / 2) + 1);
        return most.map((nodeId) => ({ kind: 'remove', nodeId }));
      }
      case 'promoteAtOnce': {
        const spare = one(spares);
        if (spare === undefined) return null;
        return [...adding(spare)!, { kind: 'promote', nodeId: spare.id }]; // a spare is given
      }
    }
  }

  /** Members whose directory is gone: they are what an operator replaces first. */
  #lost(members: readonly Member[]): readonly Member['nodeId'][] {
    return this.#nodes
      .filter(({ id, hasLostMemory }) => hasLostMemory && members.some((m) => m.nodeId === id))
      .map(({ id }) => id);
  }

  #pinning(member: Member | undefined): readonly MembershipStep[] | null {
    const node = this.#nodes.find(({ id }) => id === member?.nodeId);
    if (node === undefined || node.hasLostMemory) return null;
    return describing(member, { storeUuid: node.storeUuid });
  }
}

function adding(node: SimNode | undefined): readonly MembershipStep[] | null {
  if (node === undefined) return null;
  const { id, storeUuid } = node;
  const member = { nodeId: id, storeUuid, raftAddress: addressOf(id), priority: 0 };
  return [{ kind: 'addLearner', member }];
}

function naming(
  kind: 'promote' | 'remove',
  nodeId: Member['nodeId'] | undefined,
): readonly MembershipStep[] | null {
  return nodeId === undefined ? null : [{ kind, nodeId }];
}

function describing(
  member: Member | undefined,
  change: Partial<Member>,
): readonly MembershipStep[] | null {
  return member === undefined ? null : [{ kind: 'describe', member: { ...member, ...change } }];
}

export function addressOf(id: string): string {
  return `${id}:10912`;
}

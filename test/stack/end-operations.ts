/**
 * When all is well again: what was not ended is typed again until it ends, and whatever has become of the group,
 * one more node can come into it.
 */
import { NodeId } from '../../src/base/units.ts';
import { actionOf } from '../../src/broker/admin/wish.ts';
import type { AdminChange, AdminReply, ChangeOptions } from '../../src/protocol/admin.ts';
import { ALLOWANCES } from '../../src/protocol/admin-plan.ts';
import type { GroupWatch } from './group-watch.ts';
import type { Operators, Session } from './operators.ts';
import { addressOf } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

const END_MS = 60_000;
/** A node that is waited for may never come: then its operator gives up. */
const PATIENCE_MS = 20_000;
const ASK_MS = 15_000;
const AGAIN_MS = 300;
/** No script uses it. */
const SPARE = NodeId('n90');

export async function endOperations(
  world: StackWorld,
  group: GroupWatch,
  operators: Operators,
): Promise<void> {
  for (const session of operators.unfinished) {
    const last = await untilEnded(world, operators, session, PATIENCE_MS);
    if (session.outcome === 'ended' || world.observer.isBroken) continue;
    if (!isWaiting(last)) {
      accuse(world, session, last);
      return;
    }
    const { actor } = session.options;
    await mustEnd(world, operators, operators.session({ kind: 'unlock' }, { actor, steal: true }));
  }
  await growByOne(world, group, operators);
}

async function growByOne(world: StackWorld, group: GroupWatch, operators: Operators) {
  const { voters } = group.ledger.current.membership;
  const lost = voters.find((id) => world.nodeOf(id)?.isLost !== false) ?? null;
  const raftAddress = addressOf(SPARE);
  await command(world, operators, { kind: 'add', nodeId: SPARE, raftAddress });
  operators.hurry();
  const change: AdminChange =
    lost === null
      ? { kind: 'promote', nodeIds: [SPARE] }
      : { kind: 'replace', oldNodeId: lost, newNodeId: SPARE, raftAddress };
  await command(world, operators, change);
  if (world.observer.isBroken) return;
  const after = group.ledger.current.membership.voters;
  if (after.includes(SPARE)) return;
  world.observer.violation('L3', `${SPARE} does not get a vote: the voters are ${after}`);
}

/** Until it is done: what speaks against it must pass. */
async function command(world: StackWorld, operators: Operators, change: AdminChange) {
  const untilMs = world.clock.monotonicMs() + END_MS;
  let last: AdminReply | null = null;
  while (world.clock.monotonicMs() < untilMs && !world.observer.isBroken) {
    const session = operators.session(change, { actor: 'zoe', steal: true, allow: ALLOWANCES });
    last = await untilEnded(world, operators, session, END_MS);
    const isDone = last?.kind === 'answer' && last.response.kind === 'changed';
    if (isDone && session.outcome === 'ended') return;
    operators.hurry();
    await world.until(() => false, AGAIN_MS);
  }
  if (world.observer.isBroken) return;
  world.observer.violation('L3', `${actionOf(change)} is not done: ${textOf(last)}`);
}

async function mustEnd(world: StackWorld, operators: Operators, session: Session) {
  const last = await untilEnded(world, operators, session, END_MS);
  if (session.outcome !== 'ended' && !world.observer.isBroken) accuse(world, session, last);
}

/** @returns the last answer; a node that has just ended, or stands apart, gives none */
async function untilEnded(
  world: StackWorld,
  operators: Operators,
  session: Session,
  forMs: number,
): Promise<AdminReply | null> {
  const untilMs = world.clock.monotonicMs() + forMs;
  let last: AdminReply | null = null;
  while (session.outcome === 'open' && world.clock.monotonicMs() < untilMs) {
    if (world.observer.isBroken) return last;
    const reply = await world.await(operators.ask(session), ASK_MS);
    if (reply?.kind === 'answer') last = reply;
    operators.hurry();
    await world.until(() => false, AGAIN_MS);
  }
  return last;
}

function isWaiting(reply: AdminReply | null): boolean {
  if (reply?.kind !== 'answer' || reply.response.kind !== 'changed') return false;
  return reply.response.state === 'pending';
}

function accuse(world: StackWorld, { change, options }: Session, last: AdminReply | null): void {
  const who: ChangeOptions['actor'] = options.actor;
  world.observer.violation('L3', `"${actionOf(change)}" of ${who} does not end: ${textOf(last)}`);
}

function textOf(reply: AdminReply | null): string {
  return JSON.stringify(reply)?.slice(0, 2_000) ?? 'no answer';
}

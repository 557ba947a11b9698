/** A schedule in lines that people can read. */
import { unreachable } from '../../../src/base/assert.ts';
import type { EntryId } from '../../../src/raft/entry.ts';
import type { Membership } from '../../../src/raft/membership.ts';
import type { Message } from '../../../src/raft/messages.ts';
import { choiceOf, nameOf } from './choice.ts';
import type { Place } from './group.ts';
import type { Operation, ShortLog } from './local-action.ts';
import type { State, World } from './world.ts';

/** One choice, in the state in which it is made. */
export function describe(world: World, state: State, code: number): string {
  const choice = choiceOf(code);
  switch (choice.kind) {
    case 'deliver':
    case 'lose':
    case 'repeat': {
      const position = choice.kind === 'deliver' ? choice.position : 0;
      const id = world.queue(state, choice.from, choice.to)[position];
      const what = id === undefined ? 'nothing' : describeMessage(world.messages.get(id));
      const verbs = { deliver: '', lose: 'lost: ', repeat: 'and stays on the wire: ' };
      const verb = position > 0 ? 'overtaking: ' : verbs[choice.kind];
      return `${verb}${nameOf(choice.from)} -> ${nameOf(choice.to)} ${what}`;
    }
    case 'persist':
      return `${nameOf(choice.at)} finishes a write`;
    case 'crash': {
      const inbox = choice.losesInbox ? ', messages to it are lost' : '';
      return `${nameOf(choice.at)} crashes with ${choice.keptParts} parts kept${inbox}, and restarts`;
    }
    case 'fire':
      return `${nameOf(choice.at)} waits no longer for a leader`;
    case 'beat':
      return `${nameOf(choice.at)} sends heartbeats`;
    case 'expire':
      return `${nameOf(choice.at)} hears nobody for long`;
    case 'operate':
      return `${nameOf(choice.at)} is asked: ${describeOperation(world.operation(choice.operation))}`;
    default:
      return unreachable(choice);
  }
}

export function describeNode(world: World, state: State, place: Place): string {
  const { role, term, commitIndex, log, durable, memberships } = world.facts(state, place);
  const membership = memberships.at(-1)?.membership;
  const group = membership === undefined ? '-' : describeMembership(membership);
  const logs = `log=${describeLog(log)} disk=${describeLog(durable)}`;
  return `${nameOf(place)} ${role} term=${term} commit=${commitIndex} ${logs} voters=${group}`;
}

export function describeMembership({ voters, outgoing }: Membership): string {
  return outgoing.length === 0 ? voters.join('+') : `${voters.join('+')}|${outgoing.join('+')}`;
}

function describeLog({ base, terms }: ShortLog): string {
  const start = base.index === 0 ? '' : `${describeId(base)}...`;
  return `[${start}${terms.join(' ')}]`;
}

function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'transfer':
      return `transfer to ${operation.to}`;
    case 'change': {
      const steps = operation.steps.map((step) => {
        return `${step.kind} ${'nodeId' in step ? step.nodeId : step.member.nodeId}`;
      });
      return steps.join(', ');
    }
    case 'propose':
    case 'read':
    case 'compact':
      return operation.kind;
    default:
      return unreachable(operation);
  }
}

function describeMessage(message: Message): string {
  const head = `${message.kind} term=${message.term}`;
  switch (message.kind) {
    case 'preVoteRequest':
    case 'voteRequest':
      return `${head} last=${describeId(message.last)}`;
    case 'preVoteReply':
    case 'voteReply':
      return `${head} ${message.granted ? 'granted' : 'refused'}`;
    case 'appendRequest': {
      const terms = message.entries.map(({ term }) => term).join(' ');
      const commit = `commit=${message.commitIndex}`;
      return `${head} prev=${describeId(message.prev)} entries=[${terms}] ${commit}`;
    }
    case 'appendAccepted':
      return `${head} match=${message.matchIndex}`;
    case 'appendRejected':
      return `${head} rejected=${describeId(message.rejected)} hint=${describeId(message.hint)}`;
    case 'installSnapshot':
      return `${head} up to ${describeId(message.snapshot.last)}`;
    case 'heartbeat':
      return `${head} round=${message.round} commit=${message.commitIndex}`;
    case 'heartbeatReply':
      return `${head} round=${message.round} last=${message.lastIndex} durable=${message.durableIndex}`;
    case 'campaignNow':
      return head;
    default:
      return unreachable(message);
  }
}

function describeId({ index, term }: EntryId): string {
  return `${index}/${term}`;
}

/** L5, L8 and L9: what a leader may have open, how long it may lead in vain, and whom it hands over to. */
import type { NodeId } from '../../../src/base/units.ts';
import type { CoreConfig, CoreStatus } from '../../../src/raft/core-types.ts';
import type { AlarmId } from '../../../src/raft/effects.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc } from '../../../src/raft/entry.ts';
import { envelopesOf } from './conduct.ts';
import type { LogBook, NodeLog } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import { isDecided } from './quorums.ts';
import type { Judge } from './violation.ts';

export type CheckedLimits = Pick<
  CoreConfig,
  | 'segmentSizeBytes'
  | 'electionTimeoutTicksMax'
  | 'progressTimeoutTicks'
  | 'appendSizeBytesMax'
  | 'inflightSizeBytesMax'
  | 'uncommittedSizeBytesMax'
  | 'handoverLagBytesMax'
>;

/** L5: no message, no window and no set of open proposals is larger than its bound. */
export function boundsChecker(judge: Judge, book: LogBook, limits: CheckedLimits): Checker {
  return {
    stepped({ node, input, effects, before, after }: Step): void {
      for (const { to, message } of effects.flatMap(envelopesOf)) {
        if (message.kind !== 'appendRequest' || message.entries.length <= 1) continue;
        const size = carriedSizeBytes(message.entries);
        judge.require(size <= limits.appendSizeBytesMax, 'L5', () => {
          return `${node.id} sends ${size} bytes to ${to} in one message`;
        });
      }
      // Windows fill when something is proposed: looking then is enough.
      if (after.role !== 'leader' || input.kind !== 'propose') return;
      const log = book.of(node);
      for (const { nodeId, state, matchIndex, nextIndex } of after.peers) {
        if (state !== 'replicating') continue;
        const sent = entriesBetween(log, matchIndex + 1, nextIndex);
        const size = carriedSizeBytes(sent);
        const isBounded = size <= limits.inflightSizeBytesMax || sent.length <= 1;
        judge.require(
          isBounded,
          'L5',
          () => `${node.id} has ${size} bytes on the way to ${nodeId}`,
        );
      }
      const firstOpen = Math.min(after.commitIndex, after.durableIndex) + 1;
      const open = entriesBetween(log, firstOpen, after.lastIndex + 1).filter(isProposed);
      const openBefore = open.filter(({ index }) => index <= before.lastIndex);
      if (open.length === openBefore.length) return;
      // The room is asked for each proposal; an empty window takes one of any size.
      const size = open.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const isBounded = size <= limits.uncommittedSizeBytesMax || open.length === 1;
      judge.require(isBounded, 'L5', () => {
        return `${node.id} accepts a proposal and has ${size} bytes without an outcome`;
      });
    },
  };
}

function isProposed({ type }: EntryDesc): boolean {
  return type === 'data';
}

/** A filler travels as its header. */
function carriedSizeBytes(entries: readonly EntryDesc[]): number {
  return entries.reduce((sum, { type, sizeBytes }) => {
    return sum + (type === 'filler' ? ENTRY_HEADER_SIZE_BYTES : sizeBytes);
  }, 0);
}

function entriesBetween(log: NodeLog, from: number, end: number): EntryDesc[] {
  const entries: EntryDesc[] = [];
  for (let index = from; index < end; index++) {
    const entry = log.entryAt(index);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** A limit is met at a tick, and the tick before it may have been counted differently. */
const GRACE_TICKS = 2;

interface Reign {
  readonly term: number;
  ticks: number;
  readonly heardAt: Map<NodeId, number>;
  /** By member, ourselves included: what it had, and when that last changed. */
  readonly progress: Map<NodeId, { seen: string; at: number }>;
}

/**
 * L8: a leader that no majority answers, or of whose majority nobody gets on with the log, or whose
 * disk is stalled, does not go on leading. Counted in the ticks that it was given (H11, H26).
 */
export function leaderProgressChecker(judge: Judge, book: LogBook, limits: CheckedLimits): Checker {
  const reigns = new Map<NodeView, Reign>();
  const stalled = new Set<NodeView>();

  function reignOf(node: NodeView, { term }: CoreStatus): Reign {
    const known = reigns.get(node);
    if (known !== undefined && known.term === term) return known;
    const fresh = { term, ticks: 0, heardAt: new Map(), progress: new Map() };
    reigns.set(node, fresh);
    return fresh;
  }

  function look({ progress, ticks }: Reign, id: NodeId, seen: string, isFine: boolean): void {
    const known = progress.get(id);
    if (known === undefined) progress.set(id, { seen, at: ticks });
    else if (isFine || known.seen !== seen) Object.assign(known, { seen, at: ticks });
  }

  function requireProgress(node: NodeView, reign: Reign, after: CoreStatus): void {
    const { ticks, heardAt, progress } = reign;
    const { lastIndex, durableIndex, peers } = after;
    look(reign, node.id, `${durableIndex}`, durableIndex === lastIndex);
    for (const { nodeId, matchIndex, nextIndex, state } of peers) {
      const isFine = matchIndex === lastIndex || state === 'snapshot';
      look(reign, nodeId, `${state} ${matchIndex} ${nextIndex}`, isFine);
    }
    const { membership } = book.of(node).membership;
    const isMoving = (id: NodeId) => {
      const at = progress.get(id)?.at ?? ticks;
      return ticks - at <= limits.progressTimeoutTicks + GRACE_TICKS;
    };
    judge.require(isDecided(membership, isMoving), 'L8', () => {
      return `${node.id} leads for ${limits.progressTimeoutTicks} ticks a majority that stands still`;
    });
    const isHeard = (id: NodeId) => {
      if (id === node.id) return true;
      const at = heardAt.get(id) ?? ticks; // a member that was just added
      heardAt.set(id, at);
      return ticks - at <= limits.electionTimeoutTicksMax + GRACE_TICKS;
    };
    judge.require(isDecided(membership, isHeard), 'L8', () => {
      return `${node.id} leads and has heard no majority for ${limits.electionTimeoutTicksMax} ticks`;
    });
  }

  return {
    started(node: NodeView): void {
      reigns.delete(node);
      stalled.delete(node);
    },
    alarmed(node: NodeView, id: AlarmId): void {
      // What was known of a peer is void, and to find it out anew is progress, also when it comes to
      // the same: old reports that arrive for long enough look like a lost log.
      if (id === 'followerLostLog') reigns.get(node)?.progress.clear();
    },
    stepped({ node, input, after }: Step): void {
      if (input.kind === 'diskHealth') {
        if (input.isStalled) stalled.add(node);
        else stalled.delete(node);
      }
      if (after.role !== 'leader') {
        reigns.delete(node);
        return;
      }
      judge.require(!stalled.has(node), 'L8', () => `${node.id} leads with a stalled disk`);
      const reign = reignOf(node, after);
      if (input.kind === 'receive') reign.heardAt.set(input.from, reign.ticks);
      if (input.kind !== 'tick') return;
      reign.ticks++;
      requireProgress(node, reign, after);
    },
  };
}

/** L9: leadership is handed to a voter that is close behind and can write, and to nobody else. */
export function handOverChecker(judge: Judge, book: LogBook, limits: CheckedLimits): Checker {
  /** By leader: what its peers last said of their disks. */
  const stalledPeers = new Map<NodeView, Set<NodeId>>();

  function requireFit({ node, after }: Step, to: NodeId): void {
    const log = book.of(node);
    const { index, membership } = log.membership;
    judge.require(membership.voters.includes(to), 'L9', () => {
      return `${node.id} hands over to ${to}, no voter by the entry ${index}`;
    });
    const matchIndex = after.peers.find(({ nodeId }) => nodeId === to)?.matchIndex ?? 0;
    const lagBytes = log.endOffsetAt(log.lastIndex) - log.endOffsetAt(matchIndex);
    const isClose = matchIndex >= log.base.last.index && lagBytes <= limits.handoverLagBytesMax;
    judge.require(isClose, 'L9', () => `${node.id} hands over to ${to}, ${lagBytes} bytes behind`);
    judge.require(stalledPeers.get(node)?.has(to) !== true, 'L9', () => {
      return `${node.id} hands over to ${to}, whose disk is stalled`;
    });
  }

  return {
    stepped(step: Step): void {
      const { node, input, before, after } = step;
      if (after.role !== 'leader') {
        stalledPeers.delete(node);
        return;
      }
      if (input.kind === 'receive' && input.message.kind === 'heartbeatReply') {
        const stalled = stalledPeers.get(node) ?? new Set();
        stalledPeers.set(node, stalled);
        if (input.message.isDiskStalled) stalled.add(input.from);
        else stalled.delete(input.from);
      }
      const to = after.transferTo;
      if (to !== null && to !== before.transferTo) requireFit(step, to);
    },
  };
}

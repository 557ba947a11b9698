/**
 * Watches a group whose members change: what is decided, by whom, with whose votes and on whose disks. What is
 * true of a node is read from its process and its disk, not from what others believe of it.
 */
import type { FatalReason } from '../../src/base/errors.ts';
import type { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import type { AdminCall, AdminReply, JoinRequest } from '../../src/protocol/admin.ts';
import { decodeMembership } from '../../src/protocol/membership-codec.ts';
import type { AlarmId } from '../../src/raft/effects.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import { isMember, type Membership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import { holdsMajority, majorityOf } from '../../src/raft/quorum.ts';
import type { RefusalCode } from '../../src/replica/handshake.ts';
import type { ReplicaStatus } from '../../src/replica/replica.ts';
import type { StoredEntry } from '../../src/store/commit-log.ts';
import type { CommittedEntry } from '../../src/store/derived/derived-state.ts';
import { GroupLedger } from './group-ledger.ts';
import { addressOf, type StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

/**
 * Longer than any leader takes to notice a death, to ask all members and to write down who leaves: within it a
 * decision may still have counted on the dead.
 */
const KNOWN_DEAD_MS = 5_000;
/** Derived state keeps at least so many. */
const TRAIL_LINES_SURE = 500;

export class GroupWatch {
  readonly #world: StackWorld;
  readonly ledger: GroupLedger;
  /** Who has voted for whom, by term and candidate. */
  /** The store that each token has let in. */
  readonly #granted = new Map<string, string>();
  readonly #votes = new Map<string, Set<NodeId>>();
  #durableIndex = 0;

  constructor(world: StackWorld) {
    this.#world = world;
    const founders = world.founderIds.map((id) => ({ nodeId: id, raftAddress: addressOf(id) }));
    const { observer } = world;
    this.ledger = new GroupLedger(founders, (check, sentence) =>
      observer.violation(check, sentence),
    );
  }

  /** Of the group, and with a log: who was added and never came is no loss. */
  isMember(node: StackNode): boolean {
    const { membership } = this.ledger.current;
    if (!isMember(membership, node.nodeId)) return false;
    return !membership.learners.includes(node.nodeId) || node.lastLog !== null || hasLog(node);
  }

  onApplied(node: StackNode, entry: CommittedEntry): void {
    this.ledger.onEntry(entry);
    if (entry.index > this.#durableIndex) this.#checkCopies(node, entry.index);
  }

  onSend(from: StackNode, to: NodeId, message: Message): void {
    if (from.standing.kind !== 'member') return;
    this.#checkGrant(from, to, message);
    if (message.kind === 'voteReply' && message.granted) this.#vote(message.term, to, from.nodeId);
    if (message.kind === 'voteRequest') this.#vote(message.term, from.nodeId, from.nodeId);
  }

  onLeader({ nodeId }: StackNode, { term, membership }: ReplicaStatus): void {
    const { observer } = this.#world;
    const votes = this.#votes.get(`${term} ${nodeId}`) ?? new Set();
    observer.checkCount++;
    const sets = decidingSets(membership.membership);
    if (holdsMajority(sets, (id) => id === nodeId || votes.has(id))) return;
    const sentence = `${nodeId} leads in ${term} with the votes of ${[...votes]}, under #${membership.index}`;
    observer.violation('M7', sentence);
  }

  /** A leader decides when it writes: other nodes only copy. */
  onPersist(node: StackNode, entries: readonly StoredEntry[]): void {
    const status = node.running?.replica?.status();
    if (status === undefined || status.role !== 'leader') return;
    for (const { desc, bytes } of entries) {
      if (desc.type !== 'config' || desc.term !== status.term) continue;
      const from = ENTRY_HEADER_SIZE_BYTES;
      const decoded = decodeMembership(bytes.subarray(from, from + desc.payloadSizeBytes));
      if (decoded.kind === 'membership') this.#checkLive(node, desc.index, decoded.membership);
    }
  }

  /** Two stores never come in with one token, nor one that was here before. */
  onCall({ request }: AdminCall): (reply: AdminReply) => void {
    if (request.kind !== 'join') return () => {};
    // Whoever is removed while he is let in was let in.
    const wasGone = this.ledger.goneStores.has(request.storeUuid);
    return (reply) => {
      if (reply.kind !== 'answer' || reply.response.kind !== 'granted') return;
      this.#onGranted(request, wasGone);
    };
  }

  #onGranted({ token, storeUuid, nodeId }: JoinRequest, wasGone: boolean): void {
    const { observer } = this.#world;
    observer.checkCount++;
    const first = this.#granted.get(token) ?? storeUuid;
    this.#granted.set(token, first);
    if (first !== storeUuid) {
      observer.violation(
        'M3',
        `${nodeId} is let in as ${first} and as ${storeUuid} with one token`,
      );
    }
    if (!wasGone) return;
    observer.violation('M3', `${nodeId} is let in with ${storeUuid}, of a node that was removed`);
  }

  mayEnd(node: StackNode, reason: FatalReason): boolean {
    const { nodeId } = node;
    const isRemoved = this.ledger.removed.includes(nodeId);
    const isWrong = node.standing.kind === 'impostor';
    switch (reason) {
      case 'removedFromGroup':
        return isRemoved;
      case 'refusedByGroup':
        return isRemoved || isWrong;
      case 'joinRefused':
        // A newer token, another node's address, a removal meanwhile: its operator reads why.
        return !hasLog(node);
      case 'badConfiguration':
      case 'identityRefused':
        return isWrong;
      default:
        return false;
    }
  }

  mayRefuse(by: NodeId, code: RefusalCode, sentence: string): boolean {
    const peer = /\bNode (n\d+)/.exec(sentence)?.[1];
    const own = this.#world.nodeOf(by)?.running?.replica?.status().membership.membership;
    // In force is what is appended: a joint phase that is committed ends in any case.
    const removed = [...this.ledger.removed, ...(own?.removed ?? [])];
    if (code === 'removedNode') return removed.some((id) => id === peer);
    // What has not come here yet, or never will: a change that was cut off with its leader.
    if (code === 'strangerNode') return own?.members.every(({ nodeId }) => nodeId !== peer) ?? true;
    return false;
  }

  /** Who is behind in the memberships hears members that it does not know. */
  mayAlarm(id: AlarmId): boolean {
    return id === 'strangerMessage';
  }

  /** Memberships that somebody believes in, or will when it starts. */
  get believed(): readonly Membership[] {
    const inForce = this.#world.nodes.flatMap(({ running, isLost }) => {
      const status = isLost ? undefined : running?.replica?.status();
      return status === undefined ? [] : [status.membership.membership];
    });
    return [this.ledger.current.membership, ...inForce];
  }

  /** Whatever anybody believes, a majority is left without it: of those that are not lost, or that run. */
  canSpare(node: StackNode, counts: 'sound' | 'running'): boolean {
    const { nodes } = this.#world;
    const isHere = (id: NodeId): boolean =>
      nodes.some((other) => {
        if (other.nodeId !== id || other === node || other.isLost) return false;
        return counts === 'sound' || other.running !== null;
      });
    const { membership } = this.ledger.current;
    if (!isMember(membership, node.nodeId)) return false;
    return this.believed.every((each) => holdsMajority(decidingSets(each), isHere));
  }

  /**
   * Removed, and runs as if it were not, although those who decide by its own belief are there to tell it. Whoever
   * was away until all that it knows had left as well can hear it of nobody.
   */
  get unawareNodes(): readonly StackNode[] {
    const { removed } = this.ledger;
    return this.#world.nodes.filter((node) => {
      const status = node.running?.replica?.status();
      if (status === undefined || !removed.includes(node.nodeId)) return false;
      const { voters, outgoing } = status.membership.membership;
      const others = [...new Set([...voters, ...outgoing])].filter((id) => id !== node.nodeId);
      const known = others.filter((id) => this.#world.nodeOf(id)?.running?.replica != null);
      return known.length >= majorityOf(others.length);
    });
  }

  /** The trail of a member says what the log says. */
  checkTrail({ nodeId, running }: StackNode): void {
    const { observer } = this.#world;
    const events = running?.state?.admin.eventsAfter(0, Number.MAX_SAFE_INTEGER) ?? [];
    const lines = this.ledger.lines.slice(-events.length);
    observer.checkCount += events.length;
    const text = (line: {
      readonly actor: string;
      readonly action: string;
      readonly phase: string;
    }) => `${line.actor}: ${line.action} ${line.phase}`;
    const at = events.findIndex((event, i) => {
      const line = lines[i];
      return line === undefined || line.index !== event.logIndex || text(line) !== text(event);
    });
    const isShort = events.length < Math.min(TRAIL_LINES_SURE, this.ledger.lines.length);
    if (at === -1 && !isShort) return;
    const both = JSON.stringify([events[at], lines[at], events.length, this.ledger.lines.length]);
    observer.violation('M5', `the trail of ${nodeId} differs: ${both}`);
  }

  /** Whoever knows that a node was removed helps it no more to lead. */
  #checkGrant(from: StackNode, to: NodeId, message: Message): void {
    if (message.kind !== 'voteReply' && message.kind !== 'preVoteReply') return;
    const status = from.running?.replica?.status();
    if (!message.granted || status === undefined || !status.isMembershipCommitted) return;
    this.#world.observer.checkCount++;
    if (!status.membership.membership.removed.includes(to)) return;
    const sentence = `${from.nodeId} grants ${message.kind} to ${to}, a removed node`;
    this.#world.observer.violation('M3', sentence);
  }

  #vote(term: Term, candidate: NodeId, voter: NodeId): void {
    const key = `${term} ${candidate}`;
    const votes = this.#votes.get(key) ?? new Set();
    this.#votes.set(key, votes.add(voter));
  }

  /** I7: counted on the disks, under any membership by which a leader may have counted. */
  #checkCopies(node: StackNode, index: LogIndex): void {
    const { observer } = this.#world;
    this.#durableIndex = index;
    const headerCrc = node.running?.log?.headerCrcAt(index) ?? null;
    if (headerCrc === null) return;
    const has = (id: NodeId): boolean => {
      const other = this.#world.nodeOf(id);
      const log = other?.isLost === true ? other.lastLog : (other?.running?.log ?? other?.lastLog);
      if (log == null || log.durable.last.index < index) return false;
      const theirs = log.headerCrcAt(index);
      return theirs === null || theirs === headerCrc;
    };
    observer.checkCount++;
    const counted = [this.ledger.configAt(index).membership, ...this.believed];
    if (counted.some((each) => holdsMajority(decidingSets(each), has))) return;
    const holders = this.#world.nodeIds.filter(has);
    observer.violation('I7', `${node.nodeId} applied entry ${index}, which ${holders} have`);
  }

  /** M6: by a count of its own, in which who joins is down. */
  #checkLive(node: StackNode, index: LogIndex, membership: Membership): void {
    const { observer } = this.#world;
    const { voters, outgoing } = membership;
    if (outgoing.length === 0) return;
    const joins = voters.filter((id) => !outgoing.includes(id));
    const isFirstGrowth = outgoing.length === 1 && outgoing.every((id) => voters.includes(id));
    const counts = (id: NodeId): boolean =>
      joins.includes(id) ? isFirstGrowth : !this.#isKnownDead(id);
    observer.checkCount++;
    const live = voters.filter(counts);
    if (live.length >= majorityOf(voters.length)) return;
    const sentence = `${node.nodeId} decides at ${index} for ${voters}, of which at most ${live} live`;
    observer.violation('M6', sentence);
  }

  #isKnownDead(nodeId: NodeId): boolean {
    const node = this.#world.nodeOf(nodeId);
    if (node === null || node.isLost) return true;
    const { downSinceMs } = node;
    return downSinceMs !== null && this.#world.clock.monotonicMs() - downSinceMs > KNOWN_DEAD_MS;
  }
}

export function decidingSets({ voters, outgoing }: Membership): readonly (readonly NodeId[])[] {
  return outgoing.length === 0 ? [voters] : [voters, outgoing];
}

function hasLog({ running }: StackNode): boolean {
  return running?.log != null;
}

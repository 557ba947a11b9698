/**
 * What the log says of the group, told by a model of its own: memberships one after the other, the lock, tokens
 * and the trail. It knows nothing of how production decides; it only knows what must never be in a log.
 */
import type { LogIndex, NodeId } from '../../src/base/units.ts';
import type { AdminCommand, AdminDeed, AuditLine } from '../../src/protocol/admin-command.ts';
import { decodeMembership } from '../../src/protocol/membership-codec.ts';
import { recordsOf } from '../../src/protocol/records.ts';
import {
  foundingMembership,
  isJoint,
  type LoggedMembership,
  type Membership,
} from '../../src/raft/membership.ts';
import type { CommittedEntry } from '../../src/store/derived/derived-state.ts';
import type { CheckId } from './check-id.ts';
import { type ConfigStep, stepBetween } from './config-step.ts';

export interface LedgerLock {
  readonly operationId: string;
  readonly action: string;
  readonly owner: string;
  readonly takenIndex: LogIndex;
}

/** A membership that was committed, and who wanted it. */
export interface LedgerConfig extends LoggedMembership {
  readonly step: ConfigStep;
  /** That held the lock; null: nobody, or nobody needs to. */
  readonly operationId: string | null;
}

export interface LedgerLine extends AuditLine {
  readonly index: LogIndex;
  readonly deed: AdminDeed['kind'];
  /** The operation that held the lock until this one took it; null: none. */
  readonly takenFrom: string | null;
}

interface Token {
  readonly hash: string;
  readonly expiresAtMs: number;
  usedBy: string;
}

/** Told at once, in words. */
export type Accuse = (check: CheckId, sentence: string) => void;

export class GroupLedger {
  readonly #accuse: Accuse;
  readonly configs: LedgerConfig[];
  readonly lines: LedgerLine[] = [];
  /** After each line. */
  readonly #drained = new Set<NodeId>();
  readonly #tokens = new Map<NodeId, Token>();
  /** Stores that were let in with a token, by node. */
  readonly #admitted = new Map<NodeId, Set<string>>();
  /** Stores of nodes that have left. */
  readonly #goneStores = new Set<string>();
  /** Stores of nodes that were about to leave, whether they did or not. */
  readonly #retiredStores = new Set<string>();
  readonly #waiting = new Map<LogIndex, CommittedEntry>();
  lock: LedgerLock | null = null;
  /** Up to here everything was seen. */
  lastIndex = 0;

  constructor(
    founders: readonly { readonly nodeId: NodeId; readonly raftAddress: string }[],
    accuse: Accuse,
  ) {
    this.#accuse = accuse;
    const membership = foundingMembership(founders);
    const index = 0 as LogIndex;
    this.configs = [{ index, membership, step: { kind: 'founding' }, operationId: null }];
  }

  get current(): LedgerConfig {
    return this.configs.at(-1)!; // There is the founding one.
  }

  get drained(): ReadonlySet<NodeId> {
    return this.#drained;
  }

  get removed(): readonly NodeId[] {
    return this.current.membership.removed;
  }

  get goneStores(): ReadonlySet<string> {
    return this.#goneStores;
  }

  /** In force at the index, as far as it is committed. */
  configAt(index: number): LedgerConfig {
    return this.configs.findLast((config) => config.index <= index) ?? this.current;
  }

  /** Of any node, again and again, in any order: what matters is the first time of each index. */
  onEntry(entry: CommittedEntry): void {
    if (entry.index <= this.lastIndex || this.#waiting.has(entry.index)) return;
    this.#waiting.set(entry.index, entry);
    for (;;) {
      const next = this.#waiting.get((this.lastIndex + 1) as LogIndex);
      if (next === undefined) return;
      this.#waiting.delete(next.index);
      this.lastIndex = next.index;
      this.#read(next);
    }
  }

  #read({ index, type, payload }: CommittedEntry): void {
    if (type === 'config') {
      const decoded = decodeMembership(payload);
      if (decoded.kind === 'membership') this.#onConfig(index, decoded.membership);
      else this.#accuse('M2', `entry ${index} is no membership: ${decoded.problem}`);
    }
    if (type !== 'data') return;
    for (const record of recordsOf(payload)) {
      if (record.kind !== 'command' || record.command.kind !== 'admin') continue;
      this.#onAdmin(index, record.command);
    }
  }

  #onConfig(index: LogIndex, membership: Membership): void {
    const before = this.current;
    const step = stepBetween(before.membership, membership);
    const holder = this.lock;
    const isAutomatic = step.kind === 'pin' || step.kind === 'leaveJoint';
    const operationId = isAutomatic ? null : (holder?.operationId ?? null);
    if (step.kind === 'illegal') {
      this.#accuse('M2', `entry ${index} does not follow from #${before.index}: ${step.why}`);
    }
    if (!isAutomatic && step.kind !== 'illegal' && !isOf(holder?.action ?? '', step)) {
      const who = holder === null ? 'nobody holds the lock' : `"${holder.action}" holds the lock`;
      this.#accuse('M1', `entry ${index} does ${JSON.stringify(step)}, and ${who}`);
    }
    if (step.kind === 'pin') this.#checkPins(index, step);
    this.#checkTombstones(index, before.membership, membership);
    this.configs.push({ index, membership, step, operationId });
  }

  #checkPins(index: LogIndex, { pins }: Extract<ConfigStep, { kind: 'pin' }>): void {
    const [founding] = this.configs;
    for (const { nodeId, storeUuid } of pins) {
      if (founding?.membership.voters.includes(nodeId) === true) continue;
      if (this.#admitted.get(nodeId)?.has(storeUuid) === true) continue;
      this.#accuse('M3', `entry ${index} pins ${storeUuid} of ${nodeId}, that had no token`);
    }
  }

  #checkTombstones(index: LogIndex, before: Membership, after: Membership): void {
    for (const { nodeId, storeUuid } of after.members) {
      if (after.removed.includes(nodeId) || before.removed.includes(nodeId)) {
        this.#accuse('M3', `entry ${index} has ${nodeId} again, which was removed`);
      }
      if (storeUuid === null || !this.#goneStores.has(storeUuid)) continue;
      this.#accuse('M3', `entry ${index} has ${storeUuid} again, whose node was removed`);
    }
    for (const { nodeId, storeUuid } of before.members) {
      const isGone = !after.members.some((member) => member.nodeId === nodeId);
      if (isGone && storeUuid !== null) this.#goneStores.add(storeUuid);
    }
  }

  /** As derived state must take it: what is refused leaves no line. */
  #onAdmin(index: LogIndex, { line, deed }: AdminCommand): void {
    const held = this.lock?.operationId ?? null;
    if (!this.#takes(index, line, deed)) return;
    const isStolen = deed.kind === 'takeLock' && held !== deed.operationId;
    const takenFrom = isStolen ? held : null;
    this.lines.push({ ...line, index, deed: deed.kind, takenFrom });
    if (line.phase === 'done') this.#checkDone(index, line);
  }

  #takes(index: LogIndex, line: AuditLine, deed: AdminDeed): boolean {
    switch (deed.kind) {
      case 'takeLock': {
        const { operationId, steal } = deed;
        if (this.lock !== null && this.lock.operationId !== operationId && !steal) return false;
        this.lock = { operationId, action: line.action, owner: line.actor, takenIndex: index };
        return true;
      }
      case 'releaseLock':
        if (this.lock?.operationId !== deed.operationId) return false;
        this.lock = null;
        return true;
      case 'drain':
        this.#drained.add(deed.nodeId);
        return true;
      case 'undrain':
        this.#drained.delete(deed.nodeId);
        return true;
      case 'issueToken': {
        const hash = Buffer.from(deed.tokenHash).toString('hex');
        this.#tokens.set(deed.nodeId, { hash, expiresAtMs: deed.expiresAtMs, usedBy: '' });
        return true;
      }
      case 'useToken':
        return this.#useToken(line, deed);
      case 'retire':
        this.#tokens.delete(deed.nodeId);
        this.#retiredStores.add(deed.storeUuid);
        return true;
      default:
        return true;
    }
  }

  #useToken(line: AuditLine, deed: Extract<AdminDeed, { kind: 'useToken' }>): boolean {
    const { nodeId, storeUuid, tokenHash } = deed;
    const token = this.#tokens.get(nodeId);
    const isItsOwn = token?.hash === Buffer.from(tokenHash).toString('hex');
    if (token === undefined || !isItsOwn || this.#retiredStores.has(storeUuid)) return false;
    if (token.usedBy !== storeUuid) {
      if (token.usedBy !== '' || line.atMs >= token.expiresAtMs) return false;
      token.usedBy = storeUuid;
    }
    const stores = this.#admitted.get(nodeId) ?? new Set();
    this.#admitted.set(nodeId, stores.add(storeUuid));
    return true;
  }

  /** A line that says done is true where it stands. */
  #checkDone(index: LogIndex, { action }: AuditLine): void {
    const { membership } = this.current;
    if (isJoint(membership) || isWishOf(action, membership)) return;
    this.#accuse('M5', `the line at ${index} says that "${action}" is done, and it is not`);
  }
}

/** Does the change belong to what the operation is about? Of several some may be there, or gone, before. */
function isOf(action: string, step: ConfigStep): boolean {
  const [kind, ...names] = action.split(' ');
  const areNamed = (ids: readonly NodeId[]) => ids.every((id) => names.some((name) => name === id));
  switch (step.kind) {
    case 'addLearner':
      return (kind === 'add' ? names[0] : kind === 'replace' ? names[1] : '') === step.nodeId;
    case 'voters': {
      const { joins, leaves } = step;
      if (kind === 'promote') return leaves.length === 0 && areNamed(joins);
      if (kind === 'remove') return joins.length === 0 && areNamed(leaves);
      const isNew = joins.every((id) => id === names[1]);
      return kind === 'replace' && isNew && leaves.every((id) => id === names[0]);
    }
    case 'dropLearners':
      return kind === 'remove' && areNamed(step.leaves);
    default:
      return false;
  }
}

/** Whether the membership is what the action, as it is typed, wants; true for what is not about members. */
export function isWishOf(action: string, membership: Membership): boolean {
  const { members, voters, removed } = membership;
  const [kind, ...names] = action.split(' ');
  const [first = '', second = ''] = names;
  const isVoter = (id: string) => voters.some((voter) => voter === id);
  const isGone = (id: string) =>
    removed.some((gone) => gone === id) && !members.some(({ nodeId }) => nodeId === id);
  switch (kind) {
    case 'add':
      return members.some(({ nodeId }) => nodeId === first);
    case 'promote':
      return names.every(isVoter);
    case 'remove':
      return names.every(isGone);
    case 'replace':
      return isGone(first) && isVoter(second);
    default:
      return true;
  }
}

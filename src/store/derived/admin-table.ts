/**
 * What operators have decided: the lock, drained nodes, tokens, nodes that left, the feature level, and
 * the trail of it all. Few rows, all in memory.
 *
 * Invariants: a deed and its line are recorded together or not at all; sequences of lines have no gaps; the
 * feature level never falls.
 */
import { unreachable } from '../../base/assert.ts';
import { LogIndex, NodeId } from '../../base/units.ts';
import type { AdminCommand, AdminDeed, AuditLine } from '../../protocol/admin-command.ts';
import type {
  AdminOutcome,
  AdminView,
  AuditEvent,
  JoinToken,
  OperatorLock,
  RetiredNode,
} from './admin-view.ts';
import { prefixEnd, TABLE, textKey, u64Key } from './key-codec.ts';
import { AUDIT_LINES_MAX, JOIN_TOKENS_MAX, RETIRED_NODES_MAX } from './limits.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

/** Second byte of the key. */
const ROW = {
  drained: `${TABLE.admin}D`,
  event: `${TABLE.admin}E`,
  level: `${TABLE.admin}F`,
  lock: `${TABLE.admin}L`,
  retired: `${TABLE.admin}R`,
  token: `${TABLE.admin}T`,
} as const;
const NO_VALUE = Uint8Array.of(1);

export class AdminTable implements AdminView {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #tokens = new Map<NodeId, JoinToken>();
  /** By key: a node, and a store that it had. */
  readonly #retired = new Map<string, RetiredNode>();
  readonly #drained = new Set<NodeId>();
  /** Ascending by sequence. */
  #events: AuditEvent[] = [];
  #lock: OperatorLock | null = null;
  #featureLevel = 0;

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
    for (const { key, value } of overlay.range(TABLE.admin, prefixEnd(TABLE.admin))) {
      this.#load(key.slice(0, ROW.lock.length), new RowReader(value), key);
    }
  }

  get lock(): OperatorLock | null {
    return this.#lock;
  }

  get drained(): readonly NodeId[] {
    return [...this.#drained].sort();
  }

  get retired(): readonly RetiredNode[] {
    return [...this.#retired.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  get featureLevel(): number {
    return this.#featureLevel;
  }

  get lastSequence(): number {
    return this.#events.at(-1)?.sequence ?? 0;
  }

  tokenOf(nodeId: NodeId): JoinToken | null {
    return this.#tokens.get(nodeId) ?? null;
  }

  eventsAfter(sequence: number, countMax: number): readonly AuditEvent[] {
    const first = this.#events[0]?.sequence ?? 1;
    const from = Math.max(0, sequence + 1 - first);
    return this.#events.slice(from, from + countMax);
  }

  apply(
    { line, deed }: AdminCommand,
    index: LogIndex,
  ): { readonly outcome: AdminOutcome; readonly sequence: number } {
    const outcome = this.#carryOut(deed, line);
    if (outcome !== 'done') return { outcome, sequence: 0 };
    const sequence = this.lastSequence + 1;
    this.#record({ ...line, sequence, logIndex: index });
    return { outcome, sequence };
  }

  #carryOut(deed: AdminDeed, line: AuditLine): AdminOutcome {
    switch (deed.kind) {
      case 'note':
        return 'done';
      case 'takeLock':
        return this.#takeLock(deed, line);
      case 'releaseLock':
        if (this.#lock?.operationId !== deed.operationId) return 'lockLost';
        this.#lock = null;
        this.#overlay.delete(ROW.lock);
        return 'done';
      case 'drain':
        this.#drained.add(deed.nodeId);
        this.#overlay.put(ROW.drained + textKey(deed.nodeId), NO_VALUE);
        return 'done';
      case 'undrain':
        if (this.#drained.delete(deed.nodeId)) {
          this.#overlay.delete(ROW.drained + textKey(deed.nodeId));
        }
        return 'done';
      case 'issueToken':
        return this.#issueToken(deed);
      case 'useToken':
        return this.#useToken(deed, line);
      case 'retire':
        return this.#retire(deed);
      case 'setFeatureLevel':
        if (deed.level < this.#featureLevel) return 'levelLower';
        this.#featureLevel = deed.level;
        this.#overlay.put(ROW.level, this.#rows.begin(4).u32(deed.level).finish());
        return 'done';
      default:
        return unreachable(deed);
    }
  }

  #takeLock(deed: Extract<AdminDeed, { kind: 'takeLock' }>, line: AuditLine): AdminOutcome {
    const { operationId, steal } = deed;
    const isHeld = this.#lock !== null && this.#lock.operationId !== operationId;
    if (isHeld && !steal) return 'lockHeld';
    const { actor: owner, action, atMs: takenAtMs } = line;
    this.#lock = { operationId, owner, action, takenAtMs };
    const value = this.#rows
      .begin(8, operationId, owner, action)
      .text(operationId)
      .text(owner)
      .text(action)
      .u64(takenAtMs)
      .finish();
    this.#overlay.put(ROW.lock, value);
    return 'done';
  }

  #issueToken({ nodeId, tokenHash, expiresAtMs }: Extract<AdminDeed, { kind: 'issueToken' }>) {
    // When there are too many, the one that ends first goes; of several, the first by name.
    if (!this.#tokens.has(nodeId) && this.#tokens.size >= JOIN_TOKENS_MAX) {
      const [oldest] = [...this.#tokens.values()].sort(
        (a, b) => a.expiresAtMs - b.expiresAtMs || (a.nodeId < b.nodeId ? -1 : 1),
      );
      if (oldest !== undefined) this.#dropToken(oldest.nodeId);
    }
    this.#putToken({ nodeId, tokenHash, expiresAtMs, usedBy: '' });
    return 'done' as const;
  }

  #useToken(deed: Extract<AdminDeed, { kind: 'useToken' }>, line: AuditLine): AdminOutcome {
    const { nodeId, tokenHash, storeUuid } = deed;
    const token = this.#tokens.get(nodeId);
    if (token === undefined || !isSameHash(token.tokenHash, tokenHash)) return 'noToken';
    if ([...this.#retired.values()].some((gone) => gone.storeUuid === storeUuid)) {
      return 'storeRetired';
    }
    // The answer to the first use may have been lost: the same store asks again.
    if (token.usedBy === storeUuid) return 'done';
    if (token.usedBy !== '') return 'tokenUsed';
    if (line.atMs >= token.expiresAtMs) return 'tokenExpired';
    this.#putToken({ ...token, usedBy: storeUuid });
    return 'done';
  }

  #retire({ nodeId, storeUuid, raftAddress }: Extract<AdminDeed, { kind: 'retire' }>) {
    if (this.#tokens.has(nodeId)) this.#dropToken(nodeId);
    // The membership takes no more either: it refuses before this bound is reached.
    const key = retiredKey(nodeId, storeUuid);
    if (!this.#retired.has(key) && this.#retired.size >= RETIRED_NODES_MAX) return 'done' as const;
    this.#retired.set(key, { nodeId, storeUuid, raftAddress });
    const value = this.#rows
      .begin(0, nodeId, storeUuid, raftAddress)
      .text(nodeId)
      .text(storeUuid)
      .text(raftAddress)
      .finish();
    this.#overlay.put(key, value);
    return 'done' as const;
  }

  #putToken(token: JoinToken): void {
    this.#tokens.set(token.nodeId, token);
    const hash = Buffer.from(token.tokenHash).toString('hex');
    const value = this.#rows
      .begin(8, token.nodeId, hash, token.usedBy)
      .text(token.nodeId)
      .text(hash)
      .u64(token.expiresAtMs)
      .text(token.usedBy)
      .finish();
    this.#overlay.put(ROW.token + textKey(token.nodeId), value);
  }

  #dropToken(nodeId: NodeId): void {
    this.#tokens.delete(nodeId);
    this.#overlay.delete(ROW.token + textKey(nodeId));
  }

  #record(event: AuditEvent): void {
    const { actor, action, phase, planHash, details } = event;
    const value = this.#rows
      .begin(4 * 8, actor, action, phase, planHash, details)
      .u64(event.sequence)
      .u64(event.logIndex)
      .u64(event.atMs)
      .u64(event.configIndex)
      .text(actor)
      .text(action)
      .text(phase)
      .text(planHash)
      .text(details)
      .finish();
    this.#overlay.put(ROW.event + u64Key(event.sequence), value);
    this.#events.push(event);
    if (this.#events.length <= AUDIT_LINES_MAX) return;
    const [oldest, ...kept] = this.#events;
    if (oldest !== undefined) this.#overlay.delete(ROW.event + u64Key(oldest.sequence));
    this.#events = kept;
  }

  #load(prefix: string, row: RowReader, key: string): void {
    switch (prefix) {
      case ROW.drained:
        this.#drained.add(NodeId(key.slice(prefix.length + 2)));
        return;
      case ROW.event:
        this.#events.push(eventOf(row));
        return;
      case ROW.level:
        this.#featureLevel = row.u32();
        return;
      case ROW.lock:
        this.#lock = {
          operationId: row.text(),
          owner: row.text(),
          action: row.text(),
          takenAtMs: row.u64(),
        };
        return;
      case ROW.retired: {
        const nodeId = NodeId(row.text());
        this.#retired.set(key, { nodeId, storeUuid: row.text(), raftAddress: row.text() });
        return;
      }
      default:
        this.#loadToken(row);
    }
  }

  #loadToken(row: RowReader): void {
    const nodeId = NodeId(row.text());
    const tokenHash = new Uint8Array(Buffer.from(row.text(), 'hex'));
    this.#tokens.set(nodeId, {
      nodeId,
      tokenHash,
      expiresAtMs: row.u64(),
      usedBy: row.text(),
    });
    row.end();
  }
}

function eventOf(row: RowReader): AuditEvent {
  const sequence = row.u64();
  const logIndex = LogIndex(row.u64());
  const atMs = row.u64();
  const configIndex = LogIndex(row.u64());
  const [actor, action, phase, planHash, details] = [1, 2, 3, 4, 5].map(() => row.text());
  row.end();
  return {
    ...{ sequence, logIndex, atMs, configIndex },
    actor: actor ?? '',
    action: action ?? '',
    phase: phase ?? '',
    planHash: planHash ?? '',
    details: details ?? '',
  };
}

function retiredKey(nodeId: NodeId, storeUuid: string): string {
  return ROW.retired + textKey(nodeId) + textKey(storeUuid);
}

function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

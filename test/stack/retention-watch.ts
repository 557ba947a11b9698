/**
 * What a leader gives up of the log must not be needed by a member that it hears (H17): such a member would
 * have to start over from a snapshot. Whom the leader hears is counted here more strictly than in the
 * leader, and what a member has is read from its log, not from what the leader was told.
 */
import { type LogIndex, type NodeId, Term } from '../../src/base/units.ts';
import { recordsOf } from '../../src/protocol/records.ts';
import type { CommittedEntry } from '../../src/store/derived/derived-state.ts';
import type { StackWorld } from './stack-world.ts';

/** A member that was not heard for so long is left behind. */
export const MEMBER_GRACE_MS = 300;
/** What has arrived may still wait for its turn in the driver. */
const SETTLED_MS = 50;

interface Contact {
  /** Heard since then without a gap that would count as silence. */
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** Of one process. */
export class RetentionWatch {
  readonly #world: StackWorld;
  readonly #nodeId: NodeId;
  readonly #contacts = new Map<NodeId, Contact>();
  #term = Term(0);
  /** In this term no entry from here on may be given up. */
  #neededFrom = 0;

  constructor(world: StackWorld, nodeId: NodeId) {
    this.#world = world;
    this.#nodeId = nodeId;
  }

  onHeard(from: NodeId): void {
    const nowMs = this.#world.clock.monotonicMs();
    const before = this.#contacts.get(from);
    const isNew = before === undefined || nowMs - before.lastMs > MEMBER_GRACE_MS / 2;
    this.#contacts.set(from, { sinceMs: isNew ? nowMs : before.sinceMs, lastMs: nowMs });
  }

  /** The leader of `term` is about to decide where the log may begin. */
  onLook(term: Term): void {
    if (term !== this.#term) this.#neededFrom = 0;
    this.#term = term;
    const needs = this.#heard().map(({ lastIndex }) => lastIndex + 1);
    // What an earlier look allowed may still be on its way.
    this.#neededFrom = Math.max(this.#neededFrom, Math.min(...needs));
  }

  onApplied({ term, type, payload }: CommittedEntry): void {
    if (type !== 'data' || term !== this.#term) return;
    const { observer } = this.#world;
    for (const record of recordsOf(payload)) {
      if (record.kind !== 'command' || record.command.kind !== 'advanceLogStart') continue;
      const { firstIndex } = record.command;
      observer.checkCount++;
      if (firstIndex <= this.#neededFrom) continue;
      const sentence = `${this.#nodeId} gave up all before entry ${firstIndex}, and a member that it hears needs entry ${this.#neededFrom}`;
      observer.violation('R1', sentence);
    }
  }

  #heard(): readonly { readonly lastIndex: LogIndex }[] {
    const nowMs = this.#world.clock.monotonicMs();
    return this.#world.soundNodes.flatMap((node) => {
      const contact = this.#contacts.get(node.nodeId);
      const { log } = node.running ?? {};
      if (contact === undefined || log == null || node.standing.kind !== 'member') return [];
      const isHeard =
        nowMs - contact.lastMs <= MEMBER_GRACE_MS / 2 && nowMs - contact.sinceMs >= SETTLED_MS;
      return isHeard ? [{ lastIndex: log.durable.last.index }] : [];
    });
  }
}

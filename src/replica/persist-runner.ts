/**
 * Turns the core's persist effects into log writes. Descriptors become bytes here: of a received
 * entry the very bytes that came, of an own entry a new header around the payload. The payload of a
 * config entry is its membership.
 *
 * Invariant: writes are handed over in the order of the effects, and `onDurable` comes in that order.
 */
import { assert } from '../base/assert.ts';
import { crc32 } from '../base/crc32.ts';
import type { LogIndex } from '../base/units.ts';
import { encodeEntry, headerCrcOf } from '../protocol/entry-codec.ts';
import { encodeMembership } from '../protocol/membership-codec.ts';
import type { ReceivedEntry } from '../protocol/peer-codec.ts';
import type { PersistEffect } from '../raft/effects.ts';
import type { EntryDesc } from '../raft/entry.ts';
import type { CommitLog, StoredEntry } from '../store/commit-log.ts';

/** Bytes that this turn brought, for the entries that the core asks to persist. */
export interface TurnBytes {
  /** Contiguous by index. */
  readonly received: readonly ReceivedEntry[];
  /** Payload of the entry that this turn proposed. */
  readonly proposed: Uint8Array;
}

export const NO_TURN_BYTES: TurnBytes = { received: [], proposed: new Uint8Array(0) };
const NO_PAYLOAD = new Uint8Array(0);

export class PersistRunner {
  readonly #log: CommitLog;
  readonly #onDurable: (effect: PersistEffect) => void;
  #pendingCount = 0;

  constructor(log: CommitLog, onDurable: (effect: PersistEffect) => void) {
    this.#log = log;
    this.#onDurable = onDurable;
  }

  /** Writes whose `onDurable` has not come yet. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** @param leaderCommit the commit index that own entries carry as evidence for recovery */
  write(effect: PersistEffect, bytes: TurnBytes, leaderCommit: LogIndex): void {
    assert(effect.snapshot === null, 'nothing removes log prefixes, so no snapshot replaces a log');
    this.#pendingCount++;
    this.#log.persist({
      hardState: effect.hardState,
      base: null,
      truncateFrom: effect.truncateFrom,
      entries: this.#storedEntries(effect, bytes, leaderCommit),
      onDurable: () => {
        this.#pendingCount--;
        this.#onDurable(effect);
      },
    });
  }

  #storedEntries(
    effect: PersistEffect,
    bytes: TurnBytes,
    leaderCommit: LogIndex,
  ): readonly StoredEntry[] {
    let prevHeaderCrc: number | null = null;
    return effect.entries.map((desc) => {
      const received = receivedAt(bytes.received, desc);
      if (received !== null) return { desc, bytes: received.bytes };
      assert(effect.truncateFrom === null, 'a leader does not cut its log');
      const stored = {
        desc,
        bytes: encodeEntry(
          { ...desc, leaderCommit, prevHeaderCrc: prevHeaderCrc ?? this.#log.lastHeaderCrc },
          payloadOf(desc, effect, bytes),
        ),
      };
      prevHeaderCrc = headerCrcOf(stored.bytes);
      return stored;
    });
  }
}

function receivedAt(received: readonly ReceivedEntry[], desc: EntryDesc): ReceivedEntry | null {
  const first = received[0];
  if (first === undefined) return null;
  const found = received[desc.index - first.desc.index];
  return found !== undefined && found.desc.term === desc.term ? found : null;
}

function payloadOf(desc: EntryDesc, effect: PersistEffect, bytes: TurnBytes): Uint8Array {
  if (desc.type === 'config') return configPayload(desc, effect);
  const payload = desc.type === 'data' ? bytes.proposed : NO_PAYLOAD;
  assert(payload.length === desc.payloadSizeBytes, 'the payload of this turn is the one placed');
  return payload;
}

/** One membership has one encoding: here it comes out as the core was told that it would. */
function configPayload(desc: EntryDesc, { memberships }: PersistEffect): Uint8Array {
  const logged = memberships.find(({ index }) => index === desc.index);
  assert(logged !== undefined, 'a config entry comes with its membership', () => desc);
  const payload = encodeMembership(logged.membership);
  assert(
    payload.length === desc.payloadSizeBytes && crc32(payload) === desc.payloadCrc,
    'a membership is encoded as it was described',
    () => desc,
  );
  return payload;
}

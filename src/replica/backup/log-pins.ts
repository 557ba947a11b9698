/**
 * What backups still have to read of this replica: entries from the lowest pin on are not removed, and the
 * snapshots in use stay. A pin is a lease: it ends with its holder's silence, after a day, or when room is scarce,
 * whichever comes first. Only removal here waits for it; what the group decides does not.
 */
import { LogIndex } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import {
  BACKUP_HELD_MS_MAX,
  BACKUP_HOLDERS_KEPT_MAX,
  BACKUP_HOLDERS_MAX,
  BACKUP_LEASE_MS,
} from './limits.ts';

export type PinEnd = 'silent' | 'tooLong' | 'noRoom';

export interface LogPinsOptions {
  readonly clock: Clock;
  readonly isRoomScarce: () => boolean;
  readonly onEnded: (holder: string, why: PinEnd) => void;
}

interface Pin {
  firstIndex: LogIndex;
  readonly release: () => void;
  readonly sinceMs: number;
  heardAtMs: number;
}

export class LogPins {
  readonly #options: LogPinsOptions;
  readonly #pins = new Map<string, Pin>();
  /** Those that had their day, the newest last. */
  #spent: readonly string[] = [];

  constructor(options: LogPinsOptions) {
    this.#options = options;
  }

  get holderCount(): number {
    return this.#pins.size;
  }

  /** Entries before this one are needed by no backup; null: none is being taken. */
  floor(): LogIndex | null {
    this.#endOld();
    const indexes = [...this.#pins.values()].map(({ firstIndex }) => firstIndex);
    return indexes.length === 0 ? null : LogIndex(Math.min(...indexes));
  }

  /**
   * In place of what the holder had.
   * @param release runs once, when it ends
   * @returns why not, as a clause; null: it is held
   */
  hold(holder: string, firstIndex: LogIndex, release: () => void): string | null {
    this.#endOld();
    const nowMs = this.#options.clock.monotonicMs();
    const known = this.#pins.get(holder);
    if (this.#spent.includes(holder)) return 'it has kept its log for this backup for a day';
    if (known === undefined && this.#pins.size >= BACKUP_HOLDERS_MAX) {
      return `${this.#pins.size} backups are being taken from it already`;
    }
    known?.release();
    const sinceMs = known?.sinceMs ?? nowMs;
    this.#pins.set(holder, { firstIndex, release, sinceMs, heardAtMs: nowMs });
    return null;
  }

  /** The holder has everything before this entry. */
  moveTo(holder: string, firstIndex: LogIndex): void {
    const pin = this.#pins.get(holder);
    if (pin === undefined) return;
    pin.heardAtMs = this.#options.clock.monotonicMs();
    pin.firstIndex = LogIndex(Math.max(pin.firstIndex, firstIndex));
  }

  /** Nothing is held any more. */
  close(): void {
    for (const pin of this.#pins.values()) pin.release();
    this.#pins.clear();
  }

  #endOld(): void {
    if (this.#pins.size === 0) return;
    const { clock, isRoomScarce, onEnded } = this.#options;
    const nowMs = clock.monotonicMs();
    const isScarce = isRoomScarce();
    for (const [holder, pin] of [...this.#pins]) {
      const why = endOf(pin, nowMs, isScarce);
      if (why === null) continue;
      this.#pins.delete(holder);
      if (why === 'tooLong') this.#spent = [...this.#spent, holder].slice(-BACKUP_HOLDERS_KEPT_MAX);
      pin.release();
      onEnded(holder, why);
    }
  }
}

function endOf({ heardAtMs, sinceMs }: Pin, nowMs: number, isScarce: boolean): PinEnd | null {
  if (isScarce) return 'noRoom';
  if (nowMs - sinceMs > BACKUP_HELD_MS_MAX) return 'tooLong';
  return nowMs - heardAtMs > BACKUP_LEASE_MS ? 'silent' : null;
}

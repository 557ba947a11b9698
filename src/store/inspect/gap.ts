/**
 * A place where an entry should start and none does, and what was found from there on. Whether it is the
 * end of the log or a hole in it is known when something good follows, or nothing does.
 */
import { LogIndex, type PhysicalOffset } from '../../base/units.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { Damage, DamageKind } from './damage.ts';

export interface GapPlace {
  readonly path: string;
  readonly position: number;
  readonly physicalOffset: PhysicalOffset;
  /** The entry that should start here, or the lowest that can. */
  readonly index: LogIndex;
}

export interface GapFinding {
  readonly kind: 'zeros' | 'noEntry' | 'unreadable';
  /** In words. */
  readonly found: string;
}

/** Bytes that are not zero, in one segment. */
export interface Stretch {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly physicalOffset: PhysicalOffset;
}

/** Everything but where it lies to the watermark. */
export type GapDamage = Omit<Damage, 'belowWatermark'>;

export class Gap {
  readonly place: GapPlace;
  readonly finding: GapFinding;
  readonly #stretches: Stretch[] = [];

  constructor(place: GapPlace, finding: GapFinding) {
    this.place = place;
    this.finding = finding;
  }

  add(stretch: Stretch): void {
    this.#stretches.push(stretch);
  }

  /** The log goes on: with entry `next`, or in a segment that starts with it. */
  closedBy(next: LogIndex, end: { readonly path: string; readonly position: number }): GapDamage {
    const { path, position, physicalOffset, index } = this.place;
    const sizeBytes = path === end.path ? end.position - position : null;
    const lost = entriesText(index, LogIndex(next - 1));
    const kind = this.finding.kind === 'zeros' ? 'missingEntries' : kindOf(this.finding);
    const place = { kind, path, position, sizeBytes, physicalOffset, index };
    return { ...place, expected: lost, found: this.finding.found };
  }

  /** Nothing good follows. Zeros alone are how a log ends. */
  atEnd(): readonly GapDamage[] {
    const { path, position, physicalOffset, index } = this.place;
    if (this.finding.kind === 'zeros') return this.#stretches.map((each) => this.#tailDamage(each));
    const own = this.#stretches.find((stretch) => stretch.path === path);
    const others = this.#stretches.filter((stretch) => stretch !== own);
    const sizeBytes = Math.max(own?.to ?? 0, position + ENTRY_HEADER_SIZE_BYTES) - position;
    const place = { kind: kindOf(this.finding), path, position, sizeBytes, physicalOffset, index };
    const first = { ...place, expected: `entry ${index}, or zeros`, found: this.finding.found };
    return [first, ...others.map((each) => this.#tailDamage(each))];
  }

  #tailDamage({ path, from, to, physicalOffset }: Stretch): GapDamage {
    const sizeBytes = to - from;
    const place = { path, position: from, sizeBytes, physicalOffset, index: this.place.index };
    const expected = 'zeros behind the last entry';
    return { kind: 'tailBytes', ...place, expected, found: 'bytes that are not zero' };
  }
}

function kindOf({ kind }: GapFinding): DamageKind {
  return kind === 'unreadable' ? 'unreadable' : 'entryHeader';
}

/** `entry 4`, `entries 4 to 9`. */
export function entriesText(first: LogIndex, last: LogIndex): string {
  return last <= first ? `entry ${first}` : `entries ${first} to ${last}`;
}

/** One step of a schedule, as data for people and as a number for the table of states. */
import { assert, unreachable } from '../../../src/base/assert.ts';
import { NODE_IDS, type Place } from './group.ts';

export type Choice =
  /** Position 0 is the oldest message on the wire; a later one overtakes, which is a fault. */
  | {
      readonly kind: 'deliver';
      readonly from: Place;
      readonly to: Place;
      readonly position: number;
    }
  | { readonly kind: 'lose'; readonly from: Place; readonly to: Place }
  /** Delivers the oldest message and leaves it on the wire. */
  | { readonly kind: 'repeat'; readonly from: Place; readonly to: Place }
  | { readonly kind: 'persist'; readonly at: Place }
  | {
      readonly kind: 'crash';
      readonly at: Place;
      readonly keptParts: number;
      /** Connections break: what was on its way to the node is gone. */
      readonly losesInbox: boolean;
    }
  | { readonly kind: 'fire'; readonly at: Place }
  | { readonly kind: 'beat'; readonly at: Place }
  | { readonly kind: 'expire'; readonly at: Place }
  /** `ordinal`: the how-manieth time, which makes its tag unique. */
  | {
      readonly kind: 'operate';
      readonly at: Place;
      readonly operation: number;
      readonly ordinal: number;
    };

const KINDS = [
  'deliver',
  'lose',
  'repeat',
  'persist',
  'crash',
  'fire',
  'beat',
  'expire',
  'operate',
] as const satisfies readonly Choice['kind'][];

/** Bits: 4 kind, 2 place, 2 other place, the rest parameters. */
export function codeOf(choice: Choice): number {
  const kind = KINDS.indexOf(choice.kind);
  switch (choice.kind) {
    case 'deliver':
      return kind | (choice.from << 4) | (choice.to << 6) | (choice.position << 8);
    case 'lose':
    case 'repeat':
      return kind | (choice.from << 4) | (choice.to << 6);
    case 'crash':
      return kind | (choice.at << 4) | (Number(choice.losesInbox) << 6) | (choice.keptParts << 8);
    case 'operate':
      return kind | (choice.at << 4) | (choice.operation << 8) | (choice.ordinal << 16);
    case 'persist':
    case 'fire':
    case 'beat':
    case 'expire':
      return kind | (choice.at << 4);
    default:
      return unreachable(choice);
  }
}

export function choiceOf(code: number): Choice {
  const kind = KINDS[code & 15];
  assert(kind !== undefined, 'a choice is of a known kind', () => ({ code }));
  const at = asPlace((code >> 4) & 3);
  switch (kind) {
    case 'deliver':
      return { kind, from: at, to: asPlace((code >> 6) & 3), position: code >> 8 };
    case 'lose':
    case 'repeat':
      return { kind, from: at, to: asPlace((code >> 6) & 3) };
    case 'crash':
      return { kind, at, losesInbox: ((code >> 6) & 1) === 1, keptParts: code >> 8 };
    case 'operate':
      return { kind, at, operation: (code >> 8) & 255, ordinal: code >> 16 };
    case 'persist':
    case 'fire':
    case 'beat':
    case 'expire':
      return { kind, at };
    default:
      return unreachable(kind);
  }
}

function asPlace(value: number): Place {
  assert(value === 0 || value === 1 || value === 2, 'there are three nodes', () => ({ value }));
  return value;
}

export function nameOf(place: Place): string {
  return NODE_IDS[place];
}

/** What the log commands share: sizes, paths, damage and memberships, as text and as JSON. */
import { isJoint, type LoggedMembership, type Membership } from '../../raft/membership.ts';
import type { Damage, DamageKind } from '../../store/inspect/damage.ts';
import { type Paint, printable, wrap } from './text.ts';

export { sizeText } from '../../base/size-text.ts';

export function entryCountText(count: number): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}

/** As seen from the store's directory. */
export function relativePath(path: string, directory: string): string {
  const prefix = `${directory}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : path;
}

/** `label  text`, broken into lines that stand below the text's beginning. */
export function labelled(label: string, text: string, at: number, columns: number): string[] {
  return wrap(text, Math.max(columns - at, 20)).map(
    (line, i) => `${(i === 0 ? label : '').padEnd(at)}${line}`,
  );
}

/** `text` behind a head that is wider than what the following lines are indented by. */
export function continued(
  head: { readonly text: string; readonly width: number },
  text: string,
  at: number,
  columns: number,
): string[] {
  // The head counts as a word of its width that stands at the indent of the others.
  const room = Math.max(columns - at, 20);
  const stand = '\u0000'.repeat(Math.max(0, head.width - at));
  const [first = '', ...rest] = wrap(`${stand} ${text}`.trim(), room);
  const behind = first.slice(stand.length).trimStart();
  const lines = [`${head.text}${behind === '' ? '' : `  ${behind}`}`];
  return [...lines, ...rest.map((line) => ' '.repeat(at) + line)];
}

const WHAT: Readonly<Record<DamageKind, string>> = {
  superblock: 'superblock',
  base: 'base',
  durableRing: 'durable.ring',
  segmentMissing: 'segment missing',
  segmentSize: 'size of a segment',
  segmentHeader: 'segment header',
  segmentHeaderCopy: 'one copy of a segment header',
  unreadable: 'what the disk cannot read',
  entryHeader: 'no entry where one must be',
  missingEntries: 'a hole in the log',
  tailBytes: 'bytes behind the log',
  order: 'entries out of order',
  chain: 'broken chain of entries',
  payload: 'payload',
  padding: 'padding',
  record: 'record',
  membership: 'membership',
  queueOffset: 'gap or repeat in a queue',
  topic: 'message without a queue',
  logEnd: 'end of the log',
  term: 'term',
};

/** Written as it is: the checksums agree with the content. */
const WRITTEN_SO: readonly DamageKind[] = ['record', 'membership', 'queueOffset', 'topic'];
/** Their place says it better. */
const NOT_OF_AN_ENTRY: readonly DamageKind[] = [
  'entryHeader',
  'missingEntries',
  'segmentHeader',
  'segmentHeaderCopy',
  'tailBytes',
  'logEnd',
];
const LABELS_AT = 12;

export function damageText(
  damage: Damage,
  number: number,
  directory: string,
  columns: number,
  paint: Paint,
): string {
  const { kind, index, expected, found } = damage;
  const entry = index === null || NOT_OF_AN_ENTRY.includes(kind) ? '' : `, entry ${index}`;
  const lines = [
    ['  where', placeText(damage, directory)],
    ['  expected', printable(expected)],
    ['  found', printable(found)],
    ['  so', meaningOf(damage)],
  ] as const;
  const title = paint(`damage ${number}: ${WHAT[kind]}${entry}`, 'bad');
  const rest = lines.flatMap(([label, text]) => labelled(label, text, LABELS_AT, columns));
  return `${[title, ...rest].join('\n')}\n`;
}

function placeText({ path, position, sizeBytes, physicalOffset }: Damage, directory: string) {
  const file = relativePath(path, directory);
  if (position === null) return file;
  const size = sizeBytes === null ? '' : `, ${sizeBytes === 1 ? '1 byte' : `${sizeBytes} bytes`}`;
  const offset = physicalOffset === null ? '' : `, physical offset ${physicalOffset}`;
  return `${file} at byte ${position}${size}${offset}`;
}

export function meaningOf({ kind, belowWatermark }: Damage): string {
  if (kind === 'segmentHeaderCopy')
    return 'the other copy is good: the next start replaces this one';
  if (WRITTEN_SO.includes(kind)) return 'its checksums are right: it was written so';
  if (belowWatermark === null) return 'beside the log: what this node has noted, not its entries';
  if (belowWatermark) return 'below the watermark: was durable here, so this is rot';
  return 'above the watermark: may be the torn end of a last write';
}

export function damageJson(damage: Damage, directory: string): object {
  const { kind, path, position, sizeBytes, physicalOffset, index, expected, found } = damage;
  return {
    kind: 'logDamage',
    damage: kind,
    file: relativePath(path, directory),
    position,
    sizeBytes,
    physicalOffset: textOrNull(physicalOffset),
    index: textOrNull(index),
    expected,
    found,
    belowWatermark: damage.belowWatermark,
  };
}

export function textOrNull(value: number | null): string | null {
  return value === null ? null : String(value);
}

/** `voters n1, n2, n3; learner n4; changing from n1, n2`. */
export function membershipText(membership: Membership): string {
  const { voters, outgoing, learners, removed } = membership;
  const parts = [`${voters.length === 1 ? 'voter' : 'voters'} ${voters.join(', ')}`];
  if (isJoint(membership)) parts.push(`joint with outgoing ${outgoing.join(', ')}`);
  if (learners.length > 0) {
    parts.push(`${learners.length === 1 ? 'learner' : 'learners'} ${learners.join(', ')}`);
  }
  if (removed.length > 0) parts.push(`removed ${removed.join(', ')}`);
  return printable(parts.join('; '));
}

export function membershipJson({
  members,
  voters,
  outgoing,
  learners,
  removed,
}: Membership): object {
  return {
    voters,
    outgoing,
    learners,
    removed,
    members: members.map(({ nodeId, storeUuid, raftAddress, priority }) => ({
      id: nodeId,
      storeUuid,
      raft: raftAddress,
      priority,
    })),
  };
}

export function loggedMembershipJson({ index, membership }: LoggedMembership): object {
  return { index: String(index), ...membershipJson(membership) };
}

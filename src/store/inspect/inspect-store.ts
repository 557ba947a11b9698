/**
 * Reads a whole store without changing anything: what it is, what its log holds, what is damaged, and what
 * start-up would decide. Memory depends on the number of segments and queues, not on the log's size.
 */

import { advance, LogIndex, type PhysicalOffset, type Term } from '../../base/units.ts';
import { decodeMembership } from '../../protocol/membership-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import type { Damage } from './damage.ts';
import { entriesText } from './gap.ts';
import { MEMBERSHIPS_KEPT_MAX } from './limits.ts';
import { LogWalk } from './log-walk.ts';
import type { ReadDisk } from './read-disk.ts';
import { RecordAudit } from './record-audit.ts';
import type { SegmentSummary } from './segment-summary.ts';
import { AcceptedLog, type StartupVerdict, startupVerdict } from './startup.ts';
import { damageBesideLog } from './store-damage.ts';
import { noteIn, type StoreView, viewRing, viewStore, viewSuperblock } from './store-view.ts';
import { beforeFirst, type TailReading, type WalkedEntry } from './walk-options.ts';
import { type Watermark, watermarkFrom } from './watermark.ts';

export interface InspectOptions {
  readonly disk: ReadDisk;
  readonly directory: string;
  /** `records`: also what is inside the payloads, and every byte behind the end. */
  readonly depth: 'entries' | 'records';
  /** A broker writes to it meanwhile. */
  readonly isLive: boolean;
  readonly onDamage: (damage: Damage) => void | Promise<void>;
  readonly onProgress: (progress: InspectProgress) => void;
  readonly signal: AbortSignal;
}

export interface InspectProgress {
  readonly doneBytes: () => number;
  readonly totalBytes: number;
}

export interface Inspection {
  readonly view: StoreView;
  readonly watermark: Watermark;
  readonly segments: readonly SegmentSummary[];
  /** null: there is no entry. */
  readonly last: { readonly index: LogIndex; readonly term: Term } | null;
  /** One past the last entry found, good or not. */
  readonly end: PhysicalOffset;
  readonly entryCount: number;
  readonly messageCount: number;
  readonly commandCount: number;
  /** The highest commit index that headers and superblock prove. */
  readonly provenCommitIndex: LogIndex;
  /** The newest ones, in order. */
  readonly memberships: readonly LoggedMembership[];
  readonly membershipCount: number;
  readonly checkedBytes: number;
  /** Where a log that is being written was left; null: everything was read. */
  readonly endedAt: PhysicalOffset | null;
  readonly damageCount: number;
  /** Of the damage: below the watermark. */
  readonly rotCount: number;
  /** null for a log in use. */
  readonly startup: StartupVerdict | null;
}

export async function inspectStore(options: InspectOptions): Promise<Inspection> {
  return new StoreInspection(options, await viewStore(options.disk, options.directory)).run();
}

class StoreInspection {
  readonly #options: InspectOptions;
  readonly #view: StoreView;
  readonly #watermark: Watermark;
  readonly #accepted: AcceptedLog;
  readonly #audit = new RecordAudit();
  readonly #memberships: LoggedMembership[] = [];
  #membershipCount = 0;
  #entryCount = 0;
  #last: Inspection['last'] = null;
  #provenCommitIndex: LogIndex;
  #damageCount = 0;
  #rotCount = 0;

  constructor(options: InspectOptions, view: StoreView) {
    this.#options = options;
    this.#view = view;
    this.#watermark = watermarkFrom(view.superblock.newest, view.note);
    this.#accepted = new AcceptedLog(view.note, view.begin);
    this.#provenCommitIndex = LogIndex(
      Math.max(view.begin.index, view.superblock.newest?.commitHint ?? 0),
    );
  }

  async run(): Promise<Inspection> {
    const { isLive } = this.#options;
    const view = this.#view;
    for (const damage of damageBesideLog(view)) await this.#report(damage);
    const walk = this.#walkOf();
    await walk?.run();
    const startup = isLive ? null : await this.#startupAfter(walk);
    return {
      view,
      watermark: this.#watermark,
      segments: walk?.segments ?? [],
      last: this.#last,
      end: this.#endOf(walk),
      entryCount: this.#entryCount,
      messageCount: this.#audit.messageCount,
      commandCount: this.#audit.commandCount,
      provenCommitIndex: this.#provenCommitIndex,
      memberships: this.#memberships,
      membershipCount: this.#membershipCount,
      checkedBytes: this.#checkedBytes(walk),
      endedAt: walk?.endedAt ?? null,
      damageCount: this.#damageCount,
      rotCount: this.#rotCount,
      startup,
    };
  }

  #walkOf(): LogWalk | null {
    const { disk, signal, onProgress } = this.#options;
    const { names, segments, paths, superblock, base } = this.#view;
    if (names === null) return null;
    const before = beforeFirst(this.#view);
    const isFromOrigin = before.index === 0 && before.headerCrc !== null;
    if (!isFromOrigin) this.#audit.lose();
    const walk = new LogWalk({
      disk,
      segments,
      names,
      before,
      watermark: this.#watermark,
      currentWatermark: async () => {
        const [block, ring] = [await viewSuperblock(disk, paths), await viewRing(disk, paths)];
        return watermarkFrom(block.newest, noteIn(ring, base));
      },
      tail: this.#tail,
      cleanEnd: superblock.newest?.cleanEnd?.physicalOffset ?? null,
      accepted: this.#accepted,
      sink: {
        onEntry: (entry) => this.#onEntry(entry),
        onDamage: (damage) => this.#report(damage),
        onLoss: () => this.#audit.lose(),
      },
      signal,
    });
    const totalBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    onProgress({ doneBytes: () => walk.doneBytes, totalBytes });
    return walk;
  }

  #checkedBytes(walk: LogWalk | null): number {
    const { endedAt = null, doneBytes = 0 } = walk ?? {};
    return endedAt === null ? doneBytes : endedAt - this.#view.begin.end;
  }

  /** One past the last entry. */
  #endOf(walk: LogWalk | null): PhysicalOffset {
    const { begin } = this.#view;
    return walk === null || walk.segments.length === 0 ? begin.end : walk.end;
  }

  get #tail(): TailReading {
    const { isLive, depth } = this.#options;
    if (isLive) return 'moving';
    return depth === 'records' ? 'read' : 'known';
  }

  #onEntry(entry: WalkedEntry): 'goOn' | Promise<'goOn'> {
    const { desc, leaderCommit } = entry.header;
    this.#entryCount += 1;
    this.#last = { index: desc.index, term: desc.term };
    if (leaderCommit > this.#provenCommitIndex) this.#provenCommitIndex = leaderCommit;
    if (desc.type === 'config') this.#rememberMembership(entry);
    if (this.#options.depth === 'entries') return 'goOn';
    const findings = this.#audit.check(entry);
    if (findings.length === 0) return 'goOn';
    return this.#reportRecords(entry, findings);
  }

  async #reportRecords(
    { path, position, header: { desc } }: WalkedEntry,
    findings: ReturnType<RecordAudit['check']>,
  ): Promise<'goOn'> {
    for (const { kind, at, sizeBytes, expected, found } of findings) {
      const inEntry = ENTRY_HEADER_SIZE_BYTES + at;
      await this.#report({
        ...{ kind, path, position: position + inEntry, sizeBytes, expected, found },
        physicalOffset: advance(desc.physicalOffset, inEntry),
        index: desc.index,
        belowWatermark:
          desc.index <= this.#watermark.index || desc.physicalOffset < this.#watermark.end,
      });
    }
    return 'goOn';
  }

  #rememberMembership({ header: { desc }, body }: WalkedEntry): void {
    if (body.kind !== 'good') return;
    const decoded = decodeMembership(body.payload);
    if (decoded.kind === 'problem') return;
    this.#membershipCount += 1;
    this.#memberships.push({ index: desc.index, membership: decoded.membership });
    if (this.#memberships.length > MEMBERSHIPS_KEPT_MAX) this.#memberships.shift();
  }

  async #report(damage: Damage): Promise<void> {
    this.#damageCount += 1;
    if (damage.belowWatermark === true) this.#rotCount += 1;
    await this.#options.onDamage(damage);
  }

  async #startupAfter(walk: LogWalk | null): Promise<StartupVerdict> {
    for (const damage of this.#contradictions(walk)) await this.#report(damage);
    const verdict = await startupVerdict(this.#options.disk, this.#view, this.#accepted);
    if (verdict.kind === 'refuses' && this.#damageCount === 0) {
      // Good in all its parts, and yet not what was durable here.
      const place = { path: this.#view.paths.data, position: null, sizeBytes: null };
      const words = { expected: 'a log that start-up accepts', found: verdict.problem };
      const beside = { physicalOffset: null, index: null, belowWatermark: null };
      await this.#report({ kind: 'logEnd', ...place, ...words, ...beside });
    }
    return verdict;
  }

  /** Every byte may be good and the log still not be what was noted of it. */
  #contradictions(walk: LogWalk | null): readonly Damage[] {
    const { superblock, note, paths, begin } = this.#view;
    const lastIndex = this.#last?.index ?? begin.index;
    const end = this.#endOf(walk);
    const found: Damage[] = [];
    const logEnd = (path: string, expected: string, what: string): void => {
      const place = { path, position: null, sizeBytes: null, physicalOffset: end };
      const index = advance(lastIndex, 1);
      const words = { expected, found: what, belowWatermark: true };
      found.push({ kind: 'logEnd', ...place, index, ...words });
    };
    if (walk !== null && lastIndex < this.#watermark.index) {
      const lost = entriesText(advance(lastIndex, 1), this.#watermark.index);
      const path = walk.segments.findLast(({ entryCount }) => entryCount > 0)?.file.path;
      logEnd(path ?? paths.data, `${lost}, which was durable here`, 'the end of the log');
    }
    if (note !== null && note.index === lastIndex && note.end !== end) {
      logEnd(
        paths.durableRing,
        `entry ${note.index} to end at ${note.end}`,
        `that it ends at ${end}`,
      );
    }
    const cleanEnd = superblock.newest?.cleanEnd ?? null;
    if (cleanEnd !== null && cleanEnd.index < lastIndex) {
      const closed = `a log that was closed after entry ${cleanEnd.index}`;
      logEnd(paths.superblock, closed, `entries up to ${lastIndex}`);
    }
    const term = superblock.newest?.hardState.term ?? null;
    const lastTerm = this.#last?.term ?? begin.term;
    if (term !== null && term < lastTerm) {
      const place = { path: paths.superblock, position: null, sizeBytes: null };
      const words = { expected: `term ${lastTerm} or a later one`, found: `term ${term}` };
      const beside = { physicalOffset: null, index: lastIndex, belowWatermark: null };
      found.push({ kind: 'term', ...place, ...words, ...beside });
    }
    return found;
  }
}

/**
 * Derived state that can be replaced as a whole: whoever holds this sees the new one from then on. A
 * replica that installs a snapshot goes on with another database.
 */
import type { LogIndex, PhysicalOffset, QueueOffset, Term } from '../../base/units.ts';
import type { AdminView } from './admin-view.ts';
import type { Checkpoint } from './checkpoint-table.ts';
import type {
  CommittedEntry,
  DerivedState,
  FirstOutcome,
  GroupConfig,
  LogStart,
  QueueProgress,
  QueueUnit,
  RecordResult,
  TopicConfig,
} from './derived-state.ts';
import type { KvView } from './kv-store.ts';
import type { StateSnapshot } from './state-snapshot.ts';

export class SwitchableState implements DerivedState {
  #current: DerivedState;

  constructor(first: DerivedState) {
    this.#current = first;
  }

  /** @returns the one before, which is the caller's to close */
  switchTo(next: DerivedState): DerivedState {
    const before = this.#current;
    this.#current = next;
    return before;
  }

  get appliedIndex(): LogIndex {
    return this.#current.appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#current.appliedTerm;
  }

  get logStart(): LogStart {
    return this.#current.logStart;
  }

  get admin(): AdminView {
    return this.#current.admin;
  }

  get unflushedEntries(): number {
    return this.#current.unflushedEntries;
  }

  digest(): string {
    return this.#current.digest();
  }

  storeTimeFrom(offset: PhysicalOffset): number | null {
    return this.#current.storeTimeFrom(offset);
  }

  apply(entry: CommittedEntry): readonly RecordResult[] {
    return this.#current.apply(entry);
  }

  flush(): void {
    this.#current.flush();
  }

  flushed(): Promise<void> {
    return this.#current.flushed();
  }

  takeSnapshot(): Promise<StateSnapshot> {
    return this.#current.takeSnapshot();
  }

  takeView(): Promise<KvView> {
    return this.#current.takeView();
  }

  checkpoints(): readonly Checkpoint[] {
    return this.#current.checkpoints();
  }

  close(): Promise<void> {
    return this.#current.close();
  }

  topic(name: string): TopicConfig | null {
    return this.#current.topic(name);
  }

  topics(): readonly TopicConfig[] {
    return this.#current.topics();
  }

  group(name: string): GroupConfig | null {
    return this.#current.group(name);
  }

  groups(): readonly GroupConfig[] {
    return this.#current.groups();
  }

  queueRange(topic: string, queueId: number) {
    return this.#current.queueRange(topic, queueId);
  }

  queueUnit(topic: string, queueId: number, at: QueueOffset): QueueUnit | null {
    return this.#current.queueUnit(topic, queueId, at);
  }

  findByKey(topic: string, key: string, countMax: number): readonly PhysicalOffset[] {
    return this.#current.findByKey(topic, key, countMax);
  }

  progress(group: string, topic: string, queueId: number): QueueProgress {
    return this.#current.progress(group, topic, queueId);
  }

  topicsOf(group: string): readonly string[] {
    return this.#current.topicsOf(group);
  }

  firstOutcome(topic: string, messageId: string): FirstOutcome | null {
    return this.#current.firstOutcome(topic, messageId);
  }
}

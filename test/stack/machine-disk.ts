/** What a machine does with the requests of its processes: the faults that outlive a process. */
import type {
  DiskNature,
  FaultyOperation,
  MemoryDiskOptions,
} from '../../src/io/memory/memory-disk.ts';
import type { StackBugs } from './stack-bugs.ts';

interface DueFault {
  readonly operation: FaultyOperation;
  readonly code: string;
  /** How many matching operations still succeed. */
  left: number;
}

export class MachineDisk {
  readonly #bugs: StackBugs;
  #due: DueFault | null = null;
  #lostSyncIn: number | null = null;
  isFull = false;
  readonly options: MemoryDiskOptions;

  constructor(bugs: StackBugs, later: (step: () => void) => void) {
    this.#bugs = bugs;
    const nature: DiskNature = {
      failureOf: (operation) => this.#failureOf(operation),
      syncFate: (path) => (this.#losesSync() ? 'lost' : bugs.syncFate(path)),
      syncsDirectories: bugs.syncsDirectories,
    };
    this.options = { later, nature };
  }

  /** One operation fails, after so many that succeed. */
  failLater(operation: 'read' | 'write' | 'sync', after: number): void {
    if (operation === 'sync' && this.#bugs.ignoresSyncErrors) this.#lostSyncIn = after;
    else this.#due = { operation, code: 'EIO', left: after };
  }

  /** A fault that has not come by the end of a process does not come. */
  forget(): void {
    this.#due = null;
    this.#lostSyncIn = null;
  }

  #failureOf(operation: FaultyOperation): string | null {
    if (operation === 'prepare' && this.isFull) return 'ENOSPC';
    const due = this.#due;
    if (due === null || due.operation !== operation) return null;
    if (due.left-- > 0) return null;
    this.#due = null;
    return due.code;
  }

  #losesSync(): boolean {
    if (this.#lostSyncIn === null) return false;
    if (this.#lostSyncIn-- > 0) return false;
    this.#lostSyncIn = null;
    return true;
  }
}

/**
 * Decides whether something hangs, from counters that whoever works counts up. Time is counted in looks
 * of the watcher and not read from a clock: when the whole process stands still (SIGSTOP, a suspended
 * machine, no CPU for anybody), the watcher stands still too, and nothing looks older afterwards.
 */

/** Of the shared memory: calls of the disk thread, begun and ended: odd while one is under way. */
export const DISK_CALLS = 0;
/** Counted up by the main thread whenever it runs. */
export const MAIN_BEATS = 1;
/** Not 0: the process is ending itself. */
export const ENDING = 2;
export const WATCH_WORDS = 3;

export interface StallLimits {
  /** One wait for the disk: a system call of the disk thread, or whatever the main thread is held by. */
  readonly diskMsMax: number;
  /** null: the main thread is not watched. */
  readonly mainMsMax: number | null;
}

export interface Sight {
  readonly diskCalls: number;
  readonly mainBeats: number;
  /**
   * The kernel holds the main thread in a wait that nothing interrupts, as it does for a disk: the
   * database of derived state is mapped into memory, so touching it may be such a wait.
   */
  readonly isMainHeld: boolean;
  /** How far apart two looks of a running watcher are. */
  readonly sinceLastMs: number;
}

export interface Stall {
  readonly kind: 'diskCall' | 'mainHeld' | 'main';
  readonly stuckMs: number;
}

export class StallJudge {
  readonly #limits: StallLimits;
  #last: Pick<Sight, 'diskCalls' | 'mainBeats'> = { diskCalls: 0, mainBeats: 0 };
  #diskStuckMs = 0;
  #mainHeldMs = 0;
  #mainStuckMs = 0;

  constructor(limits: StallLimits) {
    this.#limits = limits;
  }

  /** The main thread has not run since the last look. */
  isMainQuiet(mainBeats: number): boolean {
    return mainBeats === this.#last.mainBeats;
  }

  look({ diskCalls, mainBeats, isMainHeld, sinceLastMs }: Sight): Stall | null {
    const isInCall = diskCalls % 2 !== 0;
    const isSameCall = isInCall && diskCalls === this.#last.diskCalls;
    const isMainQuiet = this.isMainQuiet(mainBeats);
    this.#diskStuckMs = isSameCall ? this.#diskStuckMs + sinceLastMs : 0;
    this.#mainHeldMs = isMainQuiet && isMainHeld ? this.#mainHeldMs + sinceLastMs : 0;
    this.#mainStuckMs = isMainQuiet ? this.#mainStuckMs + sinceLastMs : 0;
    this.#last = { diskCalls, mainBeats };
    const { diskMsMax, mainMsMax } = this.#limits;
    if (this.#diskStuckMs > diskMsMax) return { kind: 'diskCall', stuckMs: this.#diskStuckMs };
    if (this.#mainHeldMs > diskMsMax) return { kind: 'mainHeld', stuckMs: this.#mainHeldMs };
    if (mainMsMax !== null && this.#mainStuckMs > mainMsMax) {
      return { kind: 'main', stuckMs: this.#mainStuckMs };
    }
    return null;
  }
}

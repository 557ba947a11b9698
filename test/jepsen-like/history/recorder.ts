/** Writes lines of JSON to the files of a run, in the order in which they came. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVIDENCE_FILES, type FaultLine, type NodeLine, type StatusLine } from './evidence.ts';
import type { Operation } from './operation.ts';

/** Lines gathered before they are written: a line each would cost a system call per operation. */
const LINES_HELD_MAX = 200;
const BEFORE_START_MS = -1;

export class Recorder {
  readonly folder: string;
  #startedAtMs: number | null = null;
  readonly #held = new Map<string, string[]>();
  #okSendCount = 0;
  #lastOkSendStartMs = 0;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** The clients begin. */
  startClock(): void {
    this.#startedAtMs = performance.now();
  }

  /** Since the clients began; before that it is always the same moment, just before zero. */
  nowMs(): number {
    if (this.#startedAtMs === null) return BEFORE_START_MS;
    return Math.round((performance.now() - this.#startedAtMs) * 10) / 10;
  }

  operation(operation: Operation): void {
    if (operation.action.verb === 'send' && operation.outcome === 'ok') {
      this.#okSendCount++;
      this.#lastOkSendStartMs = Math.max(this.#lastOkSendStartMs, operation.startMs);
    }
    this.#line(EVIDENCE_FILES.operations, operation);
  }

  /** For whoever waits for the system to work again. */
  get okSendCount(): number {
    return this.#okSendCount;
  }

  /** When the last acknowledged send was begun. */
  get lastOkSendStartMs(): number {
    return this.#lastOkSendStartMs;
  }

  fault(line: FaultLine): void {
    this.#line(EVIDENCE_FILES.faults, line);
    this.flush();
  }

  node(line: NodeLine): void {
    this.#line(EVIDENCE_FILES.nodes, line);
    this.flush();
  }

  status(line: StatusLine): void {
    this.#line(EVIDENCE_FILES.statuses, line);
  }

  place(line: object): void {
    this.#line(EVIDENCE_FILES.places, line);
  }

  document(name: string, content: object): void {
    writeFileSync(join(this.folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }

  flush(): void {
    for (const [file, lines] of this.#held) {
      if (lines.length > 0) appendFileSync(join(this.folder, file), `${lines.join('\n')}\n`);
      lines.length = 0;
    }
  }

  #line(file: string, content: object): void {
    let lines = this.#held.get(file);
    if (lines === undefined) {
      lines = [];
      this.#held.set(file, lines);
    }
    lines.push(JSON.stringify(content));
    if (lines.length >= LINES_HELD_MAX) this.flush();
  }
}

/** Names inside a store's directory. */
import type { PhysicalOffset } from '../base/units.ts';
import { segmentFileName } from './segment.ts';

const DATA_NAME = /^data(?:-([1-9]\d{0,14}))?$/;

export class LogPaths {
  readonly directory: string;
  /** Of the log: each installed snapshot begins another one, in a directory of its own (H8). */
  readonly generation: number;
  constructor(directory: string, generation = 0) {
    this.directory = directory;
    this.generation = generation;
  }

  /** The same store with another log. */
  at(generation: number): LogPaths {
    return new LogPaths(this.directory, generation);
  }

  get superblock(): string {
    return `${this.directory}/superblock`;
  }
  get durableRing(): string {
    return `${this.directory}/durable.ring`;
  }
  get base(): string {
    return `${this.directory}/base`;
  }
  /** There while a repair has written, and no start has found the log whole since: repair/repair-mark.ts. */
  get repairing(): string {
    return `${this.directory}/repairing`;
  }
  get data(): string {
    const suffix = this.generation === 0 ? '' : `-${this.generation}`;
    return `${this.directory}/data${suffix}`;
  }
  get quarantine(): string {
    return `${this.directory}/quarantine`;
  }
  segment(startOffset: PhysicalOffset): string {
    return `${this.data}/${segmentFileName(startOffset)}`;
  }
}

export function segmentStartOf(offset: PhysicalOffset, segmentSizeBytes: number): PhysicalOffset {
  return (offset - (offset % segmentSizeBytes)) as PhysicalOffset;
}

/** @returns which log a directory with this name in a store's directory holds; null: none */
export function generationOf(name: string): number | null {
  const match = DATA_NAME.exec(name);
  return match === null ? null : Number(match[1] ?? 0);
}

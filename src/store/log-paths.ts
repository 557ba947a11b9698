/** Names inside a store's directory. */
import type { PhysicalOffset } from '../base/units.ts';
import { segmentFileName } from './segment.ts';

export class LogPaths {
  readonly directory: string;
  constructor(directory: string) {
    this.directory = directory;
  }

  get superblock(): string {
    return `${this.directory}/superblock`;
  }
  get durableRing(): string {
    return `${this.directory}/durable.ring`;
  }
  get data(): string {
    return `${this.directory}/data`;
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

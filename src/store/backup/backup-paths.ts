/** Names inside a backup. */
import type { PhysicalOffset } from '../../base/units.ts';
import { segmentFileName } from '../segment.ts';

export const MANIFEST_NAME = 'MANIFEST.json';
export const UNFINISHED_NAME = 'UNFINISHED.json';
const PART = '.part';

export class BackupPaths {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Last of all: what has none is no backup. */
  get manifest(): string {
    return `${this.directory}/${MANIFEST_NAME}`;
  }
  /** What was begun; gone when it is finished. */
  get unfinished(): string {
    return `${this.directory}/${UNFINISHED_NAME}`;
  }
  get data(): string {
    return `${this.directory}/data`;
  }
  get snapshots(): string {
    return `${this.directory}/snapshot`;
  }

  segment(start: PhysicalOffset): string {
    return `${this.directory}/${segmentName(start)}`;
  }

  snapshot(appliedIndex: number): string {
    return `${this.directory}/${snapshotName(appliedIndex)}`;
  }
}

/** Relative to the backup, as the manifest names it. */
export function segmentName(start: PhysicalOffset): string {
  return `data/${segmentFileName(start)}`;
}

export function snapshotName(appliedIndex: number): string {
  return `snapshot/${String(appliedIndex).padStart(20, '0')}.snap`;
}

/** A file that is not whole yet. */
export function partOf(path: string): string {
  return `${path}${PART}`;
}

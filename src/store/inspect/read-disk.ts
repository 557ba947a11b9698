/** The disk as an inspection needs it: nothing in this folder can write, lock or create. */
import type { Disk } from '../../io/disk.ts';

export type ReadDisk = Pick<Disk, 'list' | 'sizeOf' | 'read'>;

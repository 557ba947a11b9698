/** Bounds of taking, reading and restoring backups, each with its reason. */
import { MIB } from '../../base/sizes.ts';

/** Read and written at once: memory stays bounded whatever the size of the log. */
export const BACKUP_PIECE_SIZE_BYTES = MIB;
/** A log that is retained faster than it can be copied is not begun anew for ever. */
export const BACKUP_STARTS_MAX = 5;
/** Between two rounds of asking all nodes. */
export const BACKUP_RETRY_MS = 500;
/** Without a single byte from any node for so long, it is given up; what is there is kept. */
export const BACKUP_STANDSTILL_MS_MAX = 2 * 60 * 1000;
/** Of what one entry or one segment header says about the number of files. */
export const MANIFEST_SIZE_BYTES_MAX = 64 * MIB;

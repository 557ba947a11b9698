/** Bounds of giving backups away, each with its reason. */
import { MIB } from '../../base/sizes.ts';

/** All backups of a node together, when nobody asks for less: half of a Gbit/s, as snapshots have. */
export const BACKUP_BYTES_PER_SECOND_MAX = 64 * MIB;
/** Read from the log and sent at once. */
export const BACKUP_CHUNK_SIZE_BYTES = MIB;
/** A chunk with the largest entry, and its envelope. */
export const BACKUP_MESSAGE_SIZE_BYTES_MAX = 64 * MIB;
/** At the same time: each holds the log of this node. */
export const BACKUP_HOLDERS_MAX = 4;
/** Without a word from the one who takes it, nothing is held any more: a connection may be made again. */
export const BACKUP_LEASE_MS = 60_000;
/** However fast or slow it goes, the disk of this node is not its. */
export const BACKUP_HELD_MS_MAX = 24 * 60 * 60 * 1000;
/** As many can have had their day within one. */
export const BACKUP_HOLDERS_KEPT_MAX = 2 * BACKUP_HOLDERS_MAX;
/** A follower learns what is committed with the next message of the leader. */
export const COMMIT_WAIT_MS = 5_000;
/** For the first snapshot of a young group; the taker pauses between two. */
export const SNAPSHOT_WAIT_MS = 20_000;
export const POLL_MS = 50;
/** A receiver that takes nothing for so long has gone. */
export const BACKUP_STALL_MS_MAX = 30_000;

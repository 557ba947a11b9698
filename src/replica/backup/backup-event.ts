/** What an operator should read in the log of a node about backups that are taken from it. */
import type { PinEnd } from './log-pins.ts';

export type BackupServiceEvent =
  | { readonly kind: 'backupBegun'; readonly holder: string; readonly firstIndex: number }
  /** All of it has been given. */
  | { readonly kind: 'backupGiven'; readonly holder: string; readonly lastIndex: number }
  /** The log is not held for it any more. */
  | { readonly kind: 'backupPinEnded'; readonly holder: string; readonly why: PinEnd }
  /** Rot was read in the own log: it will have to be repaired. */
  | { readonly kind: 'backupSourceRotten'; readonly problem: string };

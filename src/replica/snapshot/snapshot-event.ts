/** What an operator should read in the log about snapshots and the beginning of the log. */
import type { NodeId } from '../../base/units.ts';
import type { ReceiverEvent } from './snapshot-receiver.ts';
import type { SenderEvent } from './snapshot-sender.ts';

export type SnapshotEvent =
  | SenderEvent
  | ReceiverEvent
  | {
      readonly kind: 'snapshotTaken';
      readonly index: number;
      readonly chunkCount: number;
      readonly durationMs: number;
    }
  /** No room, or what was written could not be read back: tried again. */
  | { readonly kind: 'snapshotNotTaken'; readonly problem: string }
  /** The log of this replica was replaced and begins here now; derived state follows. */
  | { readonly kind: 'snapshotInstalled'; readonly firstIndex: number }
  /** Derived state was made from a snapshot and the entries behind it. */
  | { readonly kind: 'stateRebuilt'; readonly index: number }
  /** The log has lost its first entries, and no snapshot here makes good for them: asking the others. */
  | { readonly kind: 'snapshotMissing'; readonly why: readonly string[] }
  | { readonly kind: 'logCompacted'; readonly firstIndex: number }
  /** The disk is nearly full: retention waits no longer for these members (H17). */
  | { readonly kind: 'membersOverridden'; readonly peers: readonly NodeId[] };

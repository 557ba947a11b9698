/**
 * The families of trouble that are not bugs (bugs are InvariantError in assert.ts).
 * Process exit codes are part of the contract with operators and supervisors.
 */

/** Exit codes of the server processes. 70 is an InvariantError. */
export const EXIT_CODE = {
  invariantBroken: 70,
  /** Write or sync of log or superblock failed; the page cache may lie (hazard H2). */
  diskFailed: 74,
  badConfiguration: 78,
  directoryLocked: 75,
  /** The directory holds what recovery refuses to explain. */
  logDamaged: 76,
  /** No valid identity or vote memory, or it belongs to another node, group or cluster. */
  identityRefused: 77,
  addressInUse: 79,
  /** A majority of the group says that its directory is not the one it knows, or that it was removed. */
  refusedByGroup: 80,
  /** The node was removed from its group: its id is never used again, and no start helps. */
  removedFromGroup: 82,
  /** The group does not take the new node in: the token, the address or the directory is wrong. */
  joinRefused: 83,
  /** The disk failed three times within an hour: no start helps before somebody has looked (H2). */
  diskDistrusted: 81,
} as const;
export type FatalReason = keyof typeof EXIT_CODE;

/** The environment cannot be worked with: bin/ prints the sentence and exits with the reason's code. */
export class FatalError extends Error {
  override readonly name = 'FatalError';
  readonly reason: FatalReason;
  constructor(reason: FatalReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** Bytes that do not say what they should. Recovery or the caller decides; never skipped. */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError';
}

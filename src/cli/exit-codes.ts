/** What the exit code of a command says; scripts rely on it. */
export const CLI_EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  /** A precondition does not hold; nothing was changed. */
  refused: 4,
  /** Unreachable or out of time. Whether a write took effect is unknown. */
  unknown: 6,
  /** Begun, and not finished within --wait: the same command goes on. */
  pending: 7,
  unhealthy: 8,
  /** The membership or the plan is not the one that was named; nothing was changed. */
  conflict: 9,
  declined: 10,
  /** No leader, or nobody there: nothing was changed. */
  unavailable: 11,
  interrupted: 130,
} as const;
export type CliExit = (typeof CLI_EXIT)[keyof typeof CLI_EXIT];

/** For help and docs. */
export const EXIT_MEANINGS: readonly (readonly [CliExit, string])[] = [
  [CLI_EXIT.ok, 'done, or already so'],
  [CLI_EXIT.failure, 'failure'],
  [CLI_EXIT.usage, 'wrong usage'],
  [CLI_EXIT.notFound, 'not found'],
  [CLI_EXIT.refused, 'refused by a check; nothing was changed'],
  [CLI_EXIT.unknown, 'unreachable or out of time: whether a write took effect is unknown'],
  [CLI_EXIT.pending, 'begun and not finished in time: the same command goes on'],
  [CLI_EXIT.unhealthy, 'unhealthy or damaged'],
  [CLI_EXIT.conflict, 'the membership or plan has changed; nothing was changed'],
  [CLI_EXIT.declined, 'declined by the user'],
  [CLI_EXIT.unavailable, 'no leader, or nobody there; nothing was changed'],
  [CLI_EXIT.interrupted, 'interrupted'],
];

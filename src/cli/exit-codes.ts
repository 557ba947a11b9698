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
  unhealthy: 8,
  declined: 10,
  interrupted: 130,
} as const;
export type CliExit = (typeof CLI_EXIT)[keyof typeof CLI_EXIT];

/** What the scripts of all shells have in common. */

/** Which cluster is meant: the hidden command that lists names is told as well. */
export const WHERE_FLAGS = ['--context', '--namesrv', '--endpoints'] as const;

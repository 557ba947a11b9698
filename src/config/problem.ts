/** What is wrong with a configuration. All problems are told at once: an operator starts a server once. */

export interface Problem {
  /** `broker.yaml:12`, `--grpc`, `MQ_RAFT_BROKER_GRPC`, or the key where nothing was given. */
  readonly where: string;
  readonly what: string;
  /** What was probably meant; null: nobody knows. */
  readonly hint: string | null;
}

export function problem(where: string, what: string, hint: string | null = null): Problem {
  return { where, what, hint };
}

export function problemText({ where, what, hint }: Problem): string {
  return `${where}: ${what}${hint === null ? '' : ` (${hint})`}`;
}

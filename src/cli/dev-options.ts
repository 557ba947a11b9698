/** What `mq-raft dev` can be told. Values are checked; defaults are filled in. */
export interface DevOptions {
  readonly directory: string;
  readonly nodeCount: 1 | 3 | 5 | null;
  /** null: the well-known ports. */
  readonly basePort: number | null;
  readonly json: boolean;
  readonly autoCreateTopics: boolean;
  readonly wipe: boolean;
  /** Wipe without asking. */
  readonly yes: boolean;
  readonly restartNodes: boolean;
  readonly segmentSizeBytes: number;
}

/** The nodes of a group, as a backup asks them. */
import type { LogIndex } from '../base/units.ts';
import type { BackupNodeClient } from '../client/backup-client.ts';
import { delay } from '../client/delay.ts';
import { type KnownNode, NoNodesKnown } from '../client/node-directory.ts';
import { BackupNodeFailure } from '../protocol/backup.ts';
import { BACKUP_RETRY_MS } from '../store/backup/limits.ts';
import { CliError } from './cli-error.ts';
import { CLI_EXIT } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';

/** The nodes of the group, as they are known at each moment; connections are kept. */
export class BackupNodes {
  readonly #invocation: Invocation;
  readonly #only: string | null;
  readonly #open = new Map<string, BackupNodeClient>();
  /** By address. */
  #leader: string | null = null;

  constructor(invocation: Invocation, only: string | null) {
    this.#invocation = invocation;
    this.#only = only;
  }

  /** How far everything reaches that was acknowledged until now; the leader alone knows. */
  async mark(isPatient: boolean): Promise<LogIndex> {
    const { environment, signal, timeoutMs } = this.#invocation;
    const { clock } = environment;
    const untilMs = clock.monotonicMs() + (isPatient ? Infinity : Math.max(timeoutMs, MARK_MS_MIN));
    // Ends with an answer, or when the time is over.
    for (;;) {
      const why: string[] = [];
      for (const node of await this.#known()) {
        const answer = await this.#markOf(node);
        if (typeof answer === 'number') return answer;
        why.push(answer);
      }
      this.#invocation.admin().directory.forget();
      if (clock.monotonicMs() > untilMs) throw noLeader(why);
      await delay(clock, BACKUP_RETRY_MS, signal);
    }
  }

  /** @returns why it does not say */
  async #markOf({ raft, nodeId }: KnownNode): Promise<LogIndex | string> {
    const { signal } = this.#invocation;
    const name = nodeId ?? raft;
    try {
      const { committedIndex } = await this.#at(raft, name).mark(signal);
      if (committedIndex === null) return `${name} does not lead`;
      this.#leader = raft;
      return committedIndex;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BackupNodeFailure)) throw error;
      return `${name}: ${error.message}`;
    }
  }

  /** Followers first: live traffic is the leader's. */
  async inOrder(): Promise<readonly BackupNodeClient[]> {
    const known = (await this.#known()).filter(({ raft, nodeId }) => {
      return this.#only === null || this.#only === nodeId || this.#only === raft;
    });
    if (known.length === 0 && this.#only !== null) throw unknownNode(this.#only);
    const isLeader = ({ raft }: KnownNode): boolean => raft === this.#leader;
    const ordered = [...known.filter((node) => !isLeader(node)), ...known.filter(isLeader)];
    return ordered.map(({ raft, nodeId }) => this.#at(raft, nodeId ?? raft));
  }

  close(): void {
    for (const node of this.#open.values()) node.close();
  }

  /** None while no name server answers. */
  async #known(): Promise<readonly KnownNode[]> {
    try {
      return (await this.#invocation.admin().group()).nodes;
    } catch (error) {
      if (!(error instanceof NoNodesKnown)) throw error;
      return [];
    }
  }

  #at(address: string, name: string): BackupNodeClient {
    const known = this.#open.get(address);
    if (known !== undefined) return known;
    const node = this.#invocation.environment.openBackupNode(address, name);
    this.#open.set(address, node);
    return node;
  }
}

/** An election in progress is no reason to give up. */
const MARK_MS_MIN = 10_000;

function noLeader(why: readonly string[]): CliError {
  return new CliError({
    exit: CLI_EXIT.unavailable,
    what: 'backup: nobody could say what has been acknowledged until now',
    why: why.length === 0 ? 'no node is known' : why.join('; '),
    todo: 'see `mq-raft status`; with --wait it waits for a leader',
  });
}

function unknownNode(name: string): CliError {
  return new CliError({
    exit: CLI_EXIT.notFound,
    what: `backup: no node ${name} is known`,
    why: null,
    todo: 'see `mq-raft member list`; a node is named by its id or by host:port',
  });
}

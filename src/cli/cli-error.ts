/**
 * How trouble reaches the user: what happened, why (with the numbers that were seen), what to do.
 * Every error of the client is turned into one here; what is not known here is a bug of ours.
 */
import { NoNodesKnown } from '../client/node-directory.ts';
import { BrokerError, type BrokerErrorCode } from '../protocol/verbs.ts';
import { adminTroubleOf } from './admin-trouble.ts';
import { UserFileError } from './environment.ts';
import { CLI_EXIT, type CliExit } from './exit-codes.ts';
import { wrap } from './render/text.ts';

export interface Trouble {
  readonly exit: CliExit;
  readonly what: string;
  /** null: `what` says it all. */
  readonly why: string | null;
  readonly todo: string | null;
}

export class CliError extends Error implements Trouble {
  override readonly name = 'CliError';
  readonly exit: CliExit;
  readonly what: string;
  readonly why: string | null;
  readonly todo: string | null;

  constructor(trouble: Trouble, options?: ErrorOptions) {
    super(trouble.what, options);
    this.exit = trouble.exit;
    this.what = trouble.what;
    this.why = trouble.why;
    this.todo = trouble.todo;
  }
}

export function usageError(what: string, todo: string | null = null): CliError {
  return new CliError({ exit: CLI_EXIT.usage, what, why: null, todo });
}

/** What the user was doing, for the sentence. */
export interface Doing {
  /** `send orders`: the command as it was typed. */
  readonly what: string;
  readonly isWrite: boolean;
  readonly topic?: string;
  /** What to do when no node is found there; where it was looked for decides. */
  readonly findTodo: string;
}

/** @returns null when the error is none of the expected ones. */
export function troubleOf(error: unknown, doing: Doing): Trouble | null {
  if (error instanceof CliError) return error;
  if (error instanceof NoNodesKnown) {
    return {
      exit: CLI_EXIT.unknown,
      what: `${doing.what}: no node was found`,
      why: error.message,
      todo: doing.findTodo,
    };
  }
  if (error instanceof BrokerError) return brokerTrouble(error, doing);
  if (error instanceof UserFileError) {
    return {
      exit: CLI_EXIT.failure,
      what: `${doing.what}: ${error.message}`,
      why: null,
      todo: null,
    };
  }
  return adminTroubleOf(error, doing);
}

const EXIT_OF: Readonly<Partial<Record<BrokerErrorCode, CliExit>>> = {
  topicNotFound: CLI_EXIT.notFound,
  groupNotFound: CLI_EXIT.notFound,
  forbidden: CLI_EXIT.refused,
  busy: CLI_EXIT.refused,
  diskFull: CLI_EXIT.refused,
  typeNotAccepted: CLI_EXIT.refused,
  unsupported: CLI_EXIT.refused,
  timeout: CLI_EXIT.unknown,
  internal: CLI_EXIT.failure,
};

function brokerTrouble(error: BrokerError, doing: Doing): Trouble {
  const { code, message } = error;
  // The rest are values that the broker does not take: the same as a wrong argument.
  const exit = EXIT_OF[code] ?? CLI_EXIT.usage;
  if (code === 'topicNotFound' && doing.topic !== undefined) {
    return {
      exit,
      what: `Topic ${doing.topic} does not exist`,
      why: null,
      todo: `npx mq-raft topic create ${doing.topic}`,
    };
  }
  if (code === 'timeout') {
    const outcome = doing.isWrite ? 'outcome unknown, no answer in time' : 'no answer in time';
    return {
      exit,
      what: `${doing.what}: ${outcome}`,
      why: message,
      todo: 'look at `npx mq-raft status`',
    };
  }
  if (code === 'busy') {
    const todo = 'nothing was stored; try again, and look at `npx mq-raft status`';
    return { exit, what: `${doing.what}: refused for now`, why: message, todo };
  }
  if (code === 'diskFull') {
    const todo = 'free space on the disk of the leader: see `npx mq-raft status`';
    return { exit, what: `${doing.what}: refused, the disk is full`, why: message, todo };
  }
  return { exit, what: `${doing.what}: the broker said no`, why: message, todo: null };
}

/** @param columns where lines are broken; null: nowhere, it is read by a program */
export function troubleText({ what, why, todo }: Trouble, columns: number | null): string {
  const parts = [
    ['error: ', what],
    ['  why:   ', why],
    ['  to do: ', todo],
  ] as const;
  const lines = parts.flatMap(([label, text]) => {
    if (text === null) return [];
    const broken = text
      .split('\n')
      .flatMap((line) => (columns === null ? [line] : wrap(line, columns - label.length)));
    return broken.map((line, i) => (i === 0 ? label : ' '.repeat(label.length)) + line);
  });
  return `${lines.join('\n')}\n`;
}

/** Trouble with administration, in words. */

import { GroupUnclear } from '../client/admin-client.ts';
import { AdminError, type AdminFailureCode } from '../protocol/admin.ts';
import type { Doing, Trouble } from './cli-error.ts';
import { CLI_EXIT, type CliExit } from './exit-codes.ts';

/** @returns null when the error is none of administration. */
export function adminTroubleOf(error: unknown, doing: Doing): Trouble | null {
  if (error instanceof GroupUnclear) {
    const names = error.groups.join(', ');
    return {
      exit: CLI_EXIT.usage,
      what: `${doing.what}: ${error.message}`,
      why: names === '' ? null : `there are ${names}`,
      todo: 'name one with --group',
    };
  }
  if (!(error instanceof AdminError)) return null;
  const { code, message } = error;
  if (code === 'timeout') return timeoutTrouble(message, doing);
  return {
    exit: EXIT_OF[code],
    what: `${doing.what}: ${WHAT_OF[code]}`,
    why: message,
    todo: TODO_OF[code],
  };
}

function timeoutTrouble(message: string, doing: Doing): Trouble {
  if (!doing.isWrite) {
    return {
      exit: CLI_EXIT.unknown,
      what: `${doing.what}: no answer in time`,
      why: message,
      todo: 'without a leader, --stale asks a node for what it knows by itself',
    };
  }
  return {
    exit: CLI_EXIT.unknown,
    what: `${doing.what}: outcome unknown, no answer in time`,
    why: message,
    todo: 'the same command again says how it went, and goes on; `mq-raft member list` shows who belongs to the group',
  };
}

const EXIT_OF: Readonly<Record<AdminFailureCode, CliExit>> = {
  badRequest: CLI_EXIT.usage,
  unsupported: CLI_EXIT.failure,
  underRepair: CLI_EXIT.refused,
  busy: CLI_EXIT.refused,
  timeout: CLI_EXIT.unknown,
  joinRefused: CLI_EXIT.refused,
  internal: CLI_EXIT.failure,
};

const WHAT_OF: Readonly<Record<AdminFailureCode, string>> = {
  badRequest: 'the group did not understand it',
  unsupported: 'the group cannot do that',
  underRepair: 'the node repairs its log first',
  busy: 'refused for now',
  timeout: 'no answer in time',
  joinRefused: 'the group does not take the node in',
  internal: 'the node failed at it',
};

const TODO_OF: Readonly<Record<AdminFailureCode, string | null>> = {
  badRequest: null,
  unsupported: 'nodes of an older version are brought up to date first',
  underRepair: '`mq-raft node status` shows how far it is',
  busy: 'try again',
  timeout: null,
  joinRefused: null,
  internal: 'its log says more',
};

/**
 * Puts records into the log and turns what can happen into values and errors of this layer.
 *
 * Invariant: what was decided in one leadership is proposed in that leadership or not at all; what
 * the decision looked at may be outdated in the next one.
 */
import { assert } from '../base/assert.ts';
import { concatBytes } from '../base/bytes.ts';
import type { Term } from '../base/units.ts';
import { type Command, encodeCommandRecord } from '../protocol/command-record.ts';
import type { Replica } from '../replica/replica.ts';
import type { RecordResult } from '../store/derived/derived-state.ts';
import { LeadershipLost } from './leadership-lost.ts';
import { BrokerError } from './verbs.ts';

export interface EncodedRecord {
  readonly kind: 'message' | 'command';
  readonly bytes: Uint8Array;
}

export function commandRecord(command: Command): EncodedRecord {
  return { kind: 'command', bytes: encodeCommandRecord(command) };
}

export class Proposer {
  readonly #replica: Replica;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** @throws LeadershipLost when this node may not serve. */
  requireTerm(): Term {
    const leadership = this.#replica.leadership();
    if (leadership === null) throw new LeadershipLost();
    return leadership.term;
  }

  /**
   * @param term the leadership in which the records were decided
   * @param onQueued see {@link Replica.propose}
   * @returns one result per record, after all are applied here
   * @throws LeadershipLost when the outcome is unknown or nothing was appended for lack of leadership
   * @throws BrokerError busy, before anything was appended
   */
  async propose(
    term: Term,
    records: readonly EncodedRecord[],
    onQueued?: () => void,
  ): Promise<readonly [RecordResult, ...RecordResult[]]> {
    if (this.#replica.leadership()?.term !== term) throw new LeadershipLost();
    const messageRecordAt: number[] = [];
    let at = 0;
    for (const { kind, bytes } of records) {
      if (kind === 'message') messageRecordAt.push(at);
      at += bytes.length;
    }
    const proposal = { records: concatBytes(records.map(({ bytes }) => bytes)), messageRecordAt };
    const outcome = await this.#replica.propose(proposal, onQueued);
    if (outcome.kind === 'unknown') throw new LeadershipLost();
    if (outcome.kind === 'rejected') throw rejection(outcome.why, at);
    const [first, ...others] = outcome.results;
    assert(first !== undefined, 'a proposal has results');
    assert(outcome.results.length === records.length, 'each record has one result', () => ({
      records: records.length,
      results: outcome.results.length,
    }));
    return [first, ...others];
  }

  async proposeCommand(term: Term, command: Command): Promise<RecordResult> {
    const [result] = await this.propose(term, [commandRecord(command)]);
    return result;
  }
}

function rejection(why: 'notLeader' | 'busy' | 'tooLarge', sizeBytes: number): Error {
  if (why === 'notLeader') return new LeadershipLost();
  if (why === 'busy') {
    return new BrokerError(
      'busy',
      'The log has as many uncommitted bytes as it may. Send slower, or try again in a moment.',
    );
  }
  return new BrokerError(
    'badRequest',
    `The request needs ${sizeBytes} bytes of log, more than one entry holds. Send it in parts.`,
  );
}

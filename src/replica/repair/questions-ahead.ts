/**
 * Asks one peer for what follows before what was asked for has been written, so that neither the network nor
 * the disk waits for the other. Answers are handed on in the order of the log from the anchor on, several
 * as one when they are there.
 *
 * How many entries fit into an answer is a guess from the last one. An answer that is shorter than its
 * question leaves a remainder, which is asked for at once. Nothing here judges entries; and what came for a
 * place that is not wanted any more is dropped.
 */
import { advance, LogIndex } from '../../base/units.ts';
import type { RepairAnswer, RepairRange } from '../../store/repair/repair-source.ts';
import type { GroupMember } from '../replica-options.ts';
import {
  REPAIR_AHEAD_SIZE_BYTES_MAX,
  REPAIR_GUESS_SHARE,
  REPAIR_HANDED_SIZE_BYTES_MAX,
  REPAIR_QUESTIONS_OPEN_MAX,
} from './limits.ts';
import type { AskOutcome } from './repair-client.ts';

type Ask = (peer: GroupMember, range: RepairRange) => Promise<AskOutcome>;

interface Question {
  range: RepairRange;
  /** null: not answered yet. */
  outcome: AskOutcome | null;
  sizeBytes: number;
  readonly answered: Promise<void>;
}

export class QuestionsAhead {
  readonly #ask: Ask;
  #run: Run | null = null;

  /** @param ask never rejects */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** What this peer answers, with the anchor of `wanted`, perhaps more than one answer may hold. */
  take(peer: GroupMember, wanted: RepairRange): Promise<AskOutcome> {
    if (this.#run?.isFor(peer, wanted) !== true) {
      this.#run = new Run((range) => this.#ask(peer, range), peer, wanted);
    }
    return this.#run.take();
  }
}

/** One peer, one hole, from its anchor on. */
class Run {
  readonly #ask: (range: RepairRange) => Promise<AskOutcome>;
  readonly #peer: GroupMember;
  readonly #wanted: RepairRange;
  /** In the order of handing on. Those that are not answered hold their place. */
  readonly #questions: Question[] = [];
  /** What no question is about yet; null: nothing. */
  #rest: RepairRange | null;
  /** Entries that an answer holds, by the last one; null: unknown, so everything is asked for at once. */
  #guess: number | null = null;

  constructor(
    ask: (range: RepairRange) => Promise<AskOutcome>,
    peer: GroupMember,
    wanted: RepairRange,
  ) {
    this.#ask = ask;
    this.#peer = peer;
    this.#wanted = wanted;
    this.#rest = wanted;
    this.#askMore();
  }

  isFor(peer: GroupMember, wanted: RepairRange): boolean {
    const next = this.#questions[0]?.range;
    if (peer !== this.#peer || next === undefined) return false;
    if (wanted.anchor !== this.#wanted.anchor) return false;
    return wanted.anchor === 'last'
      ? next.to === wanted.to && wanted.from === this.#wanted.from
      : next.from === wanted.from && wanted.to === this.#wanted.to;
  }

  async take(): Promise<AskOutcome> {
    const first = this.#questions[0]!; // of what is wanted there is a question
    await first.answered;
    const taken: RepairAnswer[] = [];
    let sizeBytes = 0;
    let outcome = first.outcome!; // answered
    for (;;) {
      const next = this.#questions[0];
      if (next === undefined || next.outcome === null) break;
      const isTooMuch = sizeBytes + next.sizeBytes > REPAIR_HANDED_SIZE_BYTES_MAX;
      const isAnswer = next.outcome.kind === 'answer' && next.outcome.answer.entries.length > 0;
      if (taken.length > 0 && (isTooMuch || !isAnswer)) break;
      this.#questions.shift();
      outcome = next.outcome;
      if (!isAnswer || outcome.kind !== 'answer') return outcome;
      taken.push(outcome.answer);
      sizeBytes += next.sizeBytes;
    }
    this.#askMore();
    return outcome.kind === 'answer' ? { ...outcome, answer: joined(taken, first.range) } : outcome;
  }

  #askMore(): void {
    while (this.#rest !== null && this.#mayAsk()) {
      const rest = this.#rest;
      const count = Math.min(this.#guess ?? Number.MAX_SAFE_INTEGER, rest.to - rest.from + 1);
      const [near, far] = split(rest, count);
      this.#rest = far;
      this.#questions.push(this.#question(near));
    }
  }

  #mayAsk(): boolean {
    let openCount = 0;
    let sizeBytes = 0;
    for (const question of this.#questions) {
      if (question.outcome === null) openCount += 1;
      sizeBytes += question.sizeBytes;
    }
    return openCount < REPAIR_QUESTIONS_OPEN_MAX && sizeBytes < REPAIR_AHEAD_SIZE_BYTES_MAX;
  }

  #question(range: RepairRange): Question {
    const asking = this.#ask(range);
    const answered = asking.then((outcome) => this.#onAnswer(question, outcome));
    const question: Question = { range, outcome: null, sizeBytes: 0, answered };
    return question;
  }

  #onAnswer(question: Question, outcome: AskOutcome): void {
    question.outcome = outcome;
    const covered = outcome.kind === 'answer' ? coveredOf(question.range, outcome.answer) : null;
    if (outcome.kind !== 'answer' || covered === null) {
      // It may lack the rest as well: who takes this asks anew, this one or another one.
      this.#rest = null;
      return;
    }
    const { entries } = outcome.answer;
    for (const { bytes } of entries) question.sizeBytes += bytes.length;
    const mean = Math.max(1, question.sizeBytes / entries.length);
    const sizeBytes = question.range.sizeBytesMax * REPAIR_GUESS_SHARE;
    this.#guess = Math.max(1, Math.floor(sizeBytes / mean));
    const remainder = split(question.range, entries.length)[1];
    question.range = covered;
    if (remainder !== null) {
      const at = this.#questions.indexOf(question);
      if (at === this.#questions.length - 1) this.#rest = spanOf(remainder, this.#rest);
      else this.#questions.splice(at + 1, 0, this.#question(remainder));
    }
    this.#askMore();
  }
}

/** The `count` entries next to the anchor, and the others. */
function split(range: RepairRange, count: number): readonly [RepairRange, RepairRange | null] {
  const isWhole = count >= range.to - range.from + 1;
  if (isWhole) return [range, null];
  if (range.anchor === 'last') {
    const cut = LogIndex(range.to - count);
    return [
      { ...range, from: advance(cut, 1) },
      { ...range, to: cut },
    ];
  }
  const cut = advance(range.from, count);
  return [
    { ...range, to: LogIndex(cut - 1) },
    { ...range, from: cut },
  ];
}

function spanOf(near: RepairRange, far: RepairRange | null): RepairRange {
  if (far === null) return near;
  return near.anchor === 'last' ? { ...near, from: far.from } : { ...near, to: far.to };
}

/** What of the range the answer is about; null: it is not the answer to that. */
function coveredOf(range: RepairRange, { entries }: RepairAnswer): RepairRange | null {
  const [first, last] = [entries[0]?.desc.index, entries.at(-1)?.desc.index];
  if (first === undefined || last === undefined) return null;
  const isInside = first >= range.from && last <= range.to;
  const hasAnchor = range.anchor === 'last' ? last === range.to : first === range.from;
  const isDense = last - first + 1 === entries.length;
  return isInside && hasAnchor && isDense ? { ...range, from: first, to: last } : null;
}

/** As one answer: what is committed is so in each of them. */
function joined(answers: readonly RepairAnswer[], { anchor }: RepairRange): RepairAnswer {
  const [first] = answers;
  const inOrder = anchor === 'last' ? answers.toReversed() : answers;
  return { ...first!, entries: inOrder.flatMap(({ entries }) => entries) }; // at least one
}

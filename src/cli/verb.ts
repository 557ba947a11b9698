/**
 * Nouns and verbs: `mq-raft member add`. A verb may have a short form at the top, `mq-raft add`: the same
 * command, not shown in the list.
 */
import { Command } from 'commander';
import type { Run } from './invocation.ts';

export interface Verb {
  readonly name: string;
  /** null: none. */
  readonly short: string | null;
  readonly description: string;
  readonly help: string;
  /** Arguments, options, and what it does. */
  readonly build: (command: Command, run: Run) => void;
}

export interface Noun {
  readonly name: string;
  readonly description: string;
  readonly verbs: readonly Verb[];
}

/** @returns the noun and the short forms of its verbs. */
export function addNoun(program: Command, noun: Noun, run: Run): readonly Command[] {
  const command = program.command(noun.name).description(noun.description);
  const shorts: Command[] = [];
  for (const verb of noun.verbs) {
    command.addCommand(made(verb, verb.name, run));
    if (verb.short === null) continue;
    const short = made(verb, verb.short, run);
    program.addCommand(short, { hidden: true });
    shorts.push(short);
  }
  return [command, ...shorts];
}

function made(verb: Verb, name: string, run: Run): Command {
  const command = new Command(name).description(verb.description);
  verb.build(command, run);
  return command.addHelpText('after', `\n${verb.help}`);
}

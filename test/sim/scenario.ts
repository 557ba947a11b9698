/**
 * Runs a scenario text: lines that start with `> ` are commands, what follows is the full expected
 * trace. `quietly` before a command leaves its trace out. The commands are in scenario-commands.ts and
 * in docs/TESTING.md.
 */
import { assert, InvariantError } from '../../src/base/assert.ts';
import { Violation } from './checkers/violation.ts';
import { COMMANDS } from './scenario-commands.ts';
import { ScenarioStage } from './scenario-stage.ts';

class Scenario {
  readonly #stage = new ScenarioStage();
  #isOver = false;

  /** @returns the trace of the command. */
  run(line: string): readonly string[] {
    const words = line.split(' ');
    const isQuiet = words[0] === 'quietly';
    const [name = '', ...args] = isQuiet ? words.slice(1) : words;
    const command = COMMANDS[name];
    assert(command !== undefined, 'a scenario uses known commands', () => ({ line }));
    assert(!this.#isOver, 'a scenario ends with the violation that it shows', () => ({ line }));
    const found: string[] = [];
    try {
      command(this.#stage, args);
      this.#stage.applyAll();
    } catch (error) {
      const isFinding = error instanceof Violation || error instanceof InvariantError;
      if (!isFinding || !this.#stage.isPlanted) throw error;
      this.#isOver = true;
      found.push(`! ${error.message}`);
    }
    const trace = [...this.#stage.takeLines(), ...found];
    return isQuiet ? [] : trace;
  }
}

/** @returns the text with every trace replaced by what happens now. */
export function renderScenario(text: string): string {
  const scenario = new Scenario();
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('> ')) {
      lines.push(line, ...scenario.run(line.slice(2)).map((trace) => `  ${trace}`));
    } else if (line === '' || line.startsWith('#')) {
      lines.push(line);
    }
  }
  return lines.join('\n');
}

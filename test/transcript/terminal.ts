/** A person at a terminal: commands in a pseudo terminal (`script` of util-linux), typed answers, Ctrl-C. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../interop/test-cluster.ts';
import { screenOf } from './screen.ts';

const program = fileURLToPath(new URL('../../src/bin/mq-raft.js', import.meta.url));
const ROWS = 50;
const CTRL_C = '\u0003';
const COMMAND_MS_MAX = 120_000;

export interface TerminalOptions {
  readonly columns: number;
  readonly cwd: string;
  /** Where contexts are kept. */
  readonly configHome: string;
  /** As which the machine is known, so that the audit trail of the page names none of ours. */
  readonly hostName: string;
}

/** A command and what it left on the screen, as a page shows it. */
export interface Shown {
  readonly text: string;
  readonly exit: number;
}

export class Terminal {
  readonly #options: TerminalOptions;

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  get columns(): number {
    return this.#options.columns;
  }

  /** @param act what the person does meanwhile */
  async run(
    words: string,
    act: (running: Running) => Promise<void> = async () => {},
  ): Promise<Shown> {
    const running = new Running(this.#spawn(words));
    try {
      await act(running);
      const exit = await running.end();
      return { text: `$ mq-raft ${words}\n${running.screen.trimEnd()}`, exit };
    } finally {
      running.kill();
    }
  }

  #spawn(words: string): ChildProcess {
    const { columns, cwd, configHome, hostName } = this.#options;
    const command = `stty cols ${columns} rows ${ROWS}; exec "${process.execPath}" "${program}" ${words}`;
    const inside = `hostname ${hostName} && exec script -qefc '${command.replaceAll("'", "'\\''")}' /dev/null`;
    const { PATH, HOME } = process.env;
    return spawn('unshare', ['--uts', 'sh', '-c', inside], {
      cwd,
      env: { PATH, HOME, TERM: 'xterm', NO_COLOR: '1', XDG_CONFIG_HOME: configHome },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }
}

export class Running {
  readonly #child: ChildProcess;
  #output = '';
  #exit: number | null = null;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    child.once('close', (code) => {
      this.#exit = code ?? -1;
    });
  }

  get screen(): string {
    return screenOf(this.#output);
  }

  async shows(pattern: RegExp): Promise<string> {
    return waitFor(`${pattern} on the screen`, async () => {
      if (pattern.test(this.screen)) return this.screen;
      if (this.#exit !== null) throw new Error(`It ended with ${this.#exit}:\n${this.screen}`);
      return null;
    });
  }

  type(text: string): void {
    this.#child.stdin?.write(`${text}\r`);
  }

  pressCtrlC(): void {
    this.#child.stdin?.write(CTRL_C);
  }

  end(): Promise<number> {
    return waitFor('the end of the command', async () => this.#exit, COMMAND_MS_MAX);
  }

  kill(): void {
    if (this.#exit === null) this.#child.kill('SIGKILL');
  }
}

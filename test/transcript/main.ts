/**
 * `npm run transcript [-- --columns 160] [-- --write]`: a machine dies at night under a producer, and a person
 * replaces it, with one wrong command, one interruption and one lost terminal. One unbroken run with real
 * processes, on a real disk, in a pseudo terminal; printed as it was seen, or written into the page.
 *
 * Needs root (a host name of its own) and `script` of util-linux.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { waitFor } from '../interop/test-cluster.ts';
import { FOUNDERS, Machines, NAME_SERVER } from './machines.ts';
import { withBlocks } from './page.ts';
import { Producer } from './producer.ts';
import { type Shown, Terminal } from './terminal.ts';

const PAGE = 'docs/operations.md';
const COLUMNS_OF_PAGE = 80;
const FILL_SIZE_BYTES = 64 * 1024 * 1024;
/** Somebody wakes up, and reads. */
const PAUSE_MS = 1_500;
const GREEN_MS_MAX = 60_000;

const { values } = parseArgs({
  options: {
    columns: { type: 'string', default: String(COLUMNS_OF_PAGE) },
    write: { type: 'boolean', default: false },
  },
});
const columns = Number(values.columns);
assert.ok(columns >= COLUMNS_OF_PAGE, `--columns ${values.columns}: at least ${COLUMNS_OF_PAGE}`);

class Night {
  readonly blocks = new Map<string, string>();
  readonly #terminal: Terminal;
  readonly #machines: Machines;
  readonly #producer: Producer;

  constructor(terminal: Terminal, machines: Machines, producer: Producer) {
    this.#terminal = terminal;
    this.#machines = machines;
    this.#producer = producer;
  }

  async prepare(): Promise<void> {
    await this.#machines.startNameServer();
    await Promise.all(FOUNDERS.map((node) => this.#machines.startFounder(node)));
    await this.#leader();
    await this.#producer.fill(FILL_SIZE_BYTES);
    this.#producer.start();
    await this.#terminal.run(`context add payments --namesrv ${NAME_SERVER}`);
    await this.#terminal.run('context use payments');
    await delay(PAUSE_MS);
  }

  async replaceTheDead(): Promise<void> {
    const leader = await this.#leader();
    const dead = FOUNDERS.toReversed().find((node) => node !== leader) ?? '';
    const healthy = FOUNDERS.find((node) => node !== leader && node !== dead) ?? '';
    await this.#machines.kill(dead);
    await delay(PAUSE_MS);
    const at = Machines.raftOf('n4');
    await this.#show('status', 'status');
    await this.#show('wrong', `remove ${healthy} --yes`, 4);
    await this.#show('plan', `replace ${dead} n4 --addr ${at} --dry-run`);

    const replace = `replace ${dead} n4 --addr ${at}`;
    let line = '';
    const interrupted = await this.#terminal.run(replace, async (running) => {
      await running.shows(/type \S+ to go on:$/);
      running.type(dead);
      const screen = await running.shows(/--dir \S+/);
      line = /^ {2}(mq-raft-broker [\s\S]*?--dir \S+)/m.exec(screen)?.[1] ?? '';
      await delay(PAUSE_MS);
      running.pressCtrlC();
    });
    this.#keep('interrupted', interrupted, 130);
    await this.#show('under-way', 'member list');

    await this.#machines.startByLine('n4', line);
    const resumed = await this.#terminal.run(replace, async (running) => {
      await running.shows(/type \S+ to go on:$/);
      running.type(dead);
    });
    this.#keep('resumed', resumed, 0);
    await this.#show('members', 'member list');
    // A new process has still much to do at once: its delays of the first seconds are none of a quiet one.
    await waitFor(
      'a green check',
      async () => {
        const shown = await this.#terminal.run('check');
        if (shown.exit === 0) this.#keep('check', shown, 0);
        return shown.exit === 0 ? shown : null;
      },
      GREEN_MS_MAX,
    );
    await this.#show('events', 'events');
    await this.#show('again', `add ${dead} --addr ${Machines.raftOf(dead)}`, 4);
    this.#tell();
  }

  /** Two of three are lost, and will never come back. */
  async loseTheMajority(): Promise<void> {
    const lostAt = new Date().toISOString();
    const left = FOUNDERS.find((node) => this.#machines.isRunning(node)) ?? '';
    const other = [...FOUNDERS, 'n4'].find(
      (node) => node !== left && this.#machines.isRunning(node),
    );
    await this.#machines.killAll();
    await this.#show('not-needed', `unsafe-recover ${left} ${other}`, 4);
    const command = `unsafe-recover ${left} --lost-at ${lostAt}`;
    await this.#show('loss', command);
    const executed = await this.#terminal.run(`${command} --execute`, async (running) => {
      const screen = await running.shows(/Type .+ to give them up:$/);
      running.type(/Type (.+) to give them up:$/.exec(screen)?.[1] ?? '');
    });
    this.#keep('recovered', executed, 0);
  }

  async #show(name: string, words: string, exit = 0): Promise<Shown> {
    const shown = await this.#terminal.run(words);
    this.#keep(name, shown, exit);
    return shown;
  }

  #keep(name: string, { text, exit }: Shown, want: number): void {
    assert.equal(exit, want, text);
    const wide = text.split('\n').slice(1);
    assert.deepEqual(
      wide.filter(({ length }) => length > this.#terminal.columns),
      [],
      'no line is wider than the terminal',
    );
    this.blocks.set(name, `${text}\n[exit ${exit}]`);
  }

  #tell(): void {
    const { acknowledgedCount, failures, longestGapMs } = this.#producer;
    assert.deepEqual(failures, [], 'no send fails in that night');
    this.blocks.set(
      'producer',
      `The producer had ${acknowledgedCount} messages acknowledged in that time, and none refused; the longest time ` +
        `between two acknowledgements was ${Math.round(longestGapMs)} ms.`,
    );
  }

  async #leader(): Promise<string> {
    return waitFor('a leader', async () => {
      for (const node of FOUNDERS) {
        const text = await fetch(`http://${Machines.raftOf(node).split(':')[0]}:9910/metrics`).then(
          (response) => response.text(),
        );
        if (/^mqraft_raft_role\{role="leader"\} 1$/m.test(text)) return node;
      }
      return null;
    });
  }
}

const root = mkdtempSync(join(tmpdir(), 'mq-raft-night-'));
const configHome = join(root, 'config');
mkdirSync(configHome);
const machines = new Machines(root);
const producer = new Producer(NAME_SERVER, 'orders');
const terminal = new Terminal({ columns, cwd: root, configHome, hostName: 'bastion' });
const night = new Night(terminal, machines, producer);
try {
  await night.prepare();
  await night.replaceTheDead();
  await producer.stop();
  await night.loseTheMajority();
} finally {
  producer.close();
  await machines.killAll();
  rmSync(root, { recursive: true, force: true });
}
if (values.write) {
  assert.equal(columns, COLUMNS_OF_PAGE, 'the page is as wide as a terminal is by habit');
  writeFileSync(PAGE, withBlocks(readFileSync(PAGE, 'utf8'), night.blocks));
} else {
  for (const [name, text] of night.blocks) console.log(`<!-- run: ${name} -->\n${text}\n`);
}

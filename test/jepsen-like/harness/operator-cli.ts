/**
 * An operator at work: the command line of this build, as a program of its own; and for what must come faster
 * than programs start, the calls that it makes.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createAdminCallClient } from '../../../src/client/admin-client.ts';
import { BrokerCallFailure } from '../../../src/client/call-client.ts';
import { NO_OPTIONS } from '../../../src/protocol/admin.ts';
import type { Network } from './network.ts';

const PROGRAM = fileURLToPath(new URL('../../../src/bin/mq-raft.js', import.meta.url));
/** A command waits for what it began; faults make that long. */
const COMMAND_MS_MAX = 60_000;
const CALL_MS_MAX = 2_000;

export interface CommandEnd {
  readonly code: number | null;
  readonly output: string;
}

export class OperatorCli {
  readonly #endpoints: readonly string[];
  #asked = 0;

  constructor(network: Network, nodes: readonly string[]) {
    this.#endpoints = nodes.map((node) => network.forClients(node).raft);
  }

  /** To the fittest, asked for at one node after the other. @returns what came of it, in a word */
  async transfer(): Promise<string> {
    const endpoint = this.#endpoints[this.#asked++ % this.#endpoints.length]!; // a remainder
    const client = createAdminCallClient(endpoint);
    const request = { kind: 'transfer', to: null } as const;
    const options = { ...NO_OPTIONS, actor: 'storm' };
    try {
      const call = { remainingMs: CALL_MS_MAX, hops: 0, stale: false, request, options };
      const reply = await client.call(call, new AbortController().signal);
      return reply.kind;
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      return 'no answer';
    } finally {
      client.close();
    }
  }

  /** What is refused or fails is an end like another: `code` says it. */
  async command(...words: readonly string[]): Promise<CommandEnd> {
    return runProgram([...words, '--endpoints', this.#endpoints.join(',')]);
  }

  /** Whether this build knows the words at all. */
  async knows(...words: readonly string[]): Promise<boolean> {
    const { code, output } = await runProgram([...words, '--help']);
    return code === 0 && output.includes(`mq-raft ${words.join(' ')}`);
  }
}

function runProgram(args: readonly string[]): Promise<CommandEnd> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const add = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

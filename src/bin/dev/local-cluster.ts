/**
 * The processes of a local cluster. No child outlives us: each holds a pipe whose end tells it that
 * we are gone, however we went.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DevNode } from '../../cli/render/dev-banner.ts';
import type { Clock } from '../../io/clock.ts';
import { type Child, type ChildExit, logTail, startChild } from '../../io/node/child-processes.ts';
import { brokerArgs, type DevPlan } from './plan.ts';

const binFolder = fileURLToPath(new URL('..', import.meta.url));

/** An orderly stop flushes and leaves the routes; this is ample for both. */
export const STOP_GRACE_MS = 10_000;
const TAIL_LINES = 8;

export interface LocalClusterOptions {
  readonly plan: DevPlan;
  readonly logFolder: string;
  readonly segmentSizeBytes: number;
  readonly autoCreateTopics: boolean;
  readonly clock: Clock;
  /** A process ended that nobody had asked to. */
  readonly onUnexpectedExit: (child: Child, exit: ChildExit) => void;
}

/** A child ended before it was ready. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed';
  readonly exit: ChildExit;
  /** What it said last, for people. */
  readonly lastWords: readonly string[];
  readonly logPath: string;
  constructor(child: Child, exit: ChildExit) {
    super(child.name);
    this.exit = exit;
    this.logPath = child.logPath;
    this.lastWords = lastWords(logTail(child.logPath, TAIL_LINES));
  }
}

export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #children = new Map<string, Child>();
  /** By node, as its ready line said. */
  readonly #syncMsP99 = new Map<string, number>();
  #isStopping = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
  }

  /** Resolves when all listen. @throws ChildFailed */
  async start(): Promise<void> {
    const { plan } = this.#options;
    const names = plan.nameServers.map((address, i) => this.#startNameServer(address, i));
    const nodes = plan.nodes.map(({ id }) => this.startNode(id));
    await Promise.all([...names, ...nodes]);
  }

  async startNode(id: string): Promise<void> {
    const { plan } = this.#options;
    const node = plan.nodes.find((each) => each.id === id);
    if (node === undefined || this.#isStopping) return;
    const line = await this.#start(id, 'broker.js', brokerArgs(plan, node, this.#options));
    const syncMsP99 = syncMsP99In(line);
    if (syncMsP99 !== null) this.#syncMsP99.set(id, syncMsP99);
  }

  nodes(): readonly DevNode[] {
    return this.#options.plan.nodes.map((node) => ({
      ...node,
      pid: this.#pidOf(node.id),
      syncMsP99: this.#syncMsP99.get(node.id) ?? null,
    }));
  }

  nameServers(): readonly { readonly pid: number; readonly address: string }[] {
    return this.#options.plan.nameServers.map((address, i) => ({
      pid: this.#pidOf(nameServerName(i)),
      address,
    }));
  }

  /** Nodes that do not run. */
  stoppedNodes(): readonly string[] {
    return this.#options.plan.nodes
      .map(({ id }) => id)
      .filter((id) => this.#children.get(id)?.isRunning !== true);
  }

  /** Brokers first, so that they can leave the routes. @returns who had to be killed */
  async stop(): Promise<readonly string[]> {
    this.#isStopping = true;
    const brokers = this.#options.plan.nodes.map(({ id }) => id);
    const killed = await this.#stopAll(brokers);
    const others = [...this.#children.keys()].filter((name) => !brokers.includes(name));
    return [...killed, ...(await this.#stopAll(others))];
  }

  killAll(): void {
    this.#isStopping = true;
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }

  async #startNameServer(address: string, i: number): Promise<void> {
    await this.#start(nameServerName(i), 'namesrv.js', ['--listen', address, '--supervised']);
  }

  /** @returns the line in which it said that it is ready */
  async #start(name: string, script: string, args: readonly string[]): Promise<string> {
    const logPath = join(this.#options.logFolder, `${name}.log`);
    const child = await startChild({ name, script: join(binFolder, script), args, logPath });
    this.#children.set(name, child);
    if (this.#isStopping) child.kill('SIGTERM');
    const line = await child.readyLine;
    if (line === null) throw new ChildFailed(child, await child.exited);
    void child.exited.then((exit) => {
      if (!this.#isStopping) this.#options.onUnexpectedExit(child, exit);
    });
    return line;
  }

  async #stopAll(names: readonly string[]): Promise<readonly string[]> {
    const children = names.flatMap((name) => {
      const child = this.#children.get(name);
      return child?.isRunning === true ? [child] : [];
    });
    const killed: string[] = [];
    const timer = this.#options.clock.setTimer(STOP_GRACE_MS, () => {
      for (const child of children.filter(({ isRunning }) => isRunning)) {
        killed.push(child.name);
        child.kill('SIGKILL');
      }
    });
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map(({ exited }) => exited));
    timer.cancel();
    return killed;
  }

  #pidOf(name: string): number {
    return this.#children.get(name)?.pid ?? 0;
  }
}

function nameServerName(i: number): string {
  return `namesrv-${i + 1}`;
}

/** The sentence of a fatal line says it all; else the end of the log has to. */
export function lastWords(tail: readonly string[]): readonly string[] {
  const sentence = /^\{"level":"fatal".*"msg":("(?:[^"\\]|\\.)*")/.exec(tail.at(-1) ?? '')?.[1];
  return sentence === undefined ? tail : String(JSON.parse(sentence)).split('\n');
}

/** The line is our own broker's, but another version of it may say less. */
function syncMsP99In(readyLine: string): number | null {
  const ready: unknown = JSON.parse(readyLine);
  if (typeof ready !== 'object' || ready === null || !('fsyncP99Ms' in ready)) return null;
  return typeof ready.fsyncP99Ms === 'number' ? ready.fsyncP99Ms : null;
}

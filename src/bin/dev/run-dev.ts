/**
 * `mq-raft dev`: a local cluster from start to Ctrl-C. Says what happens on one line each; only the
 * banner, or the line of JSON, goes to standard output.
 */
import { resolve } from 'node:path';
import { CliError } from '../../cli/cli-error.ts';
import type { DevOptions } from '../../cli/dev-options.ts';
import type { Output } from '../../cli/environment.ts';
import { CLI_EXIT } from '../../cli/exit-codes.ts';
import { exitCodeMeaning } from '../../cli/exit-meaning.ts';
import { Progress } from '../../cli/progress.ts';
import { type DevView, devBanner, devJson, statusChanges } from '../../cli/render/dev-banner.ts';
import { stateOf } from '../../cli/render/status.ts';
import { paintFor } from '../../cli/render/text.ts';
import {
  type ClusterStatus,
  clusterStatus,
  type GroupStatus,
} from '../../client/cluster-status.ts';
import type { MqClient } from '../../client/mq-client.ts';
import type { KnownNode } from '../../client/node-directory.ts';
import type { Clock } from '../../io/clock.ts';
import type { Child, ChildExit } from '../../io/node/child-processes.ts';
import { choosePorts } from '../../io/node/ports.ts';
import { DevDirectory, runningSupervisor } from './dev-directory.ts';
import { ChildFailed, LocalCluster } from './local-cluster.ts';
import {
  CLUSTER_ID,
  type DevPlan,
  HOST,
  NODE_COUNT_DEFAULT,
  planDev,
  shownDirectory,
} from './plan.ts';

const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 50;
const WATCH_POLL_MS = 500;
const RESTART_DELAY_MS = 1_000;
/** A node that ends again and again is left alone. */
const RESTART_COUNT_MAX = 5;

export interface DevWorld {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly version: { readonly mqRaft: string; readonly node: string };
  readonly workingDirectory: string;
  /** First and second Ctrl-C. */
  readonly interrupted: AbortSignal;
  readonly interruptedAgain: AbortSignal;
  openClient(nodes: readonly KnownNode[]): MqClient;
  /** Whether the user says yes; null: there is nobody to ask. */
  ask(question: string): Promise<boolean | null>;
  /** Each Enter on a terminal; null where there is none. @returns what ends it */
  onEnter(listener: () => void): (() => void) | null;
}

export async function runDev(options: DevOptions, world: DevWorld): Promise<number> {
  const directory = new DevDirectory(resolve(world.workingDirectory, options.directory));
  const prepared = await prepare(directory, options, world);
  if (prepared === null) return CLI_EXIT.declined;
  const dev = new Dev(directory, prepared, options, world);
  try {
    return await dev.run();
  } finally {
    dev.close();
  }
}

/** Everything that can be refused, before a process is started. @returns null when declined */
async function prepare(
  directory: DevDirectory,
  options: DevOptions,
  world: DevWorld,
): Promise<DevPlan | null> {
  const shown = shownDirectory(directory.path, world.workingDirectory);
  const why = directory.make();
  if (why !== null) {
    throw new CliError({
      exit: CLI_EXIT.refused,
      what: `Nothing can be kept in ${shown}`,
      why,
      todo: 'give another --dir',
    });
  }
  const pid = runningSupervisor(directory.record());
  if (pid !== null) {
    throw new CliError({
      exit: CLI_EXIT.refused,
      what: `A cluster runs in ${shown} already`,
      why: `process ${pid} holds it`,
      todo: 'stop that one with Ctrl-C, or give this one another --dir and --base-port',
    });
  }
  if (options.wipe && !(await wipe(directory, shown, options, world))) return null;
  const record = directory.record();
  const presentCount = record?.nodes.length ?? directory.nodeFolders().length;
  const wanted = options.nodeCount ?? (presentCount > 0 ? presentCount : NODE_COUNT_DEFAULT);
  if (presentCount > 0 && wanted !== presentCount) {
    throw new CliError({
      exit: CLI_EXIT.refused,
      what: `${shown} holds a cluster of ${presentCount}, not of ${wanted}`,
      why: 'the members of a group are fixed when it is made',
      todo: `--nodes ${presentCount}, or another --dir, or --wipe to delete what it holds`,
    });
  }
  const { basePort } = options;
  const plan = await planDev({
    directory: directory.path,
    nodeCount: wanted,
    basePort,
    record,
    choosePorts: (wishes) => choosePorts(HOST, wishes),
  });
  for (const { what, from, to } of plan.moves) {
    world.stderr.write(`port ${from} is taken: ${what} uses ${to}\n`);
  }
  return plan;
}

async function wipe(
  directory: DevDirectory,
  shown: string,
  options: DevOptions,
  world: DevWorld,
): Promise<boolean> {
  const folders = directory.nodeFolders();
  if (folders.length > 0 && !options.yes) {
    const answer = await world.ask(`Delete the data of ${folders.join(', ')} in ${shown}?`);
    if (answer === null) {
      throw new CliError({
        exit: CLI_EXIT.declined,
        what: `${shown} was not wiped`,
        why: 'it holds data, and there is no terminal to ask on',
        todo: 'add --yes',
      });
    }
    if (!answer) return false;
  }
  directory.wipe();
  return true;
}

/** One run. */
class Dev {
  readonly #directory: DevDirectory;
  readonly #plan: DevPlan;
  readonly #options: DevOptions;
  readonly #world: DevWorld;
  readonly #cluster: LocalCluster;
  readonly #client: MqClient;
  readonly #restarts = new Map<string, number>();
  #stopListening: (() => void) | null = null;

  constructor(directory: DevDirectory, plan: DevPlan, options: DevOptions, world: DevWorld) {
    this.#directory = directory;
    this.#plan = plan;
    this.#options = options;
    this.#world = world;
    const { segmentSizeBytes, autoCreateTopics } = options;
    this.#cluster = new LocalCluster({
      plan,
      logFolder: directory.logFolder,
      segmentSizeBytes,
      autoCreateTopics,
      clock: world.clock,
      onUnexpectedExit: (child, exit) => this.#onExit(child, exit),
    });
    const nodes = plan.nodes.map(({ id, raft, grpc, http }) => ({ nodeId: id, raft, grpc, http }));
    this.#client = world.openClient(nodes);
  }

  async run(): Promise<number> {
    const { interrupted, interruptedAgain } = this.#world;
    interruptedAgain.addEventListener('abort', () => this.#cluster.killAll(), { once: true });
    this.#save(process.pid);
    const status = await this.#start();
    if (status === null) {
      await this.#stop();
      return interrupted.aborted ? CLI_EXIT.interrupted : CLI_EXIT.failure;
    }
    this.#show(status);
    this.#stopListening = this.#options.json ? null : this.#world.onEnter(() => this.#onEnter());
    await this.#watch(status);
    await this.#stop();
    return interruptedAgain.aborted ? CLI_EXIT.interrupted : CLI_EXIT.ok;
  }

  /** After any end: no child may stay, also when something went wrong here. */
  close(): void {
    this.#stopListening?.();
    this.#cluster.killAll();
    this.#client.close();
  }

  /** @returns null when it did not come up, which has been said. */
  async #start(): Promise<ClusterStatus | null> {
    const { stderr, clock, interrupted } = this.#world;
    const waiting = new Progress(stderr, clock, () => 'starting the cluster ...');
    try {
      await this.#cluster.start();
      return await this.#ready();
    } catch (error) {
      waiting.stop();
      if (!(error instanceof ChildFailed)) throw error;
      if (interrupted.aborted) return null;
      this.#sayFailed(error);
      return null;
    } finally {
      waiting.stop();
    }
  }

  /** A leader serves, and every node answers. */
  async #ready(): Promise<ClusterStatus | null> {
    const { clock, interrupted } = this.#world;
    const deadlineAtMs = clock.monotonicMs() + READY_TIMEOUT_MS;
    while (!interrupted.aborted) {
      const status = await clusterStatus(this.#client);
      const [group] = status.groups;
      if (group !== undefined && isSettled(group)) return status;
      if (clock.monotonicMs() > deadlineAtMs) {
        const states = group?.nodes.map((node) => `${node.nodeId} ${stateOf(node, null)}`);
        this.#say(`not ready after ${READY_TIMEOUT_MS / 1000} s: ${states?.join(', ')}`);
        this.#say(`the logs are in ${this.#directory.logFolder}`);
        return null;
      }
      await this.#delay(READY_POLL_MS);
    }
    return null;
  }

  #show(status: ClusterStatus): void {
    const { stdout, variables, version, workingDirectory } = this.#world;
    const view: DevView = {
      version,
      directory: shownDirectory(this.#directory.path, workingDirectory),
      isDefaultDirectory: this.#directory.path === resolve(workingDirectory, '.mq-raft'),
      nodes: this.#cluster.nodes(),
      nameServers: this.#cluster.nameServers(),
      autoCreateTopics: this.#options.autoCreateTopics,
      status,
    };
    const text = this.#options.json
      ? devJson(view)
      : devBanner(view, stdout.columns, paintFor(stdout, variables));
    stdout.write(text);
  }

  async #watch(first: ClusterStatus): Promise<void> {
    let last = first;
    while (!this.#world.interrupted.aborted) {
      await this.#delay(WATCH_POLL_MS);
      if (this.#world.interrupted.aborted) return;
      const status = await clusterStatus(this.#client);
      for (const line of statusChanges(last, status)) this.#say(line);
      last = status;
    }
  }

  async #stop(): Promise<void> {
    const { stderr, clock } = this.#world;
    const waiting = new Progress(stderr, clock, () => 'stopping; Ctrl-C again kills at once ...');
    const killed = await this.#cluster.stop();
    waiting.stop();
    if (killed.length > 0) this.#say(`killed, because they did not stop: ${killed.join(', ')}`);
    this.#save(null);
    this.#say('stopped; data is kept');
  }

  #save(pid: number | null): void {
    const { nodes, nameServers } = this.#plan;
    this.#directory.save({ clusterId: CLUSTER_ID, pid, nodes, nameServers });
  }

  #onExit(child: Child, exit: ChildExit): void {
    this.#say(`${child.name} (process ${child.pid}) exited: ${exitText(exit)}`);
    if (!this.#plan.nodes.some(({ id }) => id === child.name)) return;
    if (this.#options.restartNodes) this.#restartLater(child.name);
    else if (this.#stopListening !== null) this.#say(`press Enter to start ${child.name} again`);
  }

  #restartLater(id: string): void {
    const count = (this.#restarts.get(id) ?? 0) + 1;
    this.#restarts.set(id, count);
    if (count > RESTART_COUNT_MAX) {
      this.#say(`${id} ended ${count} times and is not started again; see its log`);
      return;
    }
    this.#world.clock.setTimer(RESTART_DELAY_MS, () => this.#startAgain(id));
  }

  #onEnter(): void {
    for (const id of this.#cluster.stoppedNodes()) this.#startAgain(id);
  }

  #startAgain(id: string): void {
    if (this.#world.interrupted.aborted) return;
    this.#say(`starting ${id} again`);
    this.#cluster.startNode(id).then(
      () => {
        const pid = this.#cluster.nodes().find((node) => node.id === id)?.pid;
        this.#say(`${id} runs again, as process ${pid}`);
      },
      (error: unknown) => {
        // Anything else is a bug and ends the process as an unhandled rejection.
        if (!(error instanceof ChildFailed)) throw error;
        this.#sayFailed(error);
      },
    );
  }

  #sayFailed(error: ChildFailed): void {
    this.#say(`${error.message} did not start: ${exitText(error.exit)}`);
    for (const line of error.lastWords) this.#say(`  ${line}`);
    this.#say(`its log: ${error.logPath}`);
  }

  #say(line: string): void {
    const time = new Date(this.#world.clock.wallMs()).toISOString().slice(11, 19);
    this.#world.stderr.write(`${time}  ${line}\n`);
  }

  /** Ends early at Ctrl-C. */
  #delay(delayMs: number): Promise<void> {
    const { clock, interrupted } = this.#world;
    return new Promise((resolve) => {
      const timer = clock.setTimer(delayMs, done);
      function done(): void {
        timer.cancel();
        interrupted.removeEventListener('abort', done);
        resolve();
      }
      interrupted.addEventListener('abort', done, { once: true });
      if (interrupted.aborted) done();
    });
  }
}

/**
 * One node leads, all others follow it in its term. Nodes answer at different moments of an
 * election, so each of them being content is not enough.
 */
export function isSettled({ leader, nodes }: GroupStatus): boolean {
  const term = nodes.find(({ nodeId }) => nodeId === leader)?.report?.term;
  return nodes.every((node) => {
    const { report, nodeId } = node;
    if (report === null || stateOf(node, null) !== 'ready' || report.term !== term) return false;
    return report.role === (nodeId === leader ? 'leader' : 'follower') && report.leader === leader;
  });
}

function exitText(exit: ChildExit): string {
  if (exit.kind === 'signal') return `signal ${exit.signal}`;
  return `code ${exit.code}, ${exitCodeMeaning(exit.code)}`;
}

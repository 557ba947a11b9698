/** Brokers and name servers of one run, and what is known of them at the moment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Recorder } from '../history/recorder.ts';
import { HEAL_TIMEOUT_MS, POLL_INTERVAL_MS, VOLUME_SIZE_BYTES } from '../limits.ts';
import type { StepKind } from '../nemesis/step.ts';
import type { RunPlan } from '../plan.ts';
import { BrokerNode, exitInTime } from './broker-node.ts';
import { fakeClockLibrary, type Machine } from './machine.ts';
import { NamespaceNetwork } from './namespaces.ts';
import type { Network } from './network.ts';
import { OperatorCli } from './operator-cli.ts';
import { olderProgram, type Program, programOf } from './program.ts';
import { ProxyNetwork } from './proxies.ts';
import type { Slot } from './slot.ts';
import { StatusWatch } from './status-watch.ts';
import { storageOf } from './storage.ts';
import { Volume } from './volume.ts';

const NAME_SERVER = fileURLToPath(new URL('../../../src/bin/namesrv.js', import.meta.url));
const NAME_SERVER_COUNT = 2;
/** Steps for which the time of day of every node follows a file. */
const FAKED: readonly StepKind[] = ['clockJump', 'clockRate'];

export interface ClusterOptions {
  readonly plan: RunPlan;
  readonly machine: Machine;
  readonly slot: Slot;
  readonly recorder: Recorder;
}

export class Cluster {
  readonly network: Network;
  readonly machine: Machine;
  readonly slot: Slot;
  readonly recorder: Recorder;
  readonly nameServers: readonly string[];
  readonly watch: StatusWatch;
  readonly operator: OperatorCli;
  /** What this build, or the planted bug, is started as. */
  readonly program: Program;
  /** An older build, in runs that begin with it. */
  readonly older: Program | null;
  readonly #nameServerProcesses: ChildProcess[] = [];
  readonly #everybody: readonly BrokerNode[];
  #nodes: readonly BrokerNode[];
  /** Places for nodes that take those of others. */
  readonly #spares: BrokerNode[];
  #spareCount = 0;

  private constructor(options: ClusterOptions, network: Network, volumes: readonly Volume[]) {
    const { plan, machine, slot, recorder } = options;
    this.machine = machine;
    this.slot = slot;
    this.recorder = recorder;
    this.network = network;
    this.nameServers = Array.from({ length: NAME_SERVER_COUNT }, (_, i) =>
      network.nameServerAddress(i),
    );
    this.program = programOf(plan.canary);
    this.older = plan.upgradeFrom === null ? null : olderProgram(plan.upgradeFrom);
    const names = [...plan.nodes, ...plan.spares];
    this.#everybody = names.map(
      (nodeId, i) =>
        new BrokerNode({
          ...{ nodeId, members: plan.nodes, nameServers: this.nameServers, network },
          ...{ slot, volume: volumes[i]!, recorder, program: this.older ?? this.program }, // one each
          storage: storageOf(plan),
          environment: plan.schedule.some(({ step }) => FAKED.includes(step.kind))
            ? this.#clockEnvironment(nodeId)
            : {},
        }),
    );
    this.#nodes = this.#everybody.slice(0, plan.nodes.length);
    this.#spares = this.#everybody.slice(plan.nodes.length);
    this.operator = new OperatorCli(network, names);
    this.watch = new StatusWatch(this.#everybody, network, recorder);
  }

  /** Who is a member now. */
  get nodes(): readonly BrokerNode[] {
    return this.#nodes;
  }

  /** A place with an empty disk, once; null when there is none left. */
  takeSpare(): BrokerNode | null {
    return this.#spares.shift() ?? null;
  }

  /** The one is dead for ever, and the group has the other. */
  substitute(dead: BrokerNode, successor: BrokerNode): void {
    this.#nodes = this.#nodes.map((node) => (node === dead ? successor : node));
    dead.retire();
  }

  static async create(options: ClusterOptions): Promise<Cluster> {
    const { plan, machine, slot } = options;
    const wanted =
      plan.network === 'auto' ? (machine.namespaces ? 'proxies' : 'namespaces') : plan.network;
    const names = [...plan.nodes, ...plan.spares];
    const network =
      wanted === 'namespaces'
        ? await NamespaceNetwork.create(slot, names)
        : await ProxyNetwork.create(names);
    const volumes: Volume[] = [];
    for (const node of names) {
      const folder = join(slot.folder, node);
      mkdirSync(folder, { recursive: true });
      volumes.push(await Volume.create(folder, VOLUME_SIZE_BYTES, machine.volumes === null));
    }
    return new Cluster(options, network, volumes);
  }

  async start(): Promise<void> {
    for (let i = 0; i < NAME_SERVER_COUNT; i++) await this.#startNameServer(i);
    await Promise.all(this.nodes.map((node) => node.start()));
    this.watch.start();
    await this.untilLeader(HEAL_TIMEOUT_MS);
  }

  node(nodeId: string): BrokerNode {
    const found = this.nodes.find((each) => each.nodeId === nodeId);
    if (found === undefined) throw new Error(`No node ${nodeId} in this cluster`);
    return found;
  }

  /** The file that the fake clock of a node follows; null when clocks are real. */
  clockFileOf(nodeId: string): string {
    return join(this.slot.folder, `${nodeId}.clock`);
  }

  /** @throws when there is none in time */
  async untilLeader(timeoutMs: number): Promise<string> {
    return until('a leader that serves', timeoutMs, async () => this.watch.leader());
  }

  /** Names of members are used once, for ever. */
  nextSpareName(): string {
    this.#spareCount++;
    return `x${this.#spareCount}`;
  }

  /** Tries until the group no longer has it. @throws when it keeps it */
  async untilRemoved(name: string, remove: () => Promise<boolean>): Promise<void> {
    await until(`the end of the membership of ${name}`, HEAL_TIMEOUT_MS, async () => {
      if (await remove()) return true;
      const { code, output } = await this.operator.command('member', 'list', '-o', 'json');
      return code === 0 && !isMember(output, name) ? true : null;
    });
  }

  /** Too few are left to agree on anything. */
  get isBeyondHelp(): boolean {
    const left = this.nodes.filter(({ isGivenUp }) => !isGivenUp).length;
    return left <= this.nodes.length / 2;
  }

  /** All run and have applied the same entries. */
  async untilEqual(timeoutMs: number): Promise<void> {
    await until('all nodes at the same applied entry', timeoutMs, async () => {
      for (const node of this.nodes) {
        if (node.isGivenUp) throw new Error(`${node.nodeId} ends whenever it is started`);
      }
      const now = await this.watch.ask(this.nodes);
      if (now.some((status) => status === null)) return null;
      const applied = now.map((status) => status?.appliedIndex);
      const commit = now.map((status) => status?.commitIndex);
      return [...applied, ...commit].every((index) => index === applied[0]) ? true : null;
    });
  }

  async stop(): Promise<void> {
    this.watch.stop();
    for (const node of this.#everybody) node.retire();
    await Promise.all(this.#everybody.map((node) => node.kill('the run is over', 'SIGTERM')));
    for (const child of this.#nameServerProcesses) {
      child.kill('SIGKILL');
      await exitInTime(child);
    }
  }

  async destroy(): Promise<void> {
    for (const { volume } of this.#everybody) await volume.destroy();
    await this.network.close();
  }

  async #startNameServer(number: number): Promise<void> {
    const args = [NAME_SERVER, '--listen', this.network.nameServerAddress(number), '--supervised'];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => {}); // Its end says more than a pipe that breaks.
    child.stderr.pipe(createWriteStream(join(this.recorder.folder, `namesrv${number}.log`)));
    if (child.pid !== undefined) this.slot.noteProcess(child.pid);
    this.#nameServerProcesses.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`Name server ${number} exited with ${code}`)));
    });
  }

  #clockEnvironment(nodeId: string): Readonly<Record<string, string>> {
    const library = fakeClockLibrary();
    if (library === null) return {};
    writeFileSync(this.clockFileOf(nodeId), '+0\n');
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.clockFileOf(nodeId),
      FAKETIME_NO_CACHE: '1',
      // What measures durations stays true, as on a machine whose time of day is set.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }
}

/** Voters and learners, whatever else the list tells. */
function isMember(list: string, name: string): boolean {
  const named = /"(voters|learners|outgoing)":\s*\[([^\]]*)\]/g;
  return [...list.matchAll(named)].some(([, , names]) => names?.includes(`"${name}"`) ?? false);
}

export async function until<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | null>,
): Promise<T> {
  const deadlineAtMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadlineAtMs)
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

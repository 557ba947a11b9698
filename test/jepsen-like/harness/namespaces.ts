/**
 * Each node in a network namespace of its own, all on one bridge; the clients are on the machine
 * itself, which has the first address of the bridge. A direction is cut by dropping, at the receiver,
 * what comes from the sender's address: neither end is told, as with a dead switch.
 */
import {
  type Badness,
  CLIENTS,
  type End,
  type Network,
  type NodeAddresses,
  PORTS,
} from './network.ts';
import { run, tryRun } from './shell.ts';
import type { Slot } from './slot.ts';

const CLIENTS_HOST = 1;
const FIRST_NODE_HOST = 11;
const NAME_SERVER_HOST = 1;

export class NamespaceNetwork implements Network {
  readonly kind = 'namespaces';
  readonly #slot: Slot;
  readonly #nodes: readonly string[];
  /** Rules in force, by direction: each is what follows `iptables -A` and `-D`. */
  readonly #rules = new Map<string, { readonly at: string; readonly rule: readonly string[] }[]>();

  private constructor(slot: Slot, nodes: readonly string[]) {
    this.#slot = slot;
    this.#nodes = nodes;
  }

  static async create(slot: Slot, nodes: readonly string[]): Promise<NamespaceNetwork> {
    const network = new NamespaceNetwork(slot, nodes);
    const { bridge, subnet } = slot;
    await run('ip', 'link', 'add', bridge, 'type', 'bridge');
    await run('ip', 'addr', 'add', `${subnet}.${CLIENTS_HOST}/24`, 'dev', bridge);
    await run('ip', 'link', 'set', bridge, 'up');
    for (const node of nodes) await network.#addNode(node);
    return network;
  }

  async #addNode(node: string): Promise<void> {
    const { bridge } = this.#slot;
    const namespace = this.#slot.namespaceOf(node);
    const link = this.#slot.linkOf(node);
    await run('ip', 'netns', 'add', namespace);
    await run(
      'ip',
      'link',
      'add',
      link,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      namespace,
    );
    await run('ip', 'link', 'set', link, 'master', bridge, 'up');
    await run('ip', '-n', namespace, 'addr', 'add', `${this.#hostOf(node)}/24`, 'dev', 'eth0');
    await run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    await run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  }

  launcherOf(node: string): readonly string[] {
    // Not `ip netns exec`: it gives each process a private copy of all mounts, which keeps the file system
    // of another node alive when its power is cut.
    return ['nsenter', `--net=/var/run/netns/${this.#slot.namespaceOf(node)}`];
  }

  addressesOf(node: string): NodeAddresses {
    const host = this.#hostOf(node);
    const { grpc, raft, http } = PORTS;
    return { grpc: `${host}:${grpc}`, raft: `${host}:${raft}`, http: `${host}:${http}` };
  }

  nameServerAddress(number: number): string {
    return `${this.#slot.subnet}.${NAME_SERVER_HOST}:${PORTS.nameServer + number}`;
  }

  forClients(node: string): NodeAddresses {
    return this.addressesOf(node);
  }

  peerAddress(_from: string, to: string): string {
    return this.addressesOf(to).raft;
  }

  async block(from: End, to: End): Promise<void> {
    // Name servers live with the clients: only what clients ask for must be lost.
    const ports = from === CLIENTS ? ['-p', 'tcp', '!', '--sport', nameServerPorts] : [];
    await this.#add(from, to, [...ports, '-j', 'DROP']);
  }

  async worsen(from: End, to: End, badness: Badness): Promise<void> {
    const { lossPercent, bytesPerSecond } = badness;
    if (lossPercent > 0) {
      const share = (lossPercent / 100).toFixed(4);
      await this.#add(from, to, [
        ...['-m', 'statistic', '--mode', 'random', '--probability', share, '-j', 'DROP'],
      ]);
    }
    if (bytesPerSecond > 0) {
      const kib = Math.round(bytesPerSecond / 1024);
      await this.#add(from, to, [
        ...['-m', 'hashlimit', '--hashlimit-above', `${kib}kb/s`],
        // Not less than a second's worth.
        ...['--hashlimit-burst', `${2 * kib}kb`],
        ...['--hashlimit-name', `${from}${to}`.slice(0, 15), '-j', 'DROP'],
      ]);
    }
  }

  lacks({ delayMs }: Badness): string | null {
    return delayMs > 0 ? 'the kernel has no netem: delays only with --network proxies' : null;
  }

  async heal(from: End, to: End): Promise<void> {
    const direction = `${from} ${to}`;
    for (const { at, rule } of this.#rules.get(direction) ?? []) {
      await this.#iptables(at, '-D', ...rule);
    }
    this.#rules.delete(direction);
  }

  async healAll(): Promise<void> {
    this.#rules.clear();
    for (const node of this.#nodes) await this.#iptables(node, '-F', 'INPUT');
    for (const node of this.#nodes) await this.#iptables(node, '-F', 'OUTPUT');
  }

  async close(): Promise<void> {
    for (const node of this.#nodes) {
      await tryRun('ip', 'netns', 'del', this.#slot.namespaceOf(node));
    }
    await tryRun('ip', 'link', 'del', this.#slot.bridge);
  }

  /** What reaches clients is dropped where it leaves, so that the machine's own rules stay as they are. */
  async #add(from: End, to: End, match: readonly string[]): Promise<void> {
    const [at, chain, end] =
      to === CLIENTS
        ? [from, 'OUTPUT', ['-d', this.#hostOf(to), '-p', 'tcp', '!', '--dport', nameServerPorts]]
        : [to, 'INPUT', ['-s', this.#hostOf(from)]];
    const rule = [chain, ...end, ...match];
    await this.#iptables(at, '-A', ...rule);
    const direction = `${from} ${to}`;
    this.#rules.set(direction, [...(this.#rules.get(direction) ?? []), { at, rule }]);
  }

  async #iptables(node: string, ...args: readonly string[]): Promise<void> {
    const [command = '', ...words] = this.launcherOf(node);
    await run(command, ...words, 'iptables', '-w', ...args);
  }

  #hostOf(end: End): string {
    if (end === CLIENTS) return `${this.#slot.subnet}.${CLIENTS_HOST}`;
    return `${this.#slot.subnet}.${FIRST_NODE_HOST + this.#nodes.indexOf(end)}`;
  }
}

/** As many name servers as a run may have. */
const nameServerPorts = `${PORTS.nameServer}:${PORTS.nameServer + 3}`;

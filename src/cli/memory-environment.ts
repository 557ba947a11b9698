/** A terminal, a clock and a cluster in memory: whole commands run in a test without a process. */
import { LogIndex } from '../base/units.ts';
import { AdminClient } from '../client/admin-client.ts';
import type { BackupNodeClient } from '../client/backup-client.ts';
import {
  aGroupRoute,
  aNodeReport,
  MemoryCluster,
  MemoryNameServer,
} from '../client/memory-cluster.ts';
import { MqClient } from '../client/mq-client.ts';
import { NodeDirectory } from '../client/node-directory.ts';
import type { VerifyClient } from '../client/verify-client.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type {
  BrokerErrorCode,
  BrokerReply,
  BrokerRequest,
  BrokerResponse,
} from '../protocol/verbs.ts';
import { MemoryKvStore } from '../store/derived/memory-kv-store.ts';
import type { ReadDisk } from '../store/inspect/read-disk.ts';
import type { DevOptions } from './dev-options.ts';
import type { DevRecord } from './dev-record.ts';
import { type CliEnvironment, Interrupted, type LockHolder, type Output } from './environment.ts';
import { runCli } from './main.ts';
import type { Target } from './target.ts';

export class MemoryOutput implements Output {
  text = '';
  readonly isTty: boolean;
  columns = 80;
  constructor(isTty: boolean) {
    this.isTty = isTty;
  }
  write(text: string): void {
    this.text += text;
  }
  async drained(): Promise<void> {}
}

export class MemoryTerminal {
  readonly stdout: MemoryOutput;
  readonly stderr: MemoryOutput;
  readonly clock = new ManualClock();
  readonly interrupt = new AbortController();
  readonly cluster: MemoryCluster;
  readonly nameServers: MemoryNameServer[] = [
    new MemoryNameServer('127.0.0.1:9876', [aGroupRoute(['n1', 'n2', 'n3'])]),
  ];
  variables: Record<string, string> = {};
  devRecord: DevRecord | null = null;
  readonly writable = new MemoryDisk();
  disk: ReadDisk = this.writable;
  verifier: VerifyClient = {
    checkpoint: async () => null,
    run: async () => 'it is down',
  };
  readonly lockHolders = new Map<string, LockHolder>();
  /** What the user types when asked; null: there is no user. */
  answers: string[] | null = null;
  /** What becomes of a program that is run. */
  onCommand: (words: readonly string[]) => string | null = () => null;
  readonly files = new Map<string, string>();
  /** Whom a backup is taken from. */
  backupNode: (address: string, name: string) => BackupNodeClient = (address) => {
    throw new Error(`No node at ${address} gives backups`);
  };
  readonly targets: Target[] = [];
  readonly devRuns: DevOptions[] = [];
  idDigits = 0;
  #idCount = 0;

  constructor(
    answer: (request: BrokerRequest, address: string) => BrokerReply,
    { isTty = false }: { readonly isTty?: boolean } = {},
  ) {
    this.cluster = new MemoryCluster(answer);
    this.stdout = new MemoryOutput(isTty);
    this.stderr = new MemoryOutput(isTty);
  }

  interruptNow(): void {
    this.interrupt.abort(new Interrupted());
  }

  /** Moves the clock until the command has ended, at most a minute. */
  async run(...args: readonly string[]): Promise<number> {
    let exit: number | null = null;
    const running = runCli(args, this.environment()).then((code) => {
      exit = code;
    });
    for (let i = 0; i < 600 && exit === null; i++)
      await this.clock.advanceSettling(i === 0 ? 0 : 100);
    await running;
    return exit ?? -1;
  }

  environment(): CliEnvironment {
    const { stdout, stderr, clock } = this;
    return {
      stdout,
      stderr,
      clock,
      variables: this.variables,
      interrupted: this.interrupt.signal,
      version: { mqRaft: '0.1.0', node: 'v20.20.2' },
      clientId: 'cli@test',
      newId: () => `ID${String(++this.#idCount).padStart(this.idDigits, '0')}`,
      openClient: (target, timeoutMs) => this.#client(target, timeoutMs),
      openAdmin: (target, timeoutMs, group) => this.#admin(target, timeoutMs, group),
      openBackupNode: (address, name) => this.backupNode(address, name),
      actor: 'alice@test',
      files: {
        read: (path) => this.files.get(path) ?? null,
        write: (path, text) => void this.files.set(path, text),
      },
      configDirectory: '/home/alice/.config/mq-raft',
      ask: async (question) => {
        if (this.answers === null) return null;
        this.stderr.write(`${question}\n`);
        return this.answers.shift() ?? '';
      },
      runCommand: async (words) => this.onCommand(words),
      openVerifier: () => this.verifier,
      stores: {
        disk: this.disk,
        writable: this.writable,
        scratch: (work) => work(new MemoryKvStore()),
        lockHolder: async (directory) => this.lockHolders.get(directory) ?? null,
      },
      devRecord: () => this.devRecord,
      runDev: async (options) => {
        this.devRuns.push(options);
        return 0;
      },
    };
  }

  #client(target: Target, timeoutMs: number): MqClient {
    const directory = this.#directory(target);
    const connect = (address: string) => this.cluster.connect(address);
    return new MqClient({ directory, connect, clock: this.clock, timeoutMs });
  }

  #admin(target: Target, timeoutMs: number, group: string | null): AdminClient {
    const directory = this.#directory(target);
    const connect = (address: string) => this.cluster.connectAdmin(address);
    return new AdminClient({ directory, connect, clock: this.clock, timeoutMs, group });
  }

  #directory(target: Target): NodeDirectory {
    this.targets.push(target);
    const endpoints =
      target.kind === 'nameServers'
        ? []
        : target.addresses.map((raft) => ({ nodeId: null, raft, grpc: null, http: null }));
    const { clock, nameServers } = this;
    return new NodeDirectory({ nameServers, endpoints, clock });
  }
}

export function answered(response: BrokerResponse): BrokerReply {
  return { kind: 'answer', response };
}

export function failed(code: BrokerErrorCode, message: string): BrokerReply {
  return { kind: 'failure', code, message };
}

/** Three healthy nodes: n1 leads, the disk of n2 is three entries behind. */
export function reportOf(address: string): BrokerReply {
  const nodeId = address.split(':')[0] ?? '';
  const leads = nodeId === 'n1';
  const status = aNodeReport(nodeId, {
    role: leads ? 'leader' : 'follower',
    serving: leads,
    durableIndex: LogIndex(nodeId === 'n2' ? 54 : 57),
  });
  return answered({ kind: 'status', status });
}

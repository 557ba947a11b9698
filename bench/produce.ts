/** The produce path: three real brokers on this machine, RocketMQ's gRPC protocol, real disks. */
import { randomUUID } from 'node:crypto';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { type MethodDefinition, serviceDefinition } from '../src/protocol/schema.ts';
import { TestCluster, waitFor } from '../test/interop/test-cluster.ts';
import { type LoadPlan, type LoadResult, runLoad } from './load.ts';
import { cpuSecondsOf, residentBytesOf } from './process-stats.ts';

const MIB = 1024 * 1024;
const TOPIC = 'bench';
const CODE_OK = 20_000;
const MESSAGE_TYPE_NORMAL = 1;
const BENCH_SEGMENT_SIZE_BYTES = 64 * MIB;

export interface ProduceResult extends LoadResult {
  readonly path: 'leader' | 'follower';
  readonly fsyncsPerMessageOnLeader: number;
  readonly brokerCpuMicrosPerMessage: number;
  readonly clientCpuMicrosPerMessage: number;
}

export interface ProduceReport {
  readonly startToReadyMs: number;
  readonly idleResidentMib: number;
  readonly loadedResidentMib: number;
  readonly results: readonly ProduceResult[];
}

export interface ProducePlan extends LoadPlan {
  readonly path: 'leader' | 'follower';
}

export async function measureProduce(
  plans: readonly ProducePlan[],
  bodySizeBytes: number,
): Promise<ProduceReport> {
  const startMs = performance.now();
  const cluster = await TestCluster.start({ segmentSizeBytes: BENCH_SEGMENT_SIZE_BYTES });
  try {
    const startToReadyMs = performance.now() - startMs;
    const idleResidentMib = residentMib(cluster);
    const results: ProduceResult[] = [];
    for (const plan of plans) results.push(await measure(cluster, plan, bodySizeBytes));
    return { startToReadyMs, idleResidentMib, loadedResidentMib: residentMib(cluster), results };
  } finally {
    await cluster.close();
  }
}

async function measure(
  cluster: TestCluster,
  plan: ProducePlan,
  bodySizeBytes: number,
): Promise<ProduceResult> {
  const leader = await cluster.leader();
  const follower = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!.nodeId;
  const target = cluster.node(plan.path === 'leader' ? leader : follower);
  const sender = new RawSender(target.grpc, bodySizeBytes);
  await waitFor('the first send', async () => ((await sender.trySend(1)) ? true : null));
  const before = await counters(cluster, leader);
  const result = await runLoad(plan, () => sender.send(plan.messagesPerRequest));
  const after = await counters(cluster, leader);
  sender.close();
  const acknowledged = after.acknowledged - before.acknowledged;
  return {
    ...result,
    path: plan.path,
    fsyncsPerMessageOnLeader: (after.fsyncs - before.fsyncs) / acknowledged,
    brokerCpuMicrosPerMessage: ((after.brokerCpu - before.brokerCpu) * 1e6) / acknowledged,
    clientCpuMicrosPerMessage: ((after.clientCpu - before.clientCpu) * 1e6) / acknowledged,
  };
}

interface Counters {
  readonly fsyncs: number;
  readonly acknowledged: number;
  readonly brokerCpu: number;
  readonly clientCpu: number;
}

async function counters(cluster: TestCluster, leader: string): Promise<Counters> {
  const metrics = await cluster.metrics(leader);
  const read = (name: string): number => {
    const value = metrics?.get(name);
    if (value === undefined) throw new Error(`${leader} has no metric ${name}`);
    return value;
  };
  const { user, system } = process.cpuUsage();
  return {
    fsyncs: read('mqraft_fsyncs_total'),
    acknowledged: read('mqraft_acknowledged_messages_total'),
    brokerCpu: cluster.nodes.reduce(
      (sum, { nodeId }) => sum + cpuSecondsOf(cluster.pidOf(nodeId)),
      0,
    ),
    clientCpu: (user + system) / 1e6,
  };
}

function residentMib(cluster: TestCluster): number {
  return (
    cluster.nodes.reduce((sum, { nodeId }) => sum + residentBytesOf(cluster.pidOf(nodeId)), 0) / MIB
  );
}

/** SendMessage without the official client's overhead, which would be most of what is measured. */
class RawSender {
  readonly #client: Client;
  readonly #method: MethodDefinition;
  readonly #metadata = new Metadata();
  readonly #body: Buffer;
  readonly #idPrefix = randomUUID();
  #sent = 0;

  constructor(address: string, bodySizeBytes: number) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#method = serviceDefinition('apache.rocketmq.v2.MessagingService')['sendMessage']!;
    this.#metadata.set('x-mq-client-id', 'bench');
    this.#body = Buffer.alloc(bodySizeBytes, 'm');
  }

  async send(messageCount: number): Promise<void> {
    const status = await this.#call(messageCount);
    if (status.code !== CODE_OK) throw new Error(`Send refused: ${status.code} ${status.message}`);
  }

  /** For the first send: the topic is being created, the leader may be settling. */
  async trySend(messageCount: number): Promise<boolean> {
    return (await this.#call(messageCount)).code === CODE_OK;
  }

  #call(messageCount: number): Promise<{ code: number; message: string }> {
    const messages = Array.from({ length: messageCount }, () => ({
      topic: { name: TOPIC },
      body: this.#body,
      systemProperties: {
        messageId: `${this.#idPrefix}-${this.#sent++}`,
        messageType: MESSAGE_TYPE_NORMAL,
        bodyEncoding: 1,
        bornTimestamp: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
        bornHost: '127.0.0.1:1',
      },
    }));
    const { path, requestSerialize, responseDeserialize } = this.#method;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { messages },
        this.#metadata,
        (error, reply) => {
          if (error !== null) reject(error);
          else resolve((reply as { status: { code: number; message: string } }).status);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

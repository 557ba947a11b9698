/** Strangers, clones and lost nodes at the door of real replicas: refused in words, group untouched. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { LogIndex, Term } from '../../src/base/units.ts';
import { createBrokerCallClient } from '../../src/client/broker-call-client.ts';
import {
  decodePeerFrame,
  encodePeerFrame,
  PEER_PROTOCOL_VERSION,
  type PeerContent,
  type PeerIdentity,
} from '../../src/protocol/peer-codec.ts';
import { HostileCluster } from './hostile-cluster.ts';
import { waitFor } from './test-cluster.ts';

const SEGMENT_SIZE_BYTES = 4 * 1024 * 1024;
const CALL_MS = 5_000;
/** The replica gives a stream 2 s to say Hello. */
const SILENT_STREAM_TIMEOUT_MS = 10_000;
const HEARTBEAT: PeerContent = {
  kind: 'message',
  message: { kind: 'heartbeat', term: Term(1_000), round: 1, commitIndex: LogIndex(1_000) },
};

const OF_A_LATER_VERSION = { kind: 'message', message: { kind: 'news' } } as unknown as PeerContent;

interface Stream {
  say(bytes: Uint8Array): void;
  /** What came before the end of the stream. */
  readonly heard: Promise<readonly PeerContent[]>;
}

interface Reign {
  readonly leader: string;
  readonly terms: readonly number[];
}

suite('hostile handshakes', { timeout: 60_000 }, () => {
  let hostile: HostileCluster;
  /** Who is called; and the store uuid of each node. */
  let called: { readonly nodeId: string; readonly raft: string };
  let storeOf: ReadonlyMap<string, string>;
  let reign: Reign;
  const clients: Client[] = [];

  before(async () => {
    hostile = await HostileCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES });
    const stores = hostile.cluster.nodes.map(async ({ nodeId, raft }) => {
      return [nodeId, await storeUuidOf(raft)] as const;
    });
    storeOf = new Map(await Promise.all(stores));
    called = hostile.cluster.node(await hostile.cluster.leader());
    reign = await reignOf(hostile);
  });
  after(async () => {
    for (const client of clients) client.close();
    await hostile.close();
  });

  const otherId = () =>
    hostile.cluster.nodes.find(({ nodeId }) => nodeId !== called.nodeId)!.nodeId;

  /** What another member says of itself, with parts exchanged. */
  const identity = (changed: Partial<PeerIdentity> = {}): PeerIdentity => ({
    protocolVersion: PEER_PROTOCOL_VERSION,
    clusterId: 'test',
    groupId: 'broker-a',
    nodeId: otherId(),
    storeUuid: randomUUID(),
    bootCount: 1,
    bootIds: ['00000000000000aa'],
    term: Term(0),
    last: { term: Term(0), index: LogIndex(0) },
    segmentSizeBytes: SEGMENT_SIZE_BYTES,
    membershipIndex: 0,
    voters: hostile.cluster.nodes.map(({ nodeId }) => nodeId),
    addresses: { raft: '10.9.9.9:1', grpc: '10.9.9.9:2', http: '10.9.9.9:3' },
    ...changed,
  });

  const open = (): Stream => {
    const client = new Client(called.raft, credentials.createInsecure());
    clients.push(client);
    return openStream(client);
  };

  const hello = (changed: Partial<PeerIdentity>, toNodeId = called.nodeId): Uint8Array =>
    encodePeerFrame(0, { kind: 'hello', hello: { from: identity(changed), toNodeId } }, []);

  const untouched = async (): Promise<void> => {
    await hostile.alive();
    deepEqual(await reignOf(hostile), reign);
  };

  /** Refused with a sentence that has all the words, which stands in the log as well. */
  async function refused(
    bytes: Uint8Array,
    code: string,
    words: readonly string[],
    behind: readonly Uint8Array[] = [encodePeerFrame(1, HEARTBEAT, [])],
  ) {
    const { say, heard } = open();
    say(bytes);
    // A heartbeat of a far future term behind it must not be looked at.
    for (const frame of behind) say(frame);
    const [answer, ...more] = await heard;
    ok(answer?.kind === 'refused', `${code}: ${JSON.stringify(answer)}`);
    equal(answer.code, code);
    deepEqual(more, []);
    for (const word of words) ok(answer.sentence.includes(word), `${word} in: ${answer.sentence}`);
    await waitFor('the refusal in the log', async () => {
      const lines = hostile.cluster.logOf(called.nodeId).split('\n');
      const isTold = (line: string) => {
        return line.includes('"peer.refused"') && line.includes(JSON.stringify(answer.sentence));
      };
      return lines.some(isTold) ? true : null;
    });
    await untouched();
  }

  test('another cluster', () =>
    refused(hello({ clusterId: 'prod' }), 'otherCluster', ['prod', 'test']));
  test('another group', () =>
    refused(hello({ groupId: 'broker-z' }), 'otherGroup', ['broker-z', 'broker-a']));
  test('another protocol', () =>
    refused(hello({ protocolVersion: 77 }), 'protocolVersion', ['77', '2']));
  test('a node that is no member', () =>
    refused(hello({ nodeId: 'mallory' }), 'strangerNode', ['mallory', 'n1,n2,n3']));
  test('a call for another node', () =>
    refused(hello({}, otherId()), 'wrongNode', [otherId(), called.nodeId]));
  test('our own node id', () =>
    refused(hello({ nodeId: called.nodeId, storeUuid: 'clone' }), 'sameNode', [
      'clone',
      storeOf.get(called.nodeId)!,
    ]));
  test('a member with another store: a wiped directory', () =>
    refused(hello({ storeUuid: 'wiped' }), 'otherStore', ['wiped', storeOf.get(otherId())!]));
  test('a member with our store: a copied directory', () =>
    refused(hello({ storeUuid: storeOf.get(called.nodeId)! }), 'otherStore', [
      otherId(),
      storeOf.get(called.nodeId)!,
    ]));
  test('a member with a start of its store that never was', () =>
    // That it was refused is written first, and a message would come before the verdict.
    refused(
      hello({ storeUuid: storeOf.get(otherId())! }),
      'olderStore',
      ['start 1 was 00000000000000aa', 'a new id'],
      [],
    ));
  test('another segment size', () =>
    refused(hello({ segmentSizeBytes: 65_536 }), 'otherConstants', [
      '65536',
      `${SEGMENT_SIZE_BYTES}`,
    ]));
  test('another list of members', () =>
    refused(hello({ voters: ['n1', 'n2'] }), 'otherConstants', ['n1,n2', 'n1,n2,n3']));

  const corruptions: readonly (readonly [string, () => readonly Uint8Array[], RegExp])[] = [
    ['a message without a hello', () => [encodePeerFrame(0, HEARTBEAT, [])], /unexpected message/],
    [
      'a frame out of order',
      () => [encodePeerFrame(5, HEARTBEAT, [])],
      /frame 5 came instead of 0/,
    ],
    ['a damaged frame', () => [damaged(hello({}))], /CRC of frame 0 is wrong/],
    ['no frame at all', () => [Buffer.from('0aff', 'hex')], /Cannot decode mqraft.PeerFrame/],
    [
      'a message that this version does not know',
      () => [encodePeerFrame(0, OF_A_LATER_VERSION, [])],
      /no valid content/,
    ],
    [
      'a node id of a megabyte',
      () => [hello({ nodeId: 'x'.repeat(1_000_000) })],
      /no valid content/,
    ],
    [
      'a list of a thousand members',
      () => [hello({ voters: Array(1_000).fill('n') })],
      /no valid content/,
    ],
  ];
  for (const [what, frames, words] of corruptions) {
    test(`${what} ends the stream and is logged`, async () => {
      const logBefore = hostile.cluster.logOf(called.nodeId).length;
      const { say, heard } = open();
      for (const bytes of frames()) say(bytes);
      deepEqual(await heard, []);
      const line = await waitFor('the corruption in the log', async () => {
        const fresh = hostile.cluster.logOf(called.nodeId).slice(logBefore).split('\n');
        return fresh.find((each) => each.includes('"peer.corrupt_frame"')) ?? null;
      });
      match(line, words);
      ok(line.length < 1_000, `a line of ${line.length} characters`);
      await untouched();
    });
  }

  test('a stream that says nothing is ended', async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), SILENT_STREAM_TIMEOUT_MS);
    });
    const end = await Promise.race([open().heard, late]);
    clearTimeout(timer);
    deepEqual(end, []);
    await untouched();
  });

  test('afterwards all is as before: processes, descriptors, memory, logs, and it serves', async () => {
    for (const client of clients.splice(0)) client.close();
    await hostile.unharmed('handshake-after', ['peer.refused', 'peer.corrupt_frame']);
    deepEqual(await reignOf(hostile), reign);
  });
});

function openStream(client: Client): Stream {
  const pass = (bytes: Buffer) => bytes;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    '/mqraft.Peer/Stream',
    pass,
    pass,
  );
  const frames: Buffer[] = [];
  call.on('data', (bytes: Buffer) => frames.push(bytes));
  const heard = new Promise<readonly PeerContent[]>((resolve) => {
    const end = () => resolve(frames.map(contentOf));
    call.on('end', end);
    // Ending with an error is one way of hanging up.
    call.on('error', end);
  });
  return { say: (bytes) => call.write(Buffer.from(bytes)), heard };
}

function contentOf(bytes: Buffer, sequence: number): PeerContent {
  const frame = decodePeerFrame(bytes, sequence);
  if (frame.kind === 'problem') throw new Error(frame.problem);
  return frame.content;
}

function damaged(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  const at = copy.length - 3;
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

async function reignOf({ cluster }: HostileCluster): Promise<Reign> {
  const leader = await cluster.leader();
  const metrics = await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.metrics(nodeId)));
  return { leader, terms: metrics.map((each) => each?.get('mqraft_raft_term') ?? 0) };
}

async function storeUuidOf(raft: string): Promise<string> {
  const calls = createBrokerCallClient(raft);
  try {
    const reply = await calls.call(
      {
        remainingMs: CALL_MS,
        hops: 0,
        leaderTerm: Term(0),
        retried: false,
        request: { kind: 'status' },
      },
      new AbortController().signal,
    );
    ok(reply.kind === 'answer' && reply.response.kind === 'status');
    return reply.response.status.storeUuid;
  } finally {
    calls.close();
  }
}

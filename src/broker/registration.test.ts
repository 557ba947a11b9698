import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { type NameServer, NameServerUnavailable } from '../client/name-server-client.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import type { RegisterOutcome, Registration, Unregistration } from '../protocol/namesrv-codec.ts';
import { logOrigin } from '../raft/entry.ts';
import { foundingMembership } from '../raft/membership.ts';
import type { Leadership, ReplicaStatus } from '../replica/replica.ts';
import {
  REGISTER_INTERVAL_MS,
  REGISTER_RETRY_DELAY_MS,
  type RegistrationEvent,
  type RegistrationOptions,
  startRegistration,
} from './registration.ts';

/** Keeps what it hears; can be switched off, and made to answer slowly. */
class MemoryNameServer implements NameServer {
  readonly address = 'memory:9876';
  readonly heard: Registration[] = [];
  readonly left: Unregistration[] = [];
  isUp = true;
  answer: RegisterOutcome = { kind: 'recorded' };
  gate: Promise<void> = Promise.resolve();
  callsAtOnceMax = 0;
  #callsAtOnce = 0;

  async register(registration: Registration): Promise<RegisterOutcome> {
    this.callsAtOnceMax = Math.max(this.callsAtOnceMax, ++this.#callsAtOnce);
    await this.gate;
    this.#callsAtOnce--;
    if (!this.isUp) throw new NameServerUnavailable('memory:9876 is down');
    this.heard.push(registration);
    return this.answer;
  }

  async unregister(unregistration: Unregistration): Promise<boolean> {
    if (!this.isUp) throw new NameServerUnavailable('memory:9876 is down');
    this.left.push(unregistration);
    return true;
  }

  routes = () => Promise.reject(new Error('Brokers ask for no routes'));
  groups = () => Promise.reject(new Error('Brokers ask for no groups'));
  close(): void {}
}

type RoleListener = (status: ReplicaStatus) => void;

/** The few things of a replica that registration looks at, moved by the test. */
class MemoryReplica {
  readonly topics: string[] = [];
  appliedIndex = 5;
  term = Term(1);
  leads: Leadership | null = null;
  readonly #onRole: RoleListener[] = [];
  readonly #onApplied: ((entry: never, results: readonly { kind: string }[]) => void)[] = [];

  asPort(): RegistrationOptions['replica'] {
    return {
      status: () => this.status(),
      state: {
        topics: () => this.topics.map((topic) => ({ topic })),
        ...{ appliedIndex: this.appliedIndex },
      },
      leadership: () => this.leads,
      onLeadership: () => {},
      onRoleChange: (listener: RoleListener) => this.#onRole.push(listener),
      onApplied: (listener: never) => this.#onApplied.push(listener),
    } as unknown as RegistrationOptions['replica'];
  }

  status(): ReplicaStatus {
    return {
      nodeId: NodeId('n1'),
      clusterId: 'dev',
      groupId: 'broker-a',
      storeUuid: 'uuid-n1',
      role: this.leads === null ? 'follower' : 'leader',
      term: this.term,
      leader: null,
      lastIndex: LogIndex(5),
      durableIndex: LogIndex(5),
      commitIndex: LogIndex(5),
      appliedIndex: LogIndex(5),
      membership: logOrigin(foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'a:1' }]))
        .membership,
      isMembershipCommitted: true,
      endOffset: PhysicalOffset(0),
      firstIndex: LogIndex(1),
      logStart: { index: LogIndex(1), offset: PhysicalOffset(0) },
      keptBytes: 0,
      install: null,
      transferTo: null,
      isDiskStalled: false,
      peers: [],
      refusedBy: [],
      isRemoved: false,
    };
  }

  lead(term: number): void {
    this.term = Term(term);
    this.leads = { term: this.term };
    for (const listener of this.#onRole) listener(this.status());
  }

  apply(...kinds: readonly string[]): void {
    for (const listener of this.#onApplied)
      listener(
        null as never,
        kinds.map((kind) => ({ kind })),
      );
  }
}

function aRegistration() {
  const clock = new ManualClock();
  const replica = new MemoryReplica();
  const nameServer = new MemoryNameServer();
  const events: RegistrationEvent[] = [];
  const start = () =>
    startRegistration({
      replica: replica.asPort(),
      addresses: { raft: 'r', grpc: 'g', http: 'h' },
      nameServers: ['memory:9876'],
      clock,
      connect: () => nameServer,
      onEvent: (event) => void events.push(event),
    });
  return { clock, replica, nameServer, events, start };
}

test('a node registers at start and every 30 s, with rising sequence numbers', async () => {
  const { clock, nameServer, start } = aRegistration();
  start();
  await clock.advanceSettling(0);
  equal(nameServer.heard.length, 1);
  await clock.advanceSettling(2 * REGISTER_INTERVAL_MS);
  equal(nameServer.heard.length, 3);
  const [first, second] = nameServer.heard;
  equal(second!.sequence > first!.sequence, true);
  deepEqual(first!.addresses, { raft: 'r', grpc: 'g', http: 'h' });
  equal(first!.claimsLeadership, false);
});

test('a new leader is registered at once, not at the next interval', async () => {
  const { clock, replica, nameServer, start } = aRegistration();
  start();
  await clock.advanceSettling(10);
  replica.lead(4);
  await clock.advanceSettling(0);
  const last = nameServer.heard.at(-1)!;
  deepEqual([last.claimsLeadership, last.term], [true, 4]);
});

test('topics that come or go are told at once, other entries are not', async () => {
  const { clock, replica, nameServer, start } = aRegistration();
  start();
  await clock.advanceSettling(0);
  replica.topics.push('orders');
  replica.apply('messageStored', 'acknowledged');
  await clock.advanceSettling(0);
  equal(nameServer.heard.length, 1);
  replica.apply('topicPut');
  await clock.advanceSettling(0);
  deepEqual(nameServer.heard.at(-1)?.topics, ['orders']);
  equal(nameServer.heard.at(-1)?.topicsVersion, 5);
});

test('changes during a call are told by one more call after it', async () => {
  const { clock, replica, nameServer, start } = aRegistration();
  let open: () => void = () => {};
  nameServer.gate = new Promise((resolve) => {
    open = resolve;
  });
  start();
  replica.lead(2);
  replica.lead(3);
  open();
  await clock.advanceSettling(0);
  deepEqual(
    nameServer.heard.map(({ term }) => term),
    [1, 3],
  );
  equal(nameServer.callsAtOnceMax, 1);
});

test('a name server that is away is asked once a second, and its loss is said once', async () => {
  const { clock, replica, nameServer, events, start } = aRegistration();
  nameServer.isUp = false;
  start();
  await clock.advanceSettling(3 * REGISTER_RETRY_DELAY_MS);
  replica.lead(2);
  nameServer.isUp = true;
  await clock.advanceSettling(REGISTER_RETRY_DELAY_MS);
  equal(nameServer.heard.at(-1)?.term, 2);
  deepEqual(
    events.map(({ kind }) => kind),
    ['nameServerLost', 'nameServerReached'],
  );
});

test('a sequence that the name server knows better is skipped', async () => {
  const { clock, nameServer, start } = aRegistration();
  const seen = 2 ** 50;
  nameServer.answer = { kind: 'stale', sequenceSeen: seen };
  start();
  await clock.advanceSettling(0);
  nameServer.answer = { kind: 'recorded' };
  await clock.advanceSettling(REGISTER_RETRY_DELAY_MS);
  equal(nameServer.heard.at(-1)?.sequence, seen + 1);
});

test('a refused claim is an event, once for each rival', async () => {
  const { clock, replica, nameServer, events, start } = aRegistration();
  const [highestTerm, highestNodeId] = [Term(9), NodeId('n2')];
  nameServer.answer = { kind: 'claimRefused', why: 'lowerTerm', highestTerm, highestNodeId };
  start();
  replica.lead(2);
  await clock.advanceSettling(REGISTER_INTERVAL_MS);
  equal(events.filter(({ kind }) => kind === 'claimRefused').length, 1);
});

test('close() unregisters with the newest sequence and leaves no timer', async () => {
  const { clock, nameServer, start } = aRegistration();
  const registration = start();
  await clock.advanceSettling(0);
  await Promise.all([registration.close(), registration.close()]);
  equal(nameServer.left.length, 1);
  equal(nameServer.left[0]!.sequence > nameServer.heard[0]!.sequence, true);
  await clock.advanceSettling(2 * REGISTER_INTERVAL_MS);
  equal(nameServer.heard.length, 1);
  equal(clock.timerCount, 0);
});

test('close() does not wait for a name server that is away', async () => {
  const { clock, nameServer, start } = aRegistration();
  nameServer.isUp = false;
  const registration = start();
  await clock.advanceSettling(0);
  await registration.close();
  equal(nameServer.left.length, 0);
});

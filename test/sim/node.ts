/**
 * One simulated replica: a real core, a modelled disk and state machine, and the driver's one rule
 * (effects.ts). The driver owns the volatile log: the core's entries as its effects told them.
 */
import { assert, unreachable } from '../../src/base/assert.ts';
import { Prng, type RandomSource } from '../../src/base/prng.ts';
import type { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import type { CoreStatus } from '../../src/raft/core-types.ts';
import type { Effect, Input, PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc, SnapshotDesc } from '../../src/raft/entry.ts';
import type { LoggedMembership, MembershipStep } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import { RaftCore } from '../../src/raft/raft-core.ts';
import { copyImage, type DurableImage, emptyImage, SimDisk } from './disk.ts';
import type { CrashDetails } from './fault-script.ts';
import type { Host, NodeSetup } from './host.ts';
import { keyedU32 } from './keyed-random.ts';
import { NodeClients } from './node-clients.ts';
import { falsifyReceived, falsifySent, forgeVote } from './planted-bugs.ts';
import { digestAfter, type SnapshotContent, StateMachine } from './state-machine.ts';
import { DISK_STALLED_MS } from './timing.ts';

export type { Host, NodeSetup } from './host.ts';
export { nodeIdAt } from './host.ts';
export type { Accepted } from './node-clients.ts';

/** Draws within this time are equal; small shifts of a schedule leave most timeouts as they were. */
const RANDOM_BUCKET_MS = 500;
/** More starts than a run has: nobody is refused because he has slept too long. */
const BOOT_IDS_KEPT_MAX = 256;

export class SimNode {
  readonly id: NodeId;
  readonly place: number;
  readonly disk: SimDisk;
  readonly clients: NodeClients;
  /** Counts starts; events of an earlier life are void. */
  life = 0;
  /** What the volatile log stands on. */
  base: SnapshotDesc;
  /** The volatile log of this life, after the base. */
  log: EntryDesc[] = [];
  /** Of the config entries in `log`. */
  memberships: LoggedMembership[] = [];
  storeUuid: string;
  isWiped = false;
  isRolledBack = false;
  /** Grows whenever a peer may have to be judged anew: at starts and changes of membership. */
  handshakeStamp = 0;
  readonly #host: Host;
  readonly #setup: NodeSetup;
  readonly #machine = new StateMachine();
  #core: RaftCore | null = null;
  #status: CoreStatus | null = null;
  /** Ends of the ranges that wait for the state machine, oldest first. */
  #applying: LogIndex[] = [];
  /** Files of snapshots that were brought here in this life. */
  #staged = new Map<LogIndex, SnapshotContent>();
  #isTakingSnapshot = false;
  #isToldStalled = false;
  #wipeCount = 0;

  constructor(host: Host, setup: NodeSetup) {
    this.#host = host;
    this.#setup = setup;
    this.place = setup.place;
    this.id = setup.id;
    this.base = setup.origin;
    this.disk = new SimDisk(setup.origin, setup.bugs.disk);
    this.clients = new NodeClients(this, host.observers, setup.bugs.driver);
    this.storeUuid = storeUuidOf(this.id, this.#wipeCount);
  }

  /** Timeouts depend on when they are drawn, not on how many were drawn before: see shrink.ts. */
  #randomSource(): RandomSource {
    const stream = new Prng(this.#setup.seed, `core:${this.id}`).nextU32();
    return {
      nextU32: () => keyedU32(stream, Math.floor(this.#host.nowMs / RANDOM_BUCKET_MS)),
    };
  }

  get isUp(): boolean {
    return this.#core !== null;
  }

  get isLeader(): boolean {
    return this.#status?.role === 'leader';
  }

  /** It forgot what it promised under this id, and is out until it is replaced. */
  get hasLostMemory(): boolean {
    return this.isWiped || this.isRolledBack;
  }

  get bootCount(): number {
    return this.disk.image.bootCount;
  }

  get bootIds(): readonly string[] {
    return this.disk.image.bootIds;
  }

  get status(): CoreStatus {
    assert(this.#status !== null, 'a node that is asked for its status is up');
    return this.#status;
  }

  get core(): RaftCore {
    assert(this.#core !== null, 'a node that is used is up');
    return this.#core;
  }

  get appliedIndex(): LogIndex {
    return this.#machine.appliedIndex;
  }

  get appliedDigest(): number {
    return this.#machine.digest;
  }

  get appliedValueCount(): number {
    return this.#machine.valueCount;
  }

  get lastIndex(): number {
    return this.base.last.index + this.log.length;
  }

  /** In force here, by the volatile log, or by the disk while the node is down. */
  get membership(): LoggedMembership {
    if (!this.isUp) return this.disk.membership;
    return this.memberships.at(-1) ?? this.base.membership;
  }

  entryAt(index: number): EntryDesc | undefined {
    return this.log[index - this.base.last.index - 1];
  }

  termAt(index: number): Term | undefined {
    return index === this.base.last.index ? this.base.last.term : this.entryAt(index)?.term;
  }

  membershipAt(index: number): LoggedMembership {
    return this.memberships.findLast((logged) => logged.index <= index) ?? this.base.membership;
  }

  /** What the state machine's digest was at `index`, from the disk; null when that is not known. */
  digestAt(index: number): number | null {
    const { snapshot, base, entries } = this.disk.image;
    if (index < base.last.index || index > this.disk.durableIndex) return null;
    let { digest } = snapshot;
    for (const entry of entries.slice(0, index - base.last.index)) {
      digest = digestAfter(digest, entry);
    }
    return digest;
  }

  start(memory: CrashDetails['memory']): void {
    assert(this.#core === null, 'a node starts when it is down');
    const { config, bugs } = this.#setup;
    this.#noteBoot();
    const start = this.disk.recover(memory);
    this.life++;
    this.handshakeStamp++;
    this.base = start.base;
    this.log = [...start.entries];
    this.memberships = [...start.memberships];
    this.#machine.load(this.disk.image.snapshot);
    const derivedCount = start.appliedIndex - start.base.last.index;
    for (const entry of start.entries.slice(0, derivedCount)) this.#machine.apply(entry);
    this.#host.observers.started(this, start);
    this.#core =
      bugs.rules === null
        ? new RaftCore(config, start, this.#randomSource())
        : new RaftCore(config, start, this.#randomSource(), bugs.rules);
    this.#status = this.#core.status();
  }

  crash(keep: CrashDetails): void {
    assert(this.#core !== null, 'a node that crashes is up');
    this.#core = null;
    this.#status = null;
    this.clients.forget();
    this.#applying = [];
    this.#staged = new Map();
    this.#isTakingSnapshot = false;
    this.#isToldStalled = false;
    this.disk.crash(keep);
    this.log = [];
    this.memberships = [];
    this.#host.observers.cut(this, this.disk.removed);
  }

  /** No two starts have the same name, whatever directory they find. */
  #noteBoot(): void {
    const { image } = this.disk;
    const bootId = `${this.place}-${this.life}-${this.#host.nowMs}`;
    image.bootCount += 1;
    image.bootIds = [bootId, ...image.bootIds].slice(0, BOOT_IDS_KEPT_MAX);
  }

  /** The directory is gone: an empty one with another store id takes its place (H22). */
  wipe(): void {
    assert(!this.isUp, 'a node is wiped while it is down');
    this.#wipeCount += 1;
    this.storeUuid = storeUuidOf(this.id, this.#wipeCount);
    this.disk.replace(emptyImage(this.#setup.origin));
    this.isWiped = true;
    this.#host.observers.wiped(this);
  }

  /** The directory is replaced by an older copy of itself (H23). */
  rollBack(image: DurableImage): void {
    assert(!this.isUp, 'a node is rolled back while it is down');
    this.disk.replace(copyImage(image));
    this.isRolledBack = true;
    this.#host.observers.rolledBack(this);
  }

  step(input: Input): void {
    const before = this.status;
    const effects = this.core.step(input);
    // Nearly half of all steps: time passes for a follower and nothing comes of it.
    if (effects.length === 0 && input.kind === 'tick' && before.role !== 'leader') return;
    for (const effect of effects) this.#execute(effect, before);
    const after = this.core.status();
    this.#status = after;
    if (before.role !== 'leader' && after.role === 'leader') this.clients.leads(after.term);
    this.#host.observers.stepped({ node: this, input, effects, before, after });
    this.clients.answerReads();
  }

  receive(from: NodeId, message: Message): void {
    const forged = forgeVote(this.#setup.bugs.driver, this, message);
    if (forged !== null) this.#send(from, forged);
    const received = falsifyReceived(this.#setup.bugs.driver, this, message);
    // Without the files there is nothing to install: a repeated message after a restart.
    const isStaged = message.kind !== 'installSnapshot' || this.#isStaged(message.snapshot);
    if (isStaged) this.step({ kind: 'receive', from, message: received });
  }

  propose(values: readonly number[], payloadSizeBytes: number): void {
    this.clients.propose(values, payloadSizeBytes);
  }

  /** @returns the tag that `readAnswered` or `readRefused` will name. */
  read(): number {
    return this.clients.read();
  }

  transfer(to: NodeId): void {
    this.clients.transfer(to);
  }

  changeMembership(steps: readonly MembershipStep[], ifMembershipIndex: LogIndex): void {
    this.clients.changeMembership(steps, ifMembershipIndex);
  }

  /** The files of a snapshot are here and verified. */
  stage(content: SnapshotContent): void {
    this.#staged.set(content.desc.last.index, content);
  }

  /** The oldest persist of the queue is on disk now. */
  completePersist(): void {
    const { persist, content } = this.disk.complete();
    const { observers } = this.#host;
    if (this.disk.removed.length > 0) observers.cut(this, this.disk.removed);
    if (this.disk.queue.length > 0) this.#host.persistQueued(this);
    if (content !== null) {
      this.#machine.load(content);
      this.clients.installed(content.desc.last.index);
      observers.snapshotInstalled(this, content.desc, content.digest);
    }
    if (this.#setup.bugs.driver !== 'repliesBeforeDurable') this.#release(persist);
    this.step({ kind: 'persisted', token: persist.token });
    this.watchDisk();
  }

  /** The state machine has finished the oldest range it was given. */
  completeApply(): void {
    const to = this.#applying.shift();
    assert(to !== undefined, 'a range that was applied was handed out');
    for (let index = this.appliedIndex + 1; index <= to; index++) {
      // While a snapshot is being installed the log in memory is the new one already.
      const entry = this.entryAt(index) ?? this.disk.entryAt(index);
      assert(entry !== undefined, 'an applied entry is in the log', () => ({ index }));
      this.#machine.apply(entry);
      this.#host.observers.applied(this, entry);
      this.clients.applied(entry);
    }
    this.step({ kind: 'applied', index: to });
    this.#maybeTakeSnapshot();
  }

  /** The derived state has flushed what it has applied. */
  flushApplied(): void {
    this.disk.image.appliedIndex = this.appliedIndex;
  }

  /** A snapshot of what was applied is durable now. */
  finishSnapshot(content: SnapshotContent): void {
    this.#isTakingSnapshot = false;
    const { index } = content.desc.last;
    // An install was faster, or is under way and will replace everything.
    if (index <= this.disk.baseIndex || this.disk.isInstalling) return;
    this.disk.compact(content);
    this.log = this.log.slice(index - this.base.last.index);
    this.memberships = this.memberships.filter((logged) => logged.index > index);
    this.base = content.desc;
    this.#host.observers.compacted(this, index);
    this.step({ kind: 'compacted', through: index });
  }

  /** Tells the core when the disk stops or resumes finishing its writes (H11). */
  watchDisk(): void {
    const oldest = this.disk.queue[0];
    const isStalled = oldest !== undefined && this.#host.nowMs - oldest.atMs > DISK_STALLED_MS;
    if (isStalled === this.#isToldStalled) return;
    this.#isToldStalled = isStalled;
    this.step({ kind: 'diskHealth', isStalled });
  }

  #maybeTakeSnapshot(): void {
    const { snapshotEveryCount } = this.#setup;
    if (snapshotEveryCount === 0 || this.#isTakingSnapshot || this.disk.isInstalling) return;
    if (this.appliedIndex - this.disk.baseIndex < snapshotEveryCount) return;
    const last = this.entryAt(this.appliedIndex);
    assert(last !== undefined, 'what was just applied is in the log');
    this.#isTakingSnapshot = true;
    const content = this.#machine.contentAs({
      last: { term: last.term, index: last.index },
      endOffset: (last.physicalOffset + last.sizeBytes) as SnapshotDesc['endOffset'],
      membership: this.membershipAt(last.index),
    });
    this.#host.snapshotBegun(this, content);
  }

  #isStaged({ last }: SnapshotDesc): boolean {
    return this.#staged.get(last.index)?.desc.last.term === last.term;
  }

  #execute(effect: Effect, before: CoreStatus): void {
    this.#host.observers.emitted(this, effect);
    switch (effect.kind) {
      case 'persist':
        this.#persist(effect, before);
        return;
      case 'send':
        this.#send(effect.to, effect.message);
        return;
      case 'apply':
        this.#applying.push(effect.to);
        this.#host.applyQueued(this, effect.to);
        return;
      case 'proposeResult':
        this.clients.onProposeResult(effect);
        return;
      case 'readResult':
        this.clients.onReadResult(effect);
        return;
      case 'transferResult':
        this.clients.onTransferResult(effect);
        return;
      case 'changeResult':
        this.clients.onChangeResult(effect);
        return;
      case 'sendSnapshot':
        this.#host.transferSnapshot(this, effect.to);
        return;
      case 'membership':
        this.handshakeStamp++;
        this.#host.observers.membershipChanged(this, effect.current);
        return;
      case 'role':
        return;
      case 'alarm':
        this.#host.observers.alarmed(this, effect.id);
        return;
      default:
        unreachable(effect);
    }
  }

  #persist(persist: PersistEffect, before: CoreStatus): void {
    this.#host.observers.persisting(this, persist, before);
    const { snapshot, truncateFrom } = persist;
    let content: SnapshotContent | null = null;
    if (snapshot !== null) {
      content = this.#staged.get(snapshot.last.index) ?? null;
      assert(content !== null, 'what is installed was staged', () => snapshot);
      this.base = snapshot;
      this.log = [];
      this.memberships = [];
    }
    if (truncateFrom !== null) {
      this.log.length = truncateFrom - this.base.last.index - 1;
      this.memberships = this.memberships.filter(({ index }) => index < truncateFrom);
    }
    for (const entry of persist.entries) this.log.push(entry);
    for (const logged of persist.memberships) this.memberships.push(logged);
    const { nowMs } = this.#host;
    this.disk.submit({ persist, commitIndex: before.commitIndex, content, atMs: nowMs });
    if (this.#setup.bugs.driver === 'repliesBeforeDurable') this.#release(persist);
    if (this.disk.queue.length === 1) this.#host.persistQueued(this);
  }

  #release(persist: PersistEffect): void {
    for (const { to, message } of persist.after) this.#send(to, message);
  }

  #send(to: NodeId, message: Message): void {
    const sent = falsifySent(this.#setup.bugs.driver, this, message);
    this.#host.observers.released(this, to, sent);
    this.#host.send(this, to, sent);
  }
}

function storeUuidOf(id: NodeId, wipeCount: number): string {
  return `${id}-store-${wipeCount}`;
}

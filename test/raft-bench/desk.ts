/**
 * One core, `n1`, whose disk, state machine and peers are the test: writes end when it says so, and
 * what waited for them is returned like everything else that leaves.
 */
import { LogIndex, type NodeId } from '../../src/base/units.ts';
import type {
  CoreStatus,
  Effect,
  Input,
  MembershipStep,
  Message,
  PeerProgress,
  PersistEffect,
  RaftCore,
} from '../../src/raft/index.ts';
import { aCore, aLeader, type CoreOptions, sent } from './builders.ts';

export interface Answer {
  readonly last?: number;
  readonly durable?: number;
  readonly round?: number;
  readonly isDiskStalled?: boolean;
}

export class Desk {
  readonly core: RaftCore;
  readonly #writes: PersistEffect[] = [];
  #applyTo: LogIndex | null = null;
  #nextTag = 1;

  constructor(core: RaftCore, effects: readonly Effect[] = []) {
    this.core = core;
    this.#note(effects);
  }

  get status(): CoreStatus {
    return this.core.status();
  }

  get writes(): readonly PersistEffect[] {
    return this.#writes;
  }

  peer(id: NodeId): PeerProgress {
    return this.status.peers.find(({ nodeId }) => nodeId === id)!; // asked for members only
  }

  step(input: Input): readonly Effect[] {
    const effects = this.core.step(input);
    this.#note(effects);
    return effects;
  }

  receive(from: NodeId, message: Message): readonly Effect[] {
    return this.step({ kind: 'receive', from, message });
  }

  tick(count = 1): readonly Effect[] {
    return Array.from({ length: count }, () => this.step({ kind: 'tick' })).flat();
  }

  propose(payloadSizeBytes = 8): readonly Effect[] {
    const tag = this.#nextTag++;
    const proposal = { tag, type: 'data', payloadSizeBytes, payloadCrc: tag } as const;
    return this.step({ kind: 'propose', proposals: [proposal] });
  }

  read(tag: number): readonly Effect[] {
    return this.step({ kind: 'read', tag });
  }

  transfer(to: NodeId, tag = 1): readonly Effect[] {
    return this.step({ kind: 'transfer', tag, to });
  }

  /** On the membership in force. */
  change(...steps: readonly MembershipStep[]): readonly Effect[] {
    const ifMembershipIndex = this.status.membership.index;
    return this.step({ kind: 'changeMembership', tag: 1, steps, ifMembershipIndex });
  }

  /** Ends the oldest write. */
  persistOne(): readonly Effect[] {
    const write = this.#writes.shift();
    if (write === undefined) return [];
    const released = write.after.map(({ to, message }) => ({ kind: 'send', to, message }) as const);
    return [...released, ...this.step({ kind: 'persisted', token: write.token })];
  }

  /** Ends all writes, those that follow from them as well. */
  persist(): readonly Effect[] {
    const effects: Effect[] = [];
    while (this.#writes.length > 0) effects.push(...this.persistOne());
    return effects;
  }

  apply(): readonly Effect[] {
    if (this.#applyTo === null) return [];
    const index = this.#applyTo;
    this.#applyTo = null;
    return this.step({ kind: 'applied', index });
  }

  /** The peer has everything up to here on its disk. */
  accept(peer: NodeId, matchIndex: number = this.status.lastIndex): readonly Effect[] {
    const { term } = this.status;
    return this.receive(peer, { kind: 'appendAccepted', term, matchIndex: LogIndex(matchIndex) });
  }

  /** An answer to a heartbeat, by default of a peer that has everything. */
  answer(peer: NodeId, { last, durable, round = 0, isDiskStalled = false }: Answer = {}) {
    const { term, lastIndex } = this.status;
    return this.receive(peer, {
      kind: 'heartbeatReply',
      term,
      round,
      lastIndex: LogIndex(last ?? lastIndex),
      durableIndex: LogIndex(durable ?? last ?? lastIndex),
      isDiskStalled,
    });
  }

  /** Time passes, in which these peers take over everything and answer every heartbeat. */
  pass(ticks: number, peers: readonly NodeId[], answer: Answer = {}): readonly Effect[] {
    const effects: Effect[] = [];
    for (let i = 0; i < ticks; i++) {
      const now = this.step({ kind: 'tick' });
      effects.push(...now, ...this.persist(), ...this.apply());
      for (const { to, message } of sent(now, 'heartbeat')) {
        if (!peers.includes(to) || this.status.role !== 'leader') continue;
        effects.push(...this.answer(to, { round: message.round, ...answer }));
      }
    }
    return effects;
  }

  #note(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'persist') this.#writes.push(effect);
      if (effect.kind === 'apply') this.#applyTo = effect.to;
    }
  }
}

export function aDesk(options: CoreOptions = {}): Desk {
  return new Desk(aCore(options));
}

/** `n1` leads, and its no-op is on its way to everybody's disk. */
export function aFreshLeader(options: CoreOptions = {}): Desk {
  const { core, effects } = aLeader(options);
  return new Desk(core, effects);
}

/** `n1` leads, everybody has everything, and all of it is applied here. */
export function aSettledLeader(options: CoreOptions = {}): Desk {
  const desk = aFreshLeader(options);
  desk.persist();
  for (const { nodeId } of desk.status.peers) desk.accept(nodeId);
  for (const { nodeId } of desk.status.peers) desk.answer(nodeId);
  desk.apply();
  return desk;
}

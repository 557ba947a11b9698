/**
 * Compares what operators are told with what the log says. `done` must be so at some time between the question
 * and the config entry that the answer names; `refused` must have changed nothing; and what changed must have been
 * allowed by whoever asked for it.
 */
import { actionOf } from '../../src/broker/admin/wish.ts';
import type { AdminChange, AdminResponse, ChangeOptions } from '../../src/protocol/admin.ts';
import type { Allowance } from '../../src/protocol/admin-plan.ts';
import { isJoint } from '../../src/raft/membership.ts';
import { isWishOf, type LedgerConfig } from './group-ledger.ts';
import type { GroupWatch } from './group-watch.ts';
import type { StackWorld } from './stack-world.ts';

export interface OpenCall {
  readonly change: AdminChange;
  readonly operationId: string;
  /** Newest membership that was known when it was asked. */
  readonly fromIndex: number;
}

/** Something that is so by then. */
interface Claim {
  readonly call: OpenCall;
  readonly configIndex: number;
}

export class ClaimBook {
  readonly #world: StackWorld;
  readonly #group: GroupWatch;
  readonly #open = new Set<OpenCall>();
  readonly #allowed = new Map<string, Set<Allowance>>();
  readonly #ifConfig = new Map<string, number>();
  /** Operations that were told to take the lock from whoever has it. */
  readonly #steals = new Set<string>();
  #claims: Claim[] = [];
  /** Memberships that were looked at. */
  #seenCount = 1;
  #seenLines = 0;

  constructor(world: StackWorld, group: GroupWatch) {
    this.#world = world;
    this.#group = group;
  }

  allow(change: AdminChange, { actor, allow, ifConfig, steal }: ChangeOptions): void {
    const id = `${actionOf(change)} by ${actor}`;
    if (steal) this.#steals.add(id);
    const allowed = this.#allowed.get(id) ?? new Set();
    for (const each of allow) allowed.add(each);
    this.#allowed.set(id, allowed);
    if (ifConfig !== null) this.#ifConfig.set(id, ifConfig);
  }

  open(change: AdminChange, { actor }: ChangeOptions): OpenCall {
    const operationId = `${actionOf(change)} by ${actor}`;
    const call = { change, operationId, fromIndex: this.#group.ledger.current.index };
    this.#open.add(call);
    return call;
  }

  /** @param response null: none that says anything */
  close(call: OpenCall, response: AdminResponse | null): void {
    this.#open.delete(call);
    if (response?.kind === 'refused') this.#checkRefused(call);
    if (response?.kind !== 'changed' || response.state === 'pending') return;
    this.#claims.push({ call, configIndex: response.configIndex });
    this.check();
  }

  /** What the log has reached by now. */
  check(): void {
    const { ledger } = this.#group;
    for (; this.#seenCount < ledger.configs.length; this.#seenCount++) {
      const config = ledger.configs[this.#seenCount];
      const before = ledger.configs[this.#seenCount - 1];
      if (config !== undefined && before !== undefined) this.#checkAllowed(config, before);
    }
    for (; this.#seenLines < ledger.lines.length; this.#seenLines++) {
      const { takenFrom, action, actor, index } = ledger.lines[this.#seenLines]!; // below the length
      if (takenFrom === null || this.#steals.has(`${action} by ${actor}`)) continue;
      const sentence = `"${action}" by ${actor} takes the lock of "${takenFrom}" at ${index} unasked`;
      this.#world.observer.violation('M1', sentence);
    }
    const ripe = this.#claims.filter(({ configIndex }) => configIndex <= ledger.lastIndex);
    this.#claims = this.#claims.filter(({ configIndex }) => configIndex > ledger.lastIndex);
    for (const claim of ripe) this.#checkDone(claim);
  }

  /** Nothing that was claimed is still to come. */
  checkOpen(): void {
    for (const { call, configIndex } of this.#claims) {
      const sentence = `"${call.operationId}" was answered by config #${configIndex}, which never came`;
      this.#world.observer.violation('M4', sentence);
    }
  }

  #checkDone({ call, configIndex }: Claim): void {
    const { observer } = this.#world;
    const { change, operationId, fromIndex } = call;
    observer.checkCount++;
    if (change.kind === 'drain' || change.kind === 'undrain' || change.kind === 'unlock') return;
    const { configs } = this.#group.ledger;
    const named = configs.find(({ index }) => index === configIndex);
    if (named === undefined) {
      observer.violation('M4', `"${operationId}" was answered by #${configIndex}, which is none`);
      return;
    }
    const action = actionOf(change);
    const since = configs.findLastIndex(({ index }) => index <= fromIndex);
    const isSo = configs
      .slice(Math.max(0, since))
      .some(({ membership }) => !isJoint(membership) && isWishOf(action, membership));
    if (isSo) return;
    observer.violation('M4', `"${operationId}" is said to be done by #${configIndex}, and is not`);
  }

  /** Of a replacement the first step may be done, and the second one refused. */
  #checkRefused({ operationId, fromIndex }: OpenCall): void {
    const { observer, clock } = this.#world;
    observer.checkCount++;
    if ([...this.#open].some((other) => other.operationId === operationId)) return;
    const done = this.#group.ledger.configs.find(
      (config) =>
        config.index > fromIndex &&
        config.operationId === operationId &&
        config.step.kind !== 'addLearner',
    );
    if (done === undefined) return;
    const sentence = `"${operationId}" was refused at ${clock.monotonicMs()} ms, and has made #${done.index}`;
    observer.violation('M4', sentence);
  }

  /** M1, as far as it is a matter of options. */
  #checkAllowed(config: LedgerConfig, before: LedgerConfig): void {
    const { observer } = this.#world;
    const { operationId, step, index } = config;
    if (operationId === null) return;
    this.#checkIfConfig(operationId, config);
    if (step.kind !== 'voters') return;
    const allowed = this.#allowed.get(operationId) ?? new Set();
    const needs: Allowance[] = [];
    const [count, countBefore] = [config.membership.voters.length, before.membership.voters.length];
    if (count !== countBefore && count % 2 === 0) needs.push('evenVoters');
    if (count < countBefore && count < 3) needs.push('belowThree');
    for (const need of needs) {
      observer.checkCount++;
      if (allowed.has(need)) continue;
      observer.violation(
        'M1',
        `#${index} leaves ${count} voters, and ${operationId} allows no ${need}`,
      );
    }
  }

  /** Nothing but stores that were pinned lies between the entry that was named and the first change. */
  #checkIfConfig(operationId: string, { index }: LedgerConfig): void {
    const ifConfig = this.#ifConfig.get(operationId);
    if (ifConfig === undefined) return;
    const { observer } = this.#world;
    observer.checkCount++;
    const other = this.#group.ledger.configs.find(
      (config) =>
        config.index > ifConfig &&
        config.index < index &&
        config.step.kind !== 'pin' &&
        config.step.kind !== 'leaveJoint' &&
        config.operationId !== operationId,
    );
    if (other === undefined) return;
    const sentence = `"${operationId}" asked for config #${ifConfig}, and #${other.index} came before its #${index}`;
    observer.violation('M1', sentence);
  }
}

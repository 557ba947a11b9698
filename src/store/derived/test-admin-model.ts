/**
 * What operators decided, as plainly as it can be said: all commands that took effect are kept, and each
 * question is answered by going through them again.
 */
import type { AdminCommand, AdminDeed } from '../../protocol/admin-command.ts';

interface Recorded extends AdminCommand {
  readonly logIndex: number;
}

type Deed<K extends AdminDeed['kind']> = Extract<AdminDeed, { kind: K }>;

export class AdminModel {
  readonly recorded: Recorded[] = [];

  apply(command: AdminCommand, logIndex: number): { outcome: string; sequence: number } {
    const problem = this.#problemOf(command);
    if (problem !== null) return { outcome: problem, sequence: 0 };
    this.recorded.push({ ...command, logIndex });
    return { outcome: 'done', sequence: this.recorded.length };
  }

  get lock(): { operationId: string; owner: string; action: string; takenAtMs: number } | null {
    const last = this.recorded.findLast(({ deed }) => /Lock$/.test(deed.kind));
    if (last === undefined || last.deed.kind !== 'takeLock') return null;
    const { actor: owner, action, atMs: takenAtMs } = last.line;
    return { operationId: last.deed.operationId, owner, action, takenAtMs };
  }

  get drained(): readonly string[] {
    const names = new Set(this.#all('drain').map(({ nodeId }) => nodeId));
    const isDrained = (nodeId: string) =>
      this.recorded.findLast(
        ({ deed }) => /drain$/.test(deed.kind) && 'nodeId' in deed && deed.nodeId === nodeId,
      )?.deed.kind === 'drain';
    return [...names].filter(isDrained).sort();
  }

  get featureLevel(): number {
    return this.#all('setFeatureLevel').at(-1)?.level ?? 0;
  }

  /** The token a node has now, and who used it. */
  tokenOf(nodeId: string): { hash: string; expiresAtMs: number; usedBy: string } | null {
    const about = this.recorded.flatMap(({ deed }) =>
      'nodeId' in deed && deed.nodeId === nodeId ? [deed] : [],
    );
    const at = about.findLastIndex(({ kind }) => kind === 'issueToken' || kind === 'retire');
    const issued = about[at];
    if (issued?.kind !== 'issueToken') return null;
    const use = about.slice(at).find((deed): deed is Deed<'useToken'> => deed.kind === 'useToken');
    const { tokenHash, expiresAtMs } = issued;
    return { hash: String(tokenHash), expiresAtMs, usedBy: use?.storeUuid ?? '' };
  }

  #problemOf({ line, deed }: AdminCommand): string | null {
    if (deed.kind === 'takeLock') {
      const isOther = this.lock !== null && this.lock.operationId !== deed.operationId;
      return isOther && !deed.steal ? 'lockHeld' : null;
    }
    if (deed.kind === 'releaseLock') {
      return this.lock?.operationId === deed.operationId ? null : 'lockLost';
    }
    if (deed.kind === 'setFeatureLevel') {
      return deed.level < this.featureLevel ? 'levelLower' : null;
    }
    if (deed.kind !== 'useToken') return null;
    const token = this.tokenOf(deed.nodeId);
    if (token?.hash !== String(deed.tokenHash)) return 'noToken';
    if (this.#all('retire').some(({ storeUuid }) => storeUuid === deed.storeUuid)) {
      return 'storeRetired';
    }
    if (token.usedBy === deed.storeUuid) return null;
    if (token.usedBy !== '') return 'tokenUsed';
    return line.atMs >= token.expiresAtMs ? 'tokenExpired' : null;
  }

  #all<K extends AdminDeed['kind']>(kind: K): Deed<K>[] {
    // The filter is the proof.
    return this.recorded.map(({ deed }) => deed).filter((deed) => deed.kind === kind) as Deed<K>[];
  }
}

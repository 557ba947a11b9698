/** Records of administration on their way into the log: one line of the trail with each deed. */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import type { NodeId } from '../../base/units.ts';
import type { AdminDeed } from '../../protocol/admin-command.ts';
import type { Replica } from '../../replica/replica.ts';
import type { AdminOutcome } from '../../store/derived/admin-view.ts';
import type { LeaderTime } from '../leader-time.ts';
import type { Proposer } from '../proposer.ts';
import { TOKEN_LIFETIME_MS, TOKEN_SIZE_BYTES } from './limits.ts';

/** What a line says beside the deed. */
export interface Words {
  readonly actor: string;
  readonly action: string;
  readonly phase: string;
  readonly planHash?: string;
  readonly details?: string;
}

export interface AdminLogOptions {
  readonly replica: Replica;
  readonly proposer: Proposer;
  readonly time: LeaderTime;
  readonly randomBytes: (count: number) => Uint8Array;
}

export class AdminLog {
  readonly #options: AdminLogOptions;

  constructor(options: AdminLogOptions) {
    this.#options = options;
  }

  /**
   * Applied here, and durable on a majority, when it resolves.
   * @throws LeadershipLost when that is unknown; every deed may be asked for again
   */
  async write(deed: AdminDeed, words: Words): Promise<AdminOutcome> {
    const { replica, proposer, time } = this.#options;
    const { actor, action, phase, planHash = '', details = '' } = words;
    const result = await proposer.proposeCommand(proposer.requireTerm(), {
      kind: 'admin',
      deed,
      line: {
        atMs: time.nowMs(),
        ...{ actor, action, phase, planHash, details },
        configIndex: replica.status().membership.index,
      },
    });
    assert(result.kind === 'adminApplied', 'an admin record has its own result');
    return result.outcome;
  }

  /** A new token for the node; the one it had is void. */
  async issueToken(
    nodeId: NodeId,
    words: Words,
  ): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const token = Buffer.from(this.#options.randomBytes(TOKEN_SIZE_BYTES)).toString('base64url');
    const expiresAtMs = this.#options.time.nowMs() + TOKEN_LIFETIME_MS;
    await this.write(
      { kind: 'issueToken', nodeId, tokenHash: tokenHashOf(token), expiresAtMs },
      words,
    );
    return { token, expiresAtMs };
  }
}

export function tokenHashOf(token: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(token).digest());
}

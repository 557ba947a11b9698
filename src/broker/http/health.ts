/**
 * Two questions of those who run a node. Live: would a restart help? A node without quorum is
 * live, or an orchestrator would kill the healthy minority. Ready: shall clients come here?
 */

import { unreachable } from '../../base/assert.ts';
import type { InstallStatus } from '../../replica/snapshot/snapshot-status.ts';
import { LIVE_DISK_STALL_MS_MAX, READY_APPLY_LAG_MAX, READY_DISK_STALL_MS_MAX } from './limits.ts';
import type { NodeView } from './node-view.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was seen, with the number. */
  readonly detail: string;
}

/** That there is an answer at all shows that the event loop turns. */
export function liveChecks(replica: NodeView): readonly Check[] {
  const check = diskCheck(replica, LIVE_DISK_STALL_MS_MAX);
  // No restart makes room.
  return [{ ...check, ok: check.ok || replica.log.diskStats.waitsForRoom() }];
}

export function readyChecks(replica: NodeView, isDraining: boolean): readonly Check[] {
  const { leader, commitIndex, appliedIndex, install } = replica.status();
  const applyLag = Math.max(0, commitIndex - appliedIndex);
  return [
    {
      name: 'leader',
      ok: leader !== null,
      detail: leader === null ? 'no leader is known' : `the leader is ${leader}`,
    },
    {
      name: 'applied',
      ok: applyLag <= READY_APPLY_LAG_MAX,
      detail: `${applyLag} committed entries are not applied, at most ${READY_APPLY_LAG_MAX} are fine`,
    },
    {
      name: 'snapshot',
      ok: install === null,
      detail: install === null ? 'none is needed' : installText(install),
    },
    diskCheck(replica, READY_DISK_STALL_MS_MAX),
    {
      name: 'serving',
      ok: !isDraining,
      detail: isDraining ? 'the node is stopping' : 'in service',
    },
  ];
}

function installText({ phase, index, percent }: InstallStatus): string {
  switch (phase) {
    case 'receiving':
      return `${percent} % of the one at entry ${index} are here`;
    case 'waiting':
      return `the one at entry ${index} waits for the entries that belong to it`;
    case 'building':
      return `derived state is being made from the one at entry ${index}`;
    case 'missing':
      return 'the log needs one, and nobody has given it yet';
    default:
      unreachable(phase);
  }
}

function diskCheck(replica: NodeView, stallMsMax: number): Check {
  const { diskStats } = replica.log;
  const oldestMs = Math.round(diskStats.oldestPendingMs());
  const why = diskStats.waitsForRoom() ? ': the disk has no room for the next segment' : '';
  return {
    name: 'disk',
    ok: oldestMs <= stallMsMax,
    detail: `the oldest unfinished write is ${oldestMs} ms old, at most ${stallMsMax} ms are fine${why}`,
  };
}

/** One line per failed check, or per check. */
export function healthText(checks: readonly Check[], verbose: boolean): string {
  const failed = checks.filter(({ ok }) => !ok);
  const shown = verbose ? checks : failed;
  const lines = shown.map(({ name, ok, detail }) => `[${ok ? '+' : '-'}] ${name}: ${detail}`);
  return `${[...lines, failed.length === 0 ? 'ok' : 'failed'].join('\n')}\n`;
}

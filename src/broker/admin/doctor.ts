/** Looks over the whole group: what is red must be mended, what is yellow an operator should know. */
import { sizeText } from '../../base/size-text.ts';
import type { Check } from '../../protocol/admin-plan.ts';
import type { CheckReport, MemberHealth, NodeHealth } from '../../protocol/admin-report.ts';
import { check, checkOf, repairCheck, settledChecks } from './check-builder.ts';
import { twoCopiesCheck } from './copy-checks.ts';
import { type GroupView, isWellIn } from './group-view.ts';
import {
  CLOCK_SKEW_MS_MAX,
  DISK_FREE_SHARE_MIN,
  DISK_FREE_SIZE_BYTES_MIN,
  LOOP_DELAY_MS_P99_MAX,
  SCRUB_AGE_MS_MAX,
  SWAP_SIZE_BYTES_MAX,
  SYNC_MS_P99_MAX,
} from './limits.ts';
import { arithmeticOf, arithmeticText } from './quorum-arithmetic.ts';
import type { Answers } from './survey.ts';
import { zoneChecks } from './zone-checks.ts';

const MS_PER_HOUR = 3_600_000;

export function examine(view: GroupView, answers: Answers, nowMs: number): CheckReport {
  const members = view.membership.members.flatMap(({ nodeId }) => answers.get(nodeId) ?? []);
  const healths = members.flatMap(({ health }) => (health === null ? [] : [health]));
  return {
    members,
    checks: [
      marginCheck(view),
      ...settledChecks(view, true),
      twoCopiesCheck(view),
      ...zoneChecks(null, view.membership.voters, view),
      repairCheck(view, []),
      answersCheck(members),
      lockCheck(view),
      versionCheck(view, healths),
      ...healths.flatMap((health) => nodeChecks(health, nowMs)),
      ...members.flatMap(skewCheck),
    ],
  };
}

/** Red: no majority. Yellow: not one failure more is survived. */
function marginCheck(view: GroupView): Check {
  const { voters, outgoing } = view.membership;
  const sets = [voters, ...(outgoing.length === 0 ? [] : [outgoing])].map((set) =>
    arithmeticOf(set, isWellIn(view)),
  );
  const tolerates = Math.min(...sets.map((set) => set.tolerates));
  const isAllUp = sets.every((set) => set.live.length === set.voters.length);
  const verdict =
    tolerates < 0 ? 'failed' : tolerates === 0 && !isAllUp ? 'failed' : isAllUp ? 'ok' : 'warning';
  return checkOf('quorumMargin', verdict, {
    observed: sets.map(arithmeticText).join('; '),
    limit: 'all voters live, and no set without a failure to spare',
    remedy: 'bring back or replace the voters that are missing, one at a time; stop nothing else',
  });
}

function answersCheck(members: readonly MemberHealth[]): Check {
  const silent = members.filter(({ health }) => health === null);
  return check('membersAnswer', silent.length === 0, {
    subject: silent[0]?.nodeId ?? null,
    observed:
      silent.length === 0
        ? `${members.length} of ${members.length} answer`
        : silent.map(({ nodeId, silence }) => `${nodeId}: ${silence}`).join('; '),
    limit: 'every member answers within a second',
    remedy: 'see that its process runs and its port for peers can be reached',
  });
}

function lockCheck({ lock }: GroupView): Check {
  return checkOf('operatorLock', lock === null ? 'ok' : 'warning', {
    observed:
      lock === null
        ? 'nobody is changing the group'
        : `"${lock.action}" by ${lock.owner} since ${new Date(lock.takenAtMs).toISOString()}`,
    limit: 'no operation left open',
    remedy: lock === null ? '' : `go on with \`mq-raft ${lock.action}\`, or give it up`,
  });
}

function versionCheck(view: GroupView, healths: readonly NodeHealth[]): Check {
  const said = healths.map(({ nodeId, version, featureLevelMax }) => {
    return `${nodeId} ${version} (level ${featureLevelMax})`;
  });
  const isSame =
    new Set(healths.map(({ version, featureLevelMax }) => `${version} ${featureLevelMax}`)).size <=
    1;
  return checkOf('sameVersion', isSame ? 'ok' : 'warning', {
    observed: `${said.join(', ')}; level ${view.featureLevel} is in force`,
    limit: 'one version on all members, but for the time of an upgrade',
    remedy: 'finish the rolling upgrade',
  });
}

function nodeChecks(health: NodeHealth, nowMs: number): readonly Check[] {
  const { nodeId: subject } = health;
  return [
    syncCheck(health),
    roomCheck(health),
    check('loopDelay', (health.loopDelayMsP99 ?? 0) <= LOOP_DELAY_MS_P99_MAX, {
      subject,
      observed: msText(health.loopDelayMsP99, 'event-loop delay p99'),
      limit: `at most ${LOOP_DELAY_MS_P99_MAX} ms, half of an election timeout`,
      remedy: 'the process gets too little CPU: look at the machine',
    }),
    checkOf('swap', (health.swapUsedBytes ?? 0) <= SWAP_SIZE_BYTES_MAX ? 'ok' : 'warning', {
      subject,
      observed:
        health.swapUsedBytes === null
          ? 'not known'
          : `${sizeText(health.swapUsedBytes)} are swapped out`,
      limit: `at most ${sizeText(SWAP_SIZE_BYTES_MAX)} of the process`,
      remedy: 'switch swapping off on this machine, or give it more memory',
    }),
    scrubCheck(health, nowMs),
  ];
}

function syncCheck({ nodeId, syncMsP99, isDiskStalled }: NodeHealth): Check {
  return check('syncTime', !isDiskStalled && (syncMsP99 ?? 0) < SYNC_MS_P99_MAX, {
    subject: nodeId,
    observed: isDiskStalled ? 'a write does not end' : msText(syncMsP99, 'fsync p99'),
    limit: `below ${SYNC_MS_P99_MAX} ms`,
    remedy: 'look at its disk, and replace the member if it stays slow',
  });
}

function roomCheck({ nodeId, diskFreeBytes, diskTotalBytes }: NodeHealth): Check {
  const neededBytes = Math.min(
    DISK_FREE_SIZE_BYTES_MIN,
    (diskTotalBytes ?? Number.POSITIVE_INFINITY) * DISK_FREE_SHARE_MIN,
  );
  return check('diskRoom', diskFreeBytes === null || diskFreeBytes >= neededBytes, {
    subject: nodeId,
    observed: diskFreeBytes === null ? 'not known' : `${sizeText(diskFreeBytes)} are free`,
    limit: sizeText(Math.ceil(neededBytes)),
    remedy: 'give it a larger disk, or let retention keep less',
  });
}

function scrubCheck({ nodeId, scrubFinishedAtMs }: NodeHealth, nowMs: number): Check {
  const ageMs = scrubFinishedAtMs === null ? null : Math.max(0, nowMs - scrubFinishedAtMs);
  return checkOf('scrubAge', ageMs === null || ageMs <= SCRUB_AGE_MS_MAX ? 'ok' : 'warning', {
    subject: nodeId,
    observed: ageMs === null ? 'no pass is known' : `the last pass ended ${hoursText(ageMs)} ago`,
    limit: hoursText(SCRUB_AGE_MS_MAX),
    remedy: `mq-raft scrub ${nodeId}`,
  });
}

function skewCheck({ nodeId, clockSkewMs }: MemberHealth): readonly Check[] {
  if (clockSkewMs === null) return [];
  return [
    checkOf('clockSkew', Math.abs(clockSkewMs) <= CLOCK_SKEW_MS_MAX ? 'ok' : 'warning', {
      subject: nodeId,
      observed: `${clockSkewMs.toFixed(0)} ms from the leader's`,
      limit: `${CLOCK_SKEW_MS_MAX} ms`,
      remedy: 'let NTP set its clock: store times and retention follow it when it leads',
    }),
  ];
}

function hoursText(ms: number): string {
  return `${Math.round(ms / MS_PER_HOUR)} h`;
}

function msText(ms: number | null, what: string): string {
  return ms === null ? `${what}: not measured yet` : `${what} ${ms.toFixed(1)} ms`;
}

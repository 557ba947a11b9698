/** Whether a learner is fit to become a voter: there, with the log, with room, and with a disk that is quick. */
import { sizeText } from '../../base/size-text.ts';
import type { NodeId } from '../../base/units.ts';
import type { ChangeOptions } from '../../protocol/admin.ts';
import type { Check } from '../../protocol/admin-plan.ts';
import { HANDOVER_LAG_BYTES_MAX } from '../../raft/limits.ts';
import { check, checkOf } from './check-builder.ts';
import { type GroupView, isUnderRepair, type MemberView } from './group-view.ts';
import { DISK_ROOM_FACTOR, SYNC_MS_P99_MAX } from './limits.ts';

/** @param mayWait what comes with time is no reason to refuse: the operation waits for it */
export function targetChecks(
  member: MemberView | null,
  nodeId: NodeId,
  view: GroupView,
  mayWait: boolean,
  options: Pick<ChangeOptions, 'allow'>,
): readonly Check[] {
  const arrival = arrivalChecks(member, nodeId, view);
  const isHere = arrival.every(({ verdict }) => verdict === 'ok');
  const awaited = arrival.map((one) => later(one, mayWait));
  if (member === null) return awaited;
  // Whoever copies a whole log has other sync times than a voter has.
  const mayBeSlow = mayWait && !isHere && !member.isDiskStalled && !isUnderRepair(member);
  return [
    ...awaited,
    roomCheck(member, view),
    later(speedCheck(member, options), mayBeSlow),
    levelCheck(member, view),
  ];
}

function later(one: Check, mayWait: boolean): Check {
  const isLater = mayWait && one.verdict === 'failed';
  return isLater ? { ...one, verdict: 'warning', remedy: 'the operation waits for it' } : one;
}

function arrivalChecks(
  member: MemberView | null,
  nodeId: NodeId,
  { logSizeBytes }: GroupView,
): readonly Check[] {
  const hasJoined = member !== null && (member.storeUuid !== null || member.isMet);
  const isLive = member?.isActive === true;
  const lagBytes = member?.lagBytes ?? logSizeBytes;
  const isClose = member !== null && (member.isSelf || lagBytes <= HANDOVER_LAG_BYTES_MAX);
  return [
    check('targetJoined', hasJoined, {
      subject: nodeId,
      observed: hasJoined ? `${nodeId} has joined` : `no process of ${nodeId} was met yet`,
      limit: 'its process has joined with its token',
      remedy: `start it with the line that \`mq-raft add ${nodeId}\` prints`,
    }),
    check('targetLive', isLive, {
      subject: nodeId,
      observed: isLive ? `${nodeId} is heard` : `${nodeId} is silent${silenceOf(member)}`,
      limit: 'heard within an election timeout',
      remedy: 'see that its process runs and can be reached',
    }),
    check('targetCaughtUp', isClose && isLive, {
      subject: nodeId,
      observed: `${nodeId} lacks ${sizeText(lagBytes)} of the log`,
      limit: `at most ${sizeText(HANDOVER_LAG_BYTES_MAX)}`,
      remedy: `wait: \`mq-raft catchup ${nodeId}\` shows how long`,
    }),
  ];
}

function silenceOf(member: MemberView | null): string {
  return member === null || member.silence === '' ? '' : ` (${member.silence})`;
}

function roomCheck({ nodeId, health }: MemberView, { logSizeBytes }: GroupView): Check {
  const freeBytes = health?.diskFreeBytes ?? null;
  const neededBytes = Math.max(
    0,
    Math.ceil(logSizeBytes * DISK_ROOM_FACTOR) - (health?.logSizeBytes ?? 0),
  );
  const words = {
    subject: nodeId,
    observed: freeBytes === null ? `${nodeId} does not say` : `${sizeText(freeBytes)} are free`,
    limit: `${sizeText(neededBytes)}: ${DISK_ROOM_FACTOR} times the leader's log less what is there`,
    remedy: 'give it a larger disk: it must hold the whole log',
  };
  if (freeBytes === null) return checkOf('targetDiskRoom', 'warning', words);
  return check('targetDiskRoom', freeBytes >= neededBytes, words);
}

function speedCheck(member: MemberView, { allow }: Pick<ChangeOptions, 'allow'>): Check {
  const { nodeId, health, isDiskStalled } = member;
  const p99Ms = health?.syncMsP99 ?? null;
  const isQuick = p99Ms === null || p99Ms < SYNC_MS_P99_MAX;
  const isSick = isDiskStalled || isUnderRepair(member);
  const isTaken = !isSick && allow.includes('slowDisk');
  const verdict = isQuick && !isSick ? 'ok' : isTaken ? 'warning' : 'failed';
  return checkOf('targetDiskSpeed', verdict, {
    subject: nodeId,
    observed: isDiskStalled
      ? `a write of ${nodeId} does not end`
      : p99Ms === null
        ? `${nodeId} has synced nothing yet`
        : `fsync p99 of ${nodeId} is ${p99Ms.toFixed(1)} ms`,
    limit: `below ${SYNC_MS_P99_MAX} ms`,
    remedy: isSick
      ? 'look at its disk: as a voter it would slow down every write'
      : 'look at its disk: as a voter it would slow down every write; or accept it with --allow slowDisk',
  });
}

function levelCheck({ nodeId, health }: MemberView, { featureLevel }: GroupView): Check {
  const level = health?.featureLevelMax ?? null;
  const words = {
    subject: nodeId,
    observed: level === null ? `${nodeId} does not answer` : `${nodeId} supports level ${level}`,
    limit: `level ${featureLevel}, which is in force`,
    remedy: 'upgrade its program first',
  };
  if (level === null) return checkOf('featureLevel', 'warning', words);
  return check('featureLevel', level >= featureLevel, words);
}

/** What tests ask of a group and its outcomes. */
import assert from 'node:assert/strict';
import type { LogIndex } from '../../src/base/units.ts';
import type { ProposeOutcome } from '../../src/replica/replica.ts';
import type { ReplicaGroup, RunningNode } from './replica-group.ts';

export function dataEntries(node: RunningNode): number {
  const last = node.replica.status().lastIndex;
  const entries = node.log.cachedEntries(1 as LogIndex, last) ?? [];
  return entries.filter((entry) => entry.desc.type === 'data').length;
}

export function storedOf(outcome: ProposeOutcome) {
  assert.equal(outcome.kind, 'applied');
  if (outcome.kind !== 'applied') throw new Error('not applied');
  return outcome.results.map((result) => {
    assert.ok(result.kind === 'messageStored');
    return result;
  });
}

export function assertSameLogs(group: ReplicaGroup): void {
  const logs = [...group.running.values()].map((node) => {
    const last = node.replica.status().lastIndex;
    return Buffer.concat(
      (node.log.cachedEntries(1 as LogIndex, last) ?? []).map((entry) => entry.bytes),
    ).toString('hex');
  });
  assert.equal(new Set(logs).size, 1, 'all logs are the same bytes');
}

export const nextOffset = (node: RunningNode, queueId = 0) =>
  node.replica.state.queueRange('t', queueId).next;

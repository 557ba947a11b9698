/**
 * A program of its own: reads the closed directory of one replica from its files, past everything that
 * served clients, and prints what it finds. One line for each message, then one of the log as a whole.
 *
 *     node read-replica.js NODE DIRECTORY
 *
 * It also asks the consume queues of derived state for every message, and for messages that the log
 * does not have.
 */
import { crc32 } from '../../../src/base/crc32.ts';
import { CorruptionError } from '../../../src/base/errors.ts';
import { advance, LogIndex, QueueOffset } from '../../../src/base/units.ts';
import { NodeDisk } from '../../../src/io/node/node-disk.ts';
import type { Command } from '../../../src/protocol/command-record.ts';
import { messageIdOf } from '../../../src/protocol/message-record.ts';
import { recordsOf } from '../../../src/protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../../src/raft/entry.ts';
import { openDerivedState } from '../../../src/store/derived/open-derived-state.ts';
import { dumpLog } from '../../../src/store/inspect/dump-log.ts';
import type { WalkedEntry } from '../../../src/store/inspect/walk-options.ts';
import type { ReplicaLog, StoredPlace } from '../history/evidence.ts';
import { readBody } from '../workloads/body.ts';

/** An entry in so many has its digest written down. */
const DIGEST_PERIOD = 100;

const [node = '', directory = ''] = process.argv.slice(2);
const damages: string[] = [];
const digests: { index: number; digest: number }[] = [];
const places = new Map<string, StoredPlace>();
let firstIndex = 0;
let lastIndex = 0;
let digest = 0;
let isWholeHundred = false;
/** As the commands in the log have it, which derived state must agree with. */
let decided = { index: 0, physicalOffset: 0 };

/** Of a hundred entries at a time, so that logs which begin at different places can be compared. */
function noteDigest({ desc, chainCrc, headerCrc }: WalkedEntry['header']): void {
  const { index } = desc;
  if (index % DIGEST_PERIOD === 1) {
    digest = 0;
    isWholeHundred = true;
  }
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(digest, 0);
  bytes.writeUInt32BE(chainCrc, 4);
  bytes.writeUInt32BE(headerCrc, 8);
  digest = crc32(bytes);
  if (isWholeHundred) digests.push({ index, digest });
}

function onEntry({ header, body }: WalkedEntry): 'goOn' {
  const { index, type, physicalOffset } = header.desc;
  if (firstIndex === 0) firstIndex = index;
  lastIndex = index;
  noteDigest(header);
  if (type !== 'data') return 'goOn';
  if (body.kind !== 'good') {
    damages.push(`payload of entry ${index}`);
    return 'goOn';
  }
  try {
    for (const record of recordsOf(body.payload)) {
      if (record.kind === 'command') noteDecision(record.command);
      if (record.kind !== 'message') continue;
      const { message, at } = record;
      const { topic, queueId, queueOffset } = message;
      // What our clients called it; other clients mint ids of their own.
      const id = readBody(message.body)?.id ?? messageIdOf(message) ?? '';
      const place: StoredPlace = {
        ...{ node, topic, queueId, queueOffset, id },
        physicalOffset: advance(physicalOffset, ENTRY_HEADER_SIZE_BYTES + at),
        bodyCrc: crc32(message.body),
      };
      const name = `${topic}/${queueId}/${queueOffset}`;
      const other = places.get(name);
      // A topic that was deleted and made again begins anew: only topics that stay are compared.
      if (other !== undefined && !topic.startsWith('admin-')) {
        damages.push(`${name} at ${other.physicalOffset} and at ${place.physicalOffset}`);
      }
      places.set(name, place);
      process.stdout.write(`${JSON.stringify(place)}\n`);
    }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    damages.push(`records of entry ${index}: ${error.message}`);
  }
  return 'goOn';
}

function noteDecision(command: Command): void {
  if (command.kind !== 'advanceLogStart' || command.firstIndex <= decided.index) return;
  decided = { index: command.firstIndex, physicalOffset: command.physicalOffset };
}

const disk = new NodeDisk();
await dumpLog({
  ...{ disk, directory, from: LogIndex(1), isLive: false, onEntry },
  onDamage: ({ kind, index, path, position }) => {
    damages.push(`${kind} ${index ?? ''} ${path.slice(directory.length)}@${position ?? ''}`.trim());
  },
  signal: new AbortController().signal,
});

const state = await openDerivedState({
  ...{ directory, disk, durableIndexMax: LogIndex(lastIndex) },
  onEvent: (event) => {
    damages.push(`derived state: ${event.kind}`);
  },
});
for (const { topic, queueCount } of state.topics()) {
  if (topic.startsWith('admin-')) continue;
  for (let queueId = 0; queueId < queueCount; queueId++) {
    const { min, next } = state.queueRange(topic, queueId);
    for (let at: number = min; at < next; at++) {
      const unit = state.queueUnit(topic, queueId, QueueOffset(at));
      const place = places.get(`${topic}/${queueId}/${at}`);
      if (unit === null) damages.push(`queue ${topic}/${queueId} has no unit at ${at}`);
      else if (place?.physicalOffset !== unit.physicalOffset) {
        damages.push(
          `queue ${topic}/${queueId}@${at} points at ${unit.physicalOffset}, ` +
            `the log has it at ${place?.physicalOffset ?? 'no place'}`,
        );
      }
    }
  }
}
const { appliedIndex } = state;
const logStart = { index: state.logStart.index, physicalOffset: state.logStart.offset };
// Each decision is behind the start that it sets, so the last one is in every log that keeps to it.
if (appliedIndex === lastIndex && logStart.index > 1 && logStart.index !== decided.index) {
  damages.push(`log start ${logStart.index} by derived state, ${decided.index} by the log`);
}
if (firstIndex > Math.max(1, logStart.index)) {
  damages.push(
    `the log begins with entry ${firstIndex}, and was to be kept from ${logStart.index}`,
  );
}
for (const { topic, queueId, queueOffset, physicalOffset } of places.values()) {
  if (topic.startsWith('admin-') || physicalOffset < logStart.physicalOffset) continue;
  const { min, next } = state.queueRange(topic, queueId);
  if (queueOffset >= min && (queueOffset < next || appliedIndex < lastIndex)) continue;
  damages.push(
    `queue ${topic}/${queueId} goes from ${min} to ${next}, the log has a message for ${queueOffset}`,
  );
}
await state.close();
await disk.close();

const log: ReplicaLog = {
  ...{ node, firstIndex, lastIndex, appliedIndex, logStart, damages },
  verdict: damages.length === 0 ? 'intact' : 'damaged',
  digests: digests.filter(({ index }) => index % DIGEST_PERIOD === 0 || index === lastIndex),
};
process.stdout.write(`${JSON.stringify({ log })}\n`);

/** The asking side of repair on the wire: one question to one address, one answer or the reason for none. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { joinBytes } from '../../base/bytes.ts';
import {
  type RepairFrame,
  type RepairHead,
  type RepairRead,
  repairMethod,
  splitEntries,
} from '../../protocol/repair-codec.ts';
import type { RepairAnswer } from '../../store/repair/repair-source.ts';
import { PEER_CHANNEL_OPTIONS } from '../grpc-peer-method.ts';
import { REPAIR_ANSWER_SIZE_BYTES_MAX, REPAIR_ASK_MS_MAX } from './limits.ts';

export type AskOutcome =
  | { readonly kind: 'answer'; readonly answer: RepairAnswer; readonly from: string }
  | { readonly kind: 'failed'; readonly why: string };

/** The port of repair to the other replicas. */
export interface RepairClient {
  ask(address: string, read: RepairRead): Promise<AskOutcome>;
  /** Ends what is open. Idempotent. */
  close(): void;
}

export function createRepairClient(): RepairClient {
  const clients = new Map<string, Client>();
  return {
    ask: (address, read) => {
      let client = clients.get(address);
      if (client === undefined) {
        client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
        clients.set(address, client);
      }
      return askOnce(client, address, read);
    },
    close: () => {
      for (const client of clients.values()) client.close();
      clients.clear();
    },
  };
}

/** A peer that starts at the same time is found soon. */
const CHANNEL_OPTIONS = {
  ...PEER_CHANNEL_OPTIONS,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

function askOnce(client: Client, address: string, read: RepairRead): Promise<AskOutcome> {
  const method = repairMethod();
  return new Promise((resolve) => {
    const collected = new Collected();
    const deadline = new Date(Date.now() + REPAIR_ASK_MS_MAX);
    const call = client.makeServerStreamRequest<RepairRead, RepairFrame>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      read,
      { deadline },
    );
    call.on('data', (frame: RepairFrame) => {
      const problem = collected.add(frame);
      if (problem === null) return;
      call.cancel();
      resolve({ kind: 'failed', why: `${address}: ${problem}` });
    });
    call.on('error', (error: ServiceError) => {
      resolve({ kind: 'failed', why: `${address}: ${error.details}` });
    });
    call.on('end', () => {
      const outcome = collected.outcome();
      resolve(typeof outcome === 'string' ? failed(address, outcome) : outcome);
    });
  });
}

function failed(address: string, problem: string): AskOutcome {
  return { kind: 'failed', why: `${address}: ${problem}` };
}

class Collected {
  #head: RepairHead | null = null;
  readonly #parts: Uint8Array[] = [];
  #sizeBytes = 0;

  /** @returns the problem in words */
  add(frame: RepairFrame): string | null {
    if (frame.kind === 'head') {
      if (this.#head !== null) return 'it sent two heads';
      if (frame.head.sizeBytes > REPAIR_ANSWER_SIZE_BYTES_MAX) return 'it wants to send too much';
      this.#head = frame.head;
      return null;
    }
    this.#parts.push(frame.bytes);
    this.#sizeBytes += frame.bytes.length;
    return this.#sizeBytes > (this.#head?.sizeBytes ?? 0) ? 'it sent more than it said' : null;
  }

  outcome(): AskOutcome | string {
    const head = this.#head;
    if (head === null || this.#sizeBytes !== head.sizeBytes) return 'its answer is cut off';
    const entries = splitEntries(joinBytes(this.#parts));
    if (typeof entries === 'string') return entries;
    const { committed, firstIndex } = head;
    return { kind: 'answer', from: head.nodeId, answer: { entries, committed, firstIndex } };
  }
}

/**
 * The two ends of one stream between replicas, without the stream: frames in, frames out. Sequence
 * numbers start at 0 in each direction; anything unexpected ends the stream, because after it no
 * later frame can be trusted to be the next one (H28).
 *
 * An outbound session says Hello, waits for Welcome, then carries messages. An inbound session
 * delivers nothing before it has welcomed the caller.
 */
import { assert } from '../base/assert.ts';
import type { NodeId } from '../base/units.ts';
import {
  type DecodedFrame,
  decodePeerFrame,
  encodePeerFrame,
  type PeerContent,
  type ReceivedEntry,
} from '../protocol/peer-codec.ts';
import type { Message } from '../raft/messages.ts';
import type { PeerRoster, Refusal } from './handshake.ts';

/** The stream under a session. */
export interface SessionStream {
  write(frame: Uint8Array): void;
  /** Ends the stream after what was written; called once. */
  end(why: string): void;
}

export interface SessionEvents {
  /** We refused the other side. */
  readonly onRefused: (refusal: Refusal) => void;
  readonly onCorrupt: (problem: string) => void;
  readonly onFatal: (error: unknown) => void;
}

export interface OutboundEvents extends SessionEvents {
  readonly onWelcome: () => void;
  readonly onRefusedByPeer: (code: string, sentence: string) => void;
}

export interface InboundEvents extends SessionEvents {
  readonly onAdmitted: (peer: NodeId) => void;
  readonly onMessage: (from: NodeId, message: Message, entries: readonly ReceivedEntry[]) => void;
}

const NO_ENTRIES: readonly Uint8Array[] = [];

/** What both ends have in common: counting, decoding, ending once. */
class FrameLane {
  readonly #stream: SessionStream;
  readonly #events: SessionEvents;
  #sentCount = 0;
  #receivedCount = 0;
  #ended = false;

  constructor(stream: SessionStream, events: SessionEvents) {
    this.#stream = stream;
    this.#events = events;
  }

  get ended(): boolean {
    return this.#ended;
  }

  encode(content: PeerContent, entries: readonly Uint8Array[] = NO_ENTRIES): Uint8Array {
    return encodePeerFrame(this.#sentCount++, content, entries);
  }

  write(content: PeerContent): void {
    if (!this.#ended) this.#stream.write(this.encode(content));
  }

  /** @returns null when the stream is over, now or before */
  decode(bytes: Uint8Array): Extract<DecodedFrame, { kind: 'frame' }> | null {
    if (this.#ended) return null;
    const frame = decodePeerFrame(bytes, this.#receivedCount++);
    if (frame.kind === 'frame') return frame;
    this.corrupt(frame.problem);
    return null;
  }

  corrupt(problem: string): void {
    this.#events.onCorrupt(problem);
    this.end(problem);
  }

  refuse(refusal: Refusal): void {
    this.#events.onRefused(refusal);
    this.end(refusal.sentence);
  }

  /** Nothing is delivered or written afterwards. */
  end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.end(why);
  }

  /** @param judging the verdict on the other side; failing to reach one is fatal (the disk) */
  settle(judging: Promise<NodeId | Refusal>, onVerdict: (verdict: NodeId | Refusal) => void): void {
    void judging // Owned here: both ends are handled.
      .then((verdict) => {
        if (!this.#ended) onVerdict(verdict);
      })
      .catch(this.#events.onFatal);
  }
}

export class OutboundSession {
  readonly #roster: PeerRoster;
  readonly #peer: NodeId;
  readonly #events: OutboundEvents;
  readonly #lane: FrameLane;
  #state: 'new' | 'greeting' | 'judging' | 'welcomed' = 'new';
  #bootId: string | null = null;

  constructor(roster: PeerRoster, peer: NodeId, stream: SessionStream, events: OutboundEvents) {
    this.#roster = roster;
    this.#peer = peer;
    this.#events = events;
    this.#lane = new FrameLane(stream, events);
  }

  get welcomed(): boolean {
    return this.#state === 'welcomed' && !this.#lane.ended;
  }

  /** Which start of the peer has welcomed us. */
  get bootId(): string | null {
    return this.welcomed ? this.#bootId : null;
  }

  /** Says Hello. */
  open(): void {
    assert(this.#state === 'new', 'a session opens once');
    this.#state = 'greeting';
    const hello = { from: this.#roster.self, toNodeId: this.#peer };
    this.#lane.write({ kind: 'hello', hello });
  }

  /** The frame to write next; frames must be written in the order in which they were encoded. */
  encode(message: Message, entryBytes: readonly Uint8Array[]): Uint8Array {
    assert(this.#state === 'welcomed', 'messages follow the welcome');
    return this.#lane.encode({ kind: 'message', message }, entryBytes);
  }

  receive(bytes: Uint8Array): void {
    const frame = this.#lane.decode(bytes);
    if (frame === null) return;
    const { content } = frame;
    if (content.kind === 'refused') {
      this.#events.onRefusedByPeer(content.code, content.sentence);
      this.#lane.end(`refused: ${content.sentence}`);
      return;
    }
    if (content.kind !== 'welcome' || this.#state !== 'greeting') {
      this.#lane.corrupt(`an unexpected ${content.kind} came as an answer`);
      return;
    }
    this.#state = 'judging';
    this.#bootId = content.from.bootIds[0] ?? null;
    this.#lane.settle(this.#roster.recognise(this.#peer, content.from), (verdict) => {
      if (typeof verdict !== 'string') return this.#lane.refuse(verdict);
      this.#state = 'welcomed';
      this.#events.onWelcome();
    });
  }

  end(why: string): void {
    this.#lane.end(why);
  }
}

export class InboundSession {
  readonly #roster: PeerRoster;
  readonly #events: InboundEvents;
  readonly #lane: FrameLane;
  #judging = false;
  #peer: NodeId | null = null;
  #bootId: string | null = null;

  constructor(roster: PeerRoster, stream: SessionStream, events: InboundEvents) {
    this.#roster = roster;
    this.#events = events;
    this.#lane = new FrameLane(stream, events);
  }

  /** null before the caller was admitted. */
  get peer(): NodeId | null {
    return this.#peer;
  }

  /** Which start of the peer calls. */
  get bootId(): string | null {
    return this.#bootId;
  }

  receive(bytes: Uint8Array): void {
    const frame = this.#lane.decode(bytes);
    if (frame === null) return;
    const { content } = frame;
    if (content.kind === 'message' && this.#peer !== null) {
      this.#events.onMessage(this.#peer, content.message, frame.entries);
      return;
    }
    if (content.kind !== 'hello' || this.#judging) {
      this.#lane.corrupt(`an unexpected ${content.kind} came`);
      return;
    }
    this.#judging = true;
    this.#bootId = content.hello.from.bootIds[0] ?? null;
    this.#lane.settle(this.#roster.admit(content.hello), (verdict) => this.#answer(verdict));
  }

  end(why: string): void {
    this.#lane.end(why);
  }

  #answer(verdict: NodeId | Refusal): void {
    if (typeof verdict !== 'string') {
      this.#lane.write({ kind: 'refused', ...verdict });
      this.#lane.refuse(verdict);
      return;
    }
    this.#peer = verdict;
    this.#lane.write({ kind: 'welcome', from: this.#roster.self });
    this.#events.onAdmitted(verdict);
  }
}

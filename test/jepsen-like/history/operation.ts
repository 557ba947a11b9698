/**
 * The history of a run: one line of JSON for each operation of a client, with what was asked, when, and
 * what came of it. Clients write it, checkers read it; neither knows the other.
 *
 * Outcomes: `ok` only on an answer that says so; `fail` only when it is certain that nothing was done;
 * everything else is `info`: it may have happened, may happen later, or never. The name of a client
 * that had an `info` operation is not used again, because that operation may be under way for ever.
 */

export type Outcome = 'ok' | 'fail' | 'info';

export interface SentMessage {
  readonly id: string;
  readonly sequence: number;
}

export interface Receipt {
  readonly id: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly duplicate: boolean;
}

export interface Delivery {
  readonly id: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly attempt: number;
  /** CRC-32 of the body as it came. */
  readonly bodyCrc: number;
  /** The body is what the sender of this id wrote. */
  readonly intact: boolean;
}

export interface Place {
  readonly queueId: number;
  readonly queueOffset: number;
}

export type Action =
  | {
      readonly verb: 'send';
      readonly topic: string;
      /** Whose order counts: one producer sends one thing at a time. */
      readonly producer: string;
      readonly messages: readonly SentMessage[];
      readonly receipts: readonly Receipt[];
    }
  | {
      readonly verb: 'receive';
      readonly topic: string;
      readonly group: string;
      readonly deliveries: readonly Delivery[];
      /** Part of the final reading, after everything was healed. */
      readonly final: boolean;
    }
  | {
      readonly verb: 'ack';
      readonly topic: string;
      readonly group: string;
      readonly places: readonly Place[];
      /** `true` where the broker said yes. */
      readonly accepted: readonly boolean[];
    }
  | {
      readonly verb: 'readOffset';
      readonly topic: string;
      readonly group: string;
      readonly offsets: readonly { readonly queueId: number; readonly consumerOffset: number }[];
    }
  | { readonly verb: 'topicPut'; readonly topic: string }
  | { readonly verb: 'topicDelete'; readonly topic: string }
  | {
      readonly verb: 'topicDescribe';
      readonly topic: string;
      /** null: no such topic. */
      readonly queues:
        | readonly {
            readonly queueId: number;
            readonly minOffset: number;
            readonly nextOffset: number;
          }[]
        | null;
    };

export interface Operation {
  readonly workload: string;
  readonly client: string;
  /** Since the start of the run, on one monotonic clock. */
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
  readonly error: string | null;
  readonly action: Action;
}

export type Verb = Action['verb'];
export type ActionOf<V extends Verb> = Extract<Action, { readonly verb: V }>;
export interface OperationOf<V extends Verb> extends Operation {
  readonly action: ActionOf<V>;
}

export function isVerb<V extends Verb>(verb: V): (each: Operation) => each is OperationOf<V> {
  return (each): each is OperationOf<V> => each.action.verb === verb;
}

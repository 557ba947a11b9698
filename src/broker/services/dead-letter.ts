/**
 * A consumer gives a message up. Clients repeat this until they hear that it worked, so a message
 * that this handle no longer holds counts as done: it is acknowledged, or on its way to someone else.
 */
import { unreachable } from '../../base/assert.ts';
import type { DerivedState } from '../../store/derived/derived-state.ts';
import type { DeadLetterRequest } from '../verbs.ts';
import type { DeadLetterer } from './dead-letterer.ts';
import { handleFor, invalidHandle } from './handles.ts';

export interface DeadLetterOptions {
  readonly state: DerivedState;
  readonly deadLetterer: DeadLetterer;
  readonly wake: (group: string, topic: string) => void;
}

export async function deadLetter(
  request: DeadLetterRequest,
  { state, deadLetterer, wake }: DeadLetterOptions,
): Promise<void> {
  const handle = handleFor(request, request.handle);
  if (handle === null) throw invalidHandle('is not one of this group and topic');
  if (state.topic(handle.topic) === null) return;
  const outcome = await deadLetterer.move(handle).finally(() => wake(handle.group, handle.topic));
  switch (outcome) {
    case 'ok':
    case 'gone':
      return;
    case 'stale':
      throw invalidHandle('was replaced by a later delivery');
    default:
      unreachable(outcome);
  }
}

/** Receipt handles as requests bring them. */
import { decodeReceiptHandle, type ReceiptHandle } from '../receipt-handle.ts';
import { BrokerError } from '../verbs.ts';

/** @returns null unless the handle is one of ours for this group and topic */
export function handleFor(
  request: { readonly group: string; readonly topic: string },
  text: string,
): ReceiptHandle | null {
  const handle = decodeReceiptHandle(text);
  if (handle === null) return null;
  return handle.group === request.group && handle.topic === request.topic ? handle : null;
}

export function invalidHandle(why: string): BrokerError {
  return new BrokerError(
    'invalidHandle',
    `The receipt handle ${why}. Receive the message again to get a valid one.`,
  );
}

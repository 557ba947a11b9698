/** The row of a delivery that is not acknowledged; its queue offset is in the key. */
import type { QueueOffset } from '../../base/units.ts';
import type { InFlight } from './derived-state.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const FIXED_SIZE_BYTES = 4 + 8 + 1 + 8;

export function encodeInFlight(rows: RowWriter, delivery: InFlight): Uint8Array {
  const { deliveryId, clientId, attemptId } = delivery;
  return rows
    .begin(FIXED_SIZE_BYTES, deliveryId, clientId, attemptId)
    .text(deliveryId)
    .u32(delivery.attempt)
    .u64(delivery.invisibleUntilMs)
    .text(clientId)
    .u8(delivery.autoRenew ? 1 : 0)
    .text(attemptId)
    .u64(delivery.firstDeliveredAtMs)
    .finish();
}

export function decodeInFlight(value: Uint8Array, queueOffset: QueueOffset): InFlight {
  const row = new RowReader(value);
  const delivery: InFlight = {
    queueOffset,
    deliveryId: row.text(),
    attempt: row.u32(),
    invisibleUntilMs: row.u64(),
    clientId: row.text(),
    autoRenew: row.u8() === 1,
    attemptId: row.text(),
    firstDeliveredAtMs: row.u64(),
  };
  row.end();
  return delivery;
}

/** Where the delivery with the offset is, or would be: deliveries ascend by offset. */
export function placeOf(inFlight: readonly InFlight[], queueOffset: QueueOffset): number {
  let low = 0;
  let high = inFlight.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (inFlight[middle]!.queueOffset < queueOffset)
      low = middle + 1; // below the length
    else high = middle;
  }
  return low;
}

export function consumerOffsetOf(
  inFlight: readonly InFlight[],
  nextOffset: QueueOffset,
): QueueOffset {
  return inFlight[0]?.queueOffset ?? nextOffset;
}

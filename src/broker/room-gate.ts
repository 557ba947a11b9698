/**
 * Refuses what a client wants to add to a log whose disk is full, before it enters the log (H10). What
 * consumers need in order to go on is not asked for: it lives on the reserve.
 */
import { BrokerError, type RoomReport } from './verbs.ts';

export class RoomGate {
  readonly #room: () => RoomReport | null;

  /** @param room what is known of the disk of this node, which leads; null: nothing */
  constructor(room: () => RoomReport | null) {
    this.#room = room;
  }

  /** @throws BrokerError diskFull */
  requireRoom(): void {
    const room = this.#room();
    if (room?.level !== 'full') return;
    const { freeBytes, totalBytes, reserveBytes } = room;
    throw new BrokerError(
      'diskFull',
      `The disk of the leader is full: ${freeBytes} of ${totalBytes} bytes are free, and the last ` +
        `${reserveBytes} are kept for acknowledgements and the log itself. Nothing was stored. Free ` +
        'space on its disk, or make it larger; sends are taken again within a second, without a restart.',
    );
  }
}

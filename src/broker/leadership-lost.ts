/**
 * The broker could not finish here because this node does not lead (any more). Never leaves the
 * broker layer: the gateway asks again, here or elsewhere, until the caller's deadline.
 *
 * Whether the effect of the call is in the log is open; every verb can be asked again safely.
 */
export class LeadershipLost extends Error {
  override readonly name = 'LeadershipLost';
  constructor() {
    super('This node does not lead the group');
  }
}

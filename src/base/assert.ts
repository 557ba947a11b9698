/** A bug of ours - never bad input, never a failing disk. Nobody catches it: the process ends. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** On in production. `message` is a literal and `details` a thunk: passing costs one comparison. */
export function assert(
  condition: boolean,
  message: string,
  details?: () => object,
): asserts condition {
  if (condition) return;
  throw new InvariantError(
    details === undefined ? message : `${message}: ${JSON.stringify(details())}`,
  );
}

export function unreachable(value: never): never {
  throw new InvariantError(`Unreachable case: ${JSON.stringify(value)}`);
}

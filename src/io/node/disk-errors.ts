/** System errors of Node as the port's DiskError. */
import { DiskError } from '../disk.ts';

export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'UNKNOWN';
}

/** Runs a system call and names it should it fail. */
export async function attempting<T>(
  operation: string,
  path: string,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new DiskError(operation, path, codeOf(error), { cause: error });
  }
}

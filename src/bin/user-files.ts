/** The user's small files for src/cli. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserFileError, type UserFiles } from '../cli/environment.ts';

export const userFiles: UserFiles = {
  read: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT') return null;
      throw new UserFileError(`Cannot read ${path}: ${code}`, { cause: error });
    }
  },
  write: (path, text, mode) => {
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(temporary, text, { mode });
      renameSync(temporary, path);
    } catch (error) {
      throw new UserFileError(`Cannot write ${path}: ${codeOf(error)}`, { cause: error });
    }
  },
};

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  throw error;
}

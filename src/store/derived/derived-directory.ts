/**
 * The databases of a replica: `derived/<number>/`, the highest number being the current one. A new one is
 * made under `derived/<number>.staging`, a file that says "not yet"; removing the file makes it current,
 * at once and durably. So whenever the process dies, the current one is the old or the new.
 */
import type { Disk } from '../../io/disk.ts';

/** What LMDB keeps in the directory of an environment. */
const DATABASE_FILES: ReadonlySet<string> = new Set(['data.mdb', 'lock.mdb']);

export class DerivedDirectory {
  readonly #disk: Disk;
  readonly #parent: string;

  /** @param replicaDirectory `derived/` is in it */
  constructor(disk: Disk, replicaDirectory: string) {
    this.#disk = disk;
    this.#parent = `${replicaDirectory}/derived`;
  }

  async create(): Promise<void> {
    await this.#disk.makeDirectory(this.#parent);
  }

  pathOf(number: number): string {
    return `${this.#parent}/${number}`;
  }

  /** 1 when there is none. */
  async current(): Promise<number> {
    const names = await this.#disk.list(this.#parent);
    const staged = new Set(stagedIn(names));
    return Math.max(1, ...numbersIn(names).filter((number) => !staged.has(number)));
  }

  /** A number that nothing here has had. */
  async next(): Promise<number> {
    const names = await this.#disk.list(this.#parent);
    return Math.max(1, ...numbersIn(names), ...stagedIn(names)) + 1;
  }

  /** Before anything of the database is made. */
  async markStaged(number: number): Promise<void> {
    await this.#disk.writeFile(this.#markOf(number), new Uint8Array(0));
  }

  /** From now on it is the current one. Repeating it is harmless. */
  async activate(number: number): Promise<void> {
    await this.#disk.remove(this.#markOf(number));
  }

  /** What is in it is not what it should be: the next start makes another one. Durable when it resolves. */
  async condemn(number: number, why: string): Promise<void> {
    await this.#disk.writeFile(this.#condemnationOf(number), Buffer.from(why));
  }

  /** null: it is not. */
  async whyCondemned(number: number): Promise<string | null> {
    const path = this.#condemnationOf(number);
    const sizeBytes = await this.#disk.sizeOf(path);
    if (sizeBytes === null) return null;
    return Buffer.from(await this.#disk.read(path, 0, sizeBytes)).toString();
  }

  /**
   * Frees what staging left that came to nothing. The mark stays: an empty directory without it would be
   * the current database.
   */
  async discardStaged(): Promise<void> {
    const staged = stagedIn(await this.#disk.list(this.#parent));
    for (const number of staged) await this.discard(number);
  }

  /** Frees the databases before the current one. */
  async discardRetired(): Promise<void> {
    const current = await this.current();
    for (const number of numbersIn(await this.#disk.list(this.#parent))) {
      if (number < current) await this.discard(number);
    }
  }

  async discard(number: number): Promise<void> {
    const path = this.pathOf(number);
    for (const name of await this.#disk.list(path)) {
      if (DATABASE_FILES.has(name)) await this.#disk.remove(`${path}/${name}`);
    }
  }

  #condemnationOf(number: number): string {
    return `${this.pathOf(number)}.diverged`;
  }

  #markOf(number: number): string {
    return `${this.pathOf(number)}.staging`;
  }
}

function numbersIn(names: readonly string[]): readonly number[] {
  return names.filter((name) => /^[1-9]\d{0,8}$/.test(name)).map(Number);
}

function stagedIn(names: readonly string[]): readonly number[] {
  return names.flatMap((name) => {
    const number = /^([1-9]\d{0,8})\.staging$/.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
}

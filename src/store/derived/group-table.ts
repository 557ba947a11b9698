/** The consumer groups, all in memory. */
import type { GroupPutCommand } from '../../protocol/command-record.ts';
import type { GroupConfig } from './derived-state.ts';
import { prefixEnd, TABLE, textKey } from './key-codec.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const FIXED_SIZE_BYTES = 4 + 1 + 8;

export class GroupTable {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #byName = new Map<string, GroupConfig>();

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
    for (const { value } of overlay.range(TABLE.group, prefixEnd(TABLE.group))) {
      const config = decodeGroup(value);
      this.#byName.set(config.group, config);
    }
  }

  get(name: string): GroupConfig | null {
    return this.#byName.get(name) ?? null;
  }

  /** By name. */
  all(): readonly GroupConfig[] {
    return [...this.#byName.values()].sort((a, b) => (a.group < b.group ? -1 : 1));
  }

  put(command: GroupPutCommand): { readonly created: boolean } {
    const before = this.get(command.group);
    const config: GroupConfig = {
      group: command.group,
      maxAttempts: command.maxAttempts,
      fifo: command.fifo,
      createdAtMs: before?.createdAtMs ?? command.atMs,
    };
    this.#byName.set(config.group, config);
    const value = this.#rows
      .begin(FIXED_SIZE_BYTES, config.group)
      .text(config.group)
      .u32(config.maxAttempts)
      .u8(config.fifo ? 1 : 0)
      .u64(config.createdAtMs)
      .finish();
    this.#overlay.put(TABLE.group + textKey(config.group), value);
    return { created: before === null };
  }
}

function decodeGroup(value: Uint8Array): GroupConfig {
  const row = new RowReader(value);
  const config = {
    group: row.text(),
    maxAttempts: row.u32(),
    fifo: row.u8() === 1,
    createdAtMs: row.u64(),
  };
  row.end();
  return config;
}

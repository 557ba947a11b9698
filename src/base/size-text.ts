/** Sizes as people read them. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Three digits that matter: `512 bytes`, `64.0 MiB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  let value = bytes;
  let unit = 'bytes';
  for (const next of UNITS) {
    if (value < 1000) break;
    value /= 1024;
    unit = next;
  }
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${unit}`;
}

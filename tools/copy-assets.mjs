// Copies what tsc leaves behind: the .proto files that are read at start, and scenario texts.
import { cpSync, existsSync } from 'node:fs';

const assets = ['src/protocol/proto', 'test/sim/scenarios', 'test/sim/regressions'];
for (const folder of assets) {
  if (existsSync(folder)) cpSync(folder, `dist/${folder}`, { recursive: true });
}

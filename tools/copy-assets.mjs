// Does what tsc leaves undone: copies the .proto files that are read at start and scenario texts, and
// makes the programs executable, which `npx mq-raft` in the checkout relies on.
import { chmodSync, cpSync, existsSync, readFileSync } from 'node:fs';

const assets = ['src/protocol/proto', 'test/sim/scenarios', 'test/sim/regressions'];
for (const folder of assets) {
  if (existsSync(folder)) cpSync(folder, `dist/${folder}`, { recursive: true });
}
const { bin } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const program of Object.values(bin)) chmodSync(program, 0o755);

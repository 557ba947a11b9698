// Runs every compiled test file but the long ones (*.long.test.js), with --long those too; or those whose path
// contains one of the arguments.
// Node 20 has no glob support in --test, hence this walk.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A file that has not ended by then is killed and counts as failed: one that leaks a timer or waits for ever must not take the whole run with it. */
const FILE_MS_MAX = 300_000;
/** The same for a long file (*.long.test.ts). */
const LONG_FILE_MS_MAX = 900_000;
/** The same for a whole group of files: three times what it takes on two slow cores. */
const GROUP_MS_MAX = 2_400_000;

const args = process.argv.slice(2);
const filters = args.filter((arg) => arg !== '--long');
const wantsLong = args.includes('--long') || filters.length > 0;
// Interop, fault and bench files start real processes: they run at the end, one after another. Of those
// that measure no time, two run at a time.
const CALM =
  /interop\/(official-client|hostile|cli-commands|cli-log|dedup|forwarding|dev-options|scrub|snapshot|repair)/;
const isLong = (path) => path.endsWith('.long.test.js');
const isCalm = (path) => CALM.test(path) && !isLong(path);
const isProcessTest = (path) => /dist\/test\/(interop|jepsen-like)\//.test(path);
// Sources deleted since the last build leave compiled files behind; those must not run.
const sourceOf = (path) => path.replace(/^dist\//, '').replace(/\.js$/, '.ts');

function* testFiles(folder) {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* testFiles(path);
    else if (name.endsWith('.test.js') && statSync(sourceOf(path), { throwIfNoEntry: false }))
      yield path;
  }
}

const files = [...testFiles('dist')].filter(
  (path) =>
    (wantsLong || !isLong(path)) &&
    (filters.length === 0 || filters.some((filter) => path.includes(filter))),
);
if (files.length === 0) {
  console.error(`No test file matches: ${filters.join(' ')}`);
  process.exit(1);
}
const groups = [
  { files: files.filter((path) => !isProcessTest(path)), concurrency: 2 },
  { files: files.filter((path) => isProcessTest(path) && isCalm(path)), concurrency: 2 },
  { files: files.filter((path) => isProcessTest(path) && !isCalm(path)), concurrency: 1 },
];
const fileMsMax = files.some(isLong) ? LONG_FILE_MS_MAX : FILE_MS_MAX;
let failed = false;
for (const { files: group, concurrency } of groups) {
  if (group.length === 0) continue;
  const nodeArgs = [
    '--enable-source-maps',
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${fileMsMax}`,
    ...group,
  ];
  const { status, error } = spawnSync(process.execPath, nodeArgs, {
    stdio: 'inherit',
    timeout: GROUP_MS_MAX,
    killSignal: 'SIGKILL',
  });
  if (error) console.error(`Killed after ${GROUP_MS_MAX} ms: ${error.message}`);
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);

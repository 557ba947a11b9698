import { equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { commandNodes, SHELLS } from './completion.ts';
import { buildProgram } from './main.ts';
import { MemoryTerminal, reportOf } from './memory-environment.ts';

const aTerminal = () => new MemoryTerminal((_, address) => reportOf(address));
const program = () => buildProgram(aTerminal().environment(), async () => {});

test('every command has help within 80 columns, with an example', async () => {
  for (const { path, children } of commandNodes(program())) {
    const terminal = aTerminal();
    equal(await terminal.run(...path, '--help'), 0, path.join(' '));
    const { text } = terminal.stdout;
    const tooLong = text.split('\n').filter((line) => line.length > 80);
    equal(tooLong.join('\n'), '', path.join(' '));
    if (children.length === 0) match(text, /Examples?:/, path.join(' '));
  }
});

test('every short form does what its long form does', () => {
  const nodes = commandNodes(program());
  const descriptions = new Map(nodes.map(({ path, description }) => [path.join(' '), description]));
  for (const short of [
    'members',
    'check',
    'add',
    'replace',
    'drain',
    'events',
    'features',
    'init',
  ]) {
    const long = [...descriptions].filter(
      ([path, text]) => path !== short && text === descriptions.get(short),
    );
    equal(long.length, 1, short);
  }
});

for (const shell of SHELLS) {
  test(`the ${shell} script knows every command`, async () => {
    const terminal = aTerminal();
    equal(await terminal.run('completion', shell), 0);
    for (const { path } of commandNodes(program())) {
      ok(terminal.stdout.text.includes(path.at(-1) ?? ''), path.join(' '));
    }
  });
}

/** What bash would offer behind these words. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const terminal = aTerminal();
  await terminal.run('completion', 'bash');
  const script = `${terminal.stdout.text}
mq-raft() { [[ "$1 $2" == '__list nodes' ]] && printf 'n1\\nn2\\n'; }
COMP_WORDS=(${['mq-raft', ...words].map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length}
_mq_raft
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  equal(`${status}${stderr}`, '0');
  return stdout.split('\n').filter((line) => line !== '');
}

test('bash completes commands, flags, choices and names', async () => {
  ok((await offered('mem')).includes('member'));
  ok((await offered('member', '')).includes('replace'));
  ok((await offered('member', 'replace', '--')).includes('--dry-run'));
  equal((await offered('-o', 'j')).join(), 'json');
  equal((await offered('--timeout', '5s', 'member', 'promote', '')).join(), 'n1,n2');
  equal((await offered('drain', 'n')).join(), 'n1,n2');
  equal((await offered('member', 'add', '')).join(), '', 'a new node has a new name');
});

test('names are listed for completion, and who is away has none', async () => {
  const terminal = aTerminal();
  equal(await terminal.run('__list', 'nodes'), 0);
  equal(terminal.stdout.text, 'n1\nn2\nn3\n');
  const away = aTerminal();
  for (const server of away.nameServers) server.isUp = false;
  equal(await away.run('__list', 'nodes'), 0);
  equal(away.stdout.text + away.stderr.text, '');
});

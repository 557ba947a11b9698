import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { commandNodes, valuedNames } from './command-nodes.ts';
import { SHELLS, type Shell } from './completion.ts';
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

/** Answers `mq-raft __list` and tells where it was asked. */
const NODES = `[ "$1 $2" = '__list nodes' ] && printf 'n1\\nn2\\n'
[ "$1 $2" = '__list contexts' ] && [ "$3 $4" = '--namesrv a:1' ] && printf 'there\\n'`;
const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');

/** What is offered behind these words, the last of which is being typed; each shell in its own way. */
const LINES: Readonly<Record<Shell, (words: readonly string[]) => string>> = {
  bash: (words) => `mq-raft() { ${NODES}; }
COMP_WORDS=(${quoted(['mq-raft', ...words])})
COMP_CWORD=${words.length}
_mq_raft
printf '%s\n' "${'$'}{COMPREPLY[@]}"`,
  // The line editor, which compares with what was typed, takes what _describe is given.
  zsh: (words) => `mq-raft() { ${NODES}; }
_describe() { local -a all; all=("${'$'}{(@P)@[-1]}"); print -rl -- "${'$'}{all[@]%%:*}" }
_files() { ls -d "${'$'}{words[CURRENT]}"*; }
words=(${quoted(['mq-raft', ...words])})
CURRENT=${words.length + 1}
_mq_raft`,
  fish: (words) => `function mq-raft; test "$argv[1..2]" = '__list nodes'; and printf 'n1\nn2\n'
test "$argv[1..4]" = '__list contexts --namesrv a:1'; and printf 'there\n'; end
complete -C "${['mq-raft', ...words].join(' ')}"`,
};
const PROLOGUES: Readonly<Record<Shell, string>> = {
  bash: '',
  zsh: 'compdef() { :; }\n',
  fish: '',
};
const RUNS: Readonly<Record<Shell, readonly string[]>> = {
  bash: ['bash', '-c'],
  zsh: ['zsh', '-fc'],
  fish: ['fish', '--no-config', '-c'],
};

async function offered(shell: Shell, words: readonly string[]): Promise<readonly string[]> {
  const terminal = aTerminal();
  await terminal.run('completion', shell);
  const script = `${PROLOGUES[shell]}${terminal.stdout.text}\n${LINES[shell](words)}`;
  const [program = '', ...args] = RUNS[shell];
  const { stdout, stderr } = spawnSync(program, [...args, script], { encoding: 'utf8' });
  equal(stderr, '', `${shell}: ${words.join(' ')}`);
  const offers = stdout.split('\n').map((line) => line.split('\t')[0] ?? '');
  const current = words.at(-1) ?? '';
  return offers.filter((offer) => offer !== '' && offer.startsWith(current)).sort();
}

const CASES: readonly (readonly [string, readonly string[], string])[] = [
  ['nouns', ['mem'], 'member members'],
  ['verbs of a noun', ['cluster', 'e'], 'events'],
  ['flags of a verb', ['member', 'replace', '--a'], '--addr --allow --allow-slow-disk'],
  ['flags of every command', ['node', 'drain', '--tim'], '--timeout'],
  ['choices of a flag', ['-o', 'j'], 'json'],
  ['choices of a flag behind a verb', ['member', 'list', '--output', ''], 'json table'],
  ['choices of an argument', ['completion', ''], 'bash fish zsh'],
  ['nodes for an argument', ['--timeout', '5s', 'member', 'promote', ''], 'n1 n2'],
  ['nodes again where several may stand', ['promote', 'n1', ''], 'n1 n2'],
  ['nothing where one argument is enough', ['drain', 'n1', ''], ''],
  ['nodes for a flag', ['transfer', '--to', 'n'], 'n1 n2'],
  ['nothing for a new name', ['member', 'add', ''], ''],
  ['nothing for a value that only the user knows', ['member', 'add', 'n4', '--addr', ''], ''],
  ['names of the cluster that the line names', ['--namesrv', 'a:1', '--context', ''], 'there'],
  ['files where a file is meant', ['config', 'validate', 'biome.j'], 'biome.json'],
];

for (const shell of SHELLS) {
  const isThere = spawnSync(shell, ['-c', 'true']).error === undefined;
  const skip = isThere ? false : `${shell} is not installed`;
  for (const [what, words, want] of CASES) {
    test(`${shell} completes ${what}`, { skip }, async () => {
      equal((await offered(shell, words)).join(' '), want);
    });
  }
}

test('a flag takes a value everywhere or nowhere: scripts step over values by the name of the flag', () => {
  const flags = commandNodes(program()).flatMap((node) => node.flags);
  const valued = valuedNames(commandNodes(program()));
  const without = flags.filter(({ value }) => value === null).flatMap(({ names }) => names);
  deepEqual(
    without.filter((name) => valued.includes(name)),
    [],
  );
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

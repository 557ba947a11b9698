import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advertisedAddresses, BROKER_SETTINGS, brokerProblems } from './broker-settings.ts';
import { parseCommandLine } from './command-line.ts';
import { parseConfigFile } from './config-file.ts';
import { NAMESRV_SETTINGS } from './namesrv-settings.ts';
import { distanceOf, nearestWord } from './nearest.ts';
import { problemText } from './problem.ts';
import { type ServerSettings, settingText, variableOf } from './setting.ts';
import { type Sources, settle } from './settle.ts';

const FILE = `# a comment
node-id: n1
cluster-id: test
group-id: broker-a
members:
  n1: one:10912
  n2: two:10912
dir: /data
`;

function settled(file: string, sources: Partial<Sources> = {}) {
  const parsed = parseConfigFile('b.yaml', file);
  const outcome = settle(BROKER_SETTINGS, { flags: {}, variables: {}, file: parsed, ...sources });
  if (outcome.kind === 'refused') throw new Error(outcome.problems.map(problemText).join('\n'));
  return outcome;
}

function refused(file: string, sources: Partial<Sources> = {}): readonly string[] {
  const parsed = parseConfigFile('b.yaml', file);
  const outcome = settle(BROKER_SETTINGS, { flags: {}, variables: {}, file: parsed, ...sources });
  return outcome.kind === 'refused' ? outcome.problems.map(problemText) : [];
}

test('the flag counts before the variable, the variable before the file, the file before the default', () => {
  const key = 'segment-size-bytes';
  const name = variableOf(BROKER_SETTINGS, key);
  const file = `${FILE}${key}: 131072\n`;
  const variables = { [name]: '262144' };
  const flags = { [key]: '524288' };
  const all = settled(file, { flags, variables });
  equal(all.values[key], 524_288);
  deepEqual(all.origins.get(key), { kind: 'flag' });
  const two = settled(file, { variables });
  equal(two.values[key], 262_144);
  deepEqual(two.origins.get(key), { kind: 'variable', name });
  const one = settled(file);
  equal(one.values[key], 131_072);
  deepEqual(one.origins.get(key), { kind: 'file', path: 'b.yaml', line: 9 });
  const none = settled(FILE);
  equal(none.values[key], 1024 ** 3);
  deepEqual(none.origins.get(key), { kind: 'default' });
});

test('an empty variable is not set', () => {
  equal(settled(FILE, { variables: { MQ_RAFT_BROKER_GRPC: '' } }).values.grpc, '127.0.0.1:8081');
});

test('all problems are told at once, each with its place', () => {
  const file = `${FILE}segmnet-size-bytes: 1\nretention-hours: soon\ngrpc: a.name:8081\n`;
  deepEqual(refused(file, { variables: { MQ_RAFT_BROKER_RAFT: 'x' } }), [
    'b.yaml:9: segmnet-size-bytes is no setting (did you mean segment-size-bytes?)',
    'b.yaml:11: grpc: must be ip:port, not a host name, not "a.name:8081"',
    'MQ_RAFT_BROKER_RAFT: raft: must be host:port, not "x"',
    'b.yaml:10: retention-hours: must be a number of hours, not "soon"',
  ]);
});

test('a value is judged even where another source overrides it', () => {
  const [only] = refused(`${FILE}http: nowhere\n`, { flags: { http: '127.0.0.1:1' } });
  match(only ?? '', /^b\.yaml:9: http: must be host:port/);
});

test('what must be given and is not, is named with the ways to give it', () => {
  const problems = refused('node-id: n1\n');
  equal(problems.length, 1);
  match(problems[0] ?? '', /^dir: it must be given: .*--dir .*, MQ_RAFT_BROKER_/);
});

const badFiles: readonly (readonly [string, string, RegExp])[] = [
  ['a key twice', `${FILE}dir: /other\n`, /^b\.yaml:9: not valid YAML: Map keys must be unique/],
  ['no map', '- a\n- b\n', /^b\.yaml:1: it must be a map/],
  ['broken YAML', 'node-id: "n1\n', /^b\.yaml:\d: not valid YAML/],
  ['a member without address', FILE.replace('one:10912', ''), /members, number 1 raftAddress/],
  [
    'members as a number',
    FILE.replace(/members:\n.*\n.*\n/, 'members: 7\n'),
    /^b\.yaml:5: members:/,
  ],
  ['a port too high', FILE.replace('one:10912', 'one:70000'), /must have a port up to 65535/],
];
for (const [what, file, want] of badFiles) {
  test(`a file with ${what} is refused with its line`, () => {
    ok(
      refused(file).some((text) => want.test(text)),
      refused(file).join('\n'),
    );
  });
}

test('an empty file sets nothing', () => {
  deepEqual(parseConfigFile('b.yaml', '# nothing\n').entries, []);
});

test('lists and members may be written short or as YAML', () => {
  const long = settled(`${FILE}namesrv:\n  - a:1\n  - b:2\n`);
  const short = settled(
    `${FILE.replace(/members:\n.*\n.*\n/, 'members: n1=one:10912,n2=two:10912\n')}namesrv: a:1;b:2\n`,
  );
  deepEqual(short.values, long.values);
});

test('a variable that is no setting is a note; those of Kubernetes are nobody’s mistake', () => {
  const variables = {
    MQ_RAFT_BROKER_GRCP: 'x',
    MQ_RAFT_BROKER_SERVICE_HOST: '10.1.1.1',
    MQ_RAFT_BROKER_PORT_8081_TCP: 'tcp://10.1.1.1:8081',
    MQ_RAFT_BROKER_CONFIG: 'b.yaml',
  };
  deepEqual(settled(FILE, { variables }).notes, [
    'MQ_RAFT_BROKER_GRCP is no setting and has no effect: did you mean MQ_RAFT_BROKER_GRPC?',
  ]);
});

test('what is shown of a value can be given again as a flag', () => {
  const { values } = settled(FILE);
  const flags = Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, settingText(value)]),
  );
  const again = settle(BROKER_SETTINGS, { flags, variables: {}, file: null });
  ok(again.kind === 'settled');
  deepEqual(again.values, values);
});

test('every example in the tables is a legal value', () => {
  for (const server of [BROKER_SETTINGS, NAMESRV_SETTINGS] as readonly ServerSettings[]) {
    for (const [key, line] of Object.entries(server.table)) {
      const outcome = settle(server, { flags: { [key]: line.example }, variables: {}, file: null });
      const own = outcome.kind === 'refused' ? outcome.problems : [];
      deepEqual(own.filter(({ where }) => where === `--${key}`).map(problemText), []);
    }
  }
});

test('settings that contradict one another are told', () => {
  const { values } = settled(FILE.replace('node-id: n1', 'node-id: n7'));
  match(
    brokerProblems(values).map(problemText).join(),
    /members: n1, n2 do not include this node, n7/,
  );
});

test('who listens everywhere advertises the host that the members know', () => {
  const everywhere = { grpc: '0.0.0.0:8081', raft: '0.0.0.0:1', http: '0.0.0.0:9910' };
  deepEqual(advertisedAddresses(settled(FILE, { flags: everywhere }).values), {
    grpc: 'one:8081',
    raft: 'one:10912',
    http: 'one:9910',
  });
  const told = { ...everywhere, 'advertise-grpc': 'outside:80' };
  equal(advertisedAddresses(settled(FILE, { flags: told }).values).grpc, 'outside:80');
  const here = settled(FILE, { flags: { grpc: '10.0.0.9:8081' } });
  equal(advertisedAddresses(here.values).grpc, '10.0.0.9:8081');
});

test('nobody is told to connect to every address', () => {
  const { values } = settled(FILE, { flags: { 'advertise-http': '0.0.0.0:1' } });
  match(brokerProblems(values).map(problemText).join(), /no address that others can connect to/);
});

const lines: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a misspelt flag', ['--gprc', 'x'], /--gprc: there is no such flag \(did you mean --grpc\?\)/],
  ['a flag without its value', ['--dir'], /argument missing/],
  ['a stray word', ['broker.yaml'], /'broker.yaml' belongs to no flag/],
];
for (const [what, argv, want] of lines) {
  test(`the command line refuses ${what}`, () => {
    const outcome = parseCommandLine(BROKER_SETTINGS, argv, {});
    ok(outcome.kind === 'refused');
    match(outcome.problems.map(problemText).join('\n'), want);
  });
}

test('the command line takes switches with and without a value, and finds the file', () => {
  const argv = ['--auto-create-topics', '--supervised', 'false', '--config', 'b.yaml'];
  deepEqual(parseCommandLine(BROKER_SETTINGS, argv, {}), {
    kind: 'flags',
    flags: { 'auto-create-topics': true, supervised: 'false' },
    configPath: 'b.yaml',
  });
  const byVariable = parseCommandLine(BROKER_SETTINGS, [], { MQ_RAFT_BROKER_CONFIG: 'c.yaml' });
  deepEqual(byVariable, { kind: 'flags', flags: {}, configPath: 'c.yaml' });
});

test('--help names every setting', () => {
  const outcome = parseCommandLine(BROKER_SETTINGS, ['--help'], {});
  ok(outcome.kind === 'help');
  for (const key of Object.keys(BROKER_SETTINGS.table))
    match(outcome.text, new RegExp(`--${key} `));
});

test('a word is its own nearest, however its parts are joined', () => {
  const keys = Object.keys(BROKER_SETTINGS.table);
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.constantFrom('_', '', '.'), (key, joint) => {
      equal(nearestWord(key.replaceAll('-', joint), keys), key);
    }),
  );
  equal(nearestWord('frobnicate', keys), null);
});

test('the distance of words is symmetric, and zero for equal ones only', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
      equal(distanceOf(a, b), distanceOf(b, a));
      equal(distanceOf(a, b) === 0, a === b);
    }),
  );
});

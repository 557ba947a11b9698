/** docs/configuration.md, made from the tables; a test compares it with the file. */
import { BROKER_SETTINGS } from './broker-settings.ts';
import { NAMESRV_SETTINGS } from './namesrv-settings.ts';
import { flagOf, type ServerSettings, type Setting, settingText, variableOf } from './setting.ts';

const INTRODUCTION = `# Configuration

<!-- Made from src/config by its test: UPDATE=1 npm run test:only -- configuration-page -->

Every setting has one name: in a file, as a flag, and as a variable. Of several sources the first counts:

1. the flag: \`--segment-size-bytes 268435456\`
2. the variable: \`MQ_RAFT_BROKER_SEGMENT_SIZE_BYTES=268435456\` (an empty one is not set)
3. the file that \`--config FILE\` or \`MQ_RAFT_BROKER_CONFIG\` names: \`segment-size-bytes: 268435456\`
4. the default

The file is YAML, one map. An unknown key is an error with a suggestion; all problems are told at once, with
their lines; the process then ends with code 78. Units are part of the names. A value is judged even where another
source overrides it.

\`\`\`yaml
# /etc/mq-raft/broker.yaml
node-id: n1
cluster-id: payments
group-id: broker-a
members:
  n1: 10.0.0.1:10912
  n2: 10.0.0.2:10912
  n3: 10.0.0.3:10912
dir: /var/lib/mq-raft/n1
grpc: 0.0.0.0:8081
raft: 0.0.0.0:10912
http: 0.0.0.0:9910
advertise-grpc: mq1.example.com:8081
namesrv: [10.0.0.1:9876, 10.0.0.2:9876]
\`\`\`

\`mq-raft config validate FILE\` checks a file without starting anything, \`mq-raft config show FILE\` prints what is in
effect and where each value comes from, \`mq-raft config explain KEY\` prints one of the entries below.

At start the broker logs, and names in its ready line, what clients and peers will be told to connect to. It tries
these addresses itself, and warns when nobody or somebody else answers there: it may still be right, because not
every machine reaches itself by the name others use.
`;

export function configurationPage(): string {
  return [INTRODUCTION, pageOf(BROKER_SETTINGS), pageOf(NAMESRV_SETTINGS)].join('\n');
}

function pageOf(server: ServerSettings): string {
  const parts = Object.entries(server.table).map(([key, line]) => entryOf(server, key, line));
  return [`## ${server.program}`, '', server.description, '', ...parts].join('\n');
}

function entryOf(server: ServerSettings, key: string, line: Setting): string {
  return `### ${key}

${sentence(line.help)} ${line.more}

| Flag | Variable | Value | Default |
|---|---|---|---|
| \`${flagOf(key)}\` | \`${variableOf(server, key)}\` | ${line.value.replaceAll('|', ' or ')} | ${standardWords(line)} |
`;
}

/** One setting, for a terminal: facts as pairs of a name and a text. */
export function explained(
  server: ServerSettings,
  key: string,
  line: Setting,
): readonly (readonly [string, string])[] {
  return [
    ['what', `${sentence(line.help)} ${line.more}`],
    ['value', line.value],
    ['default', standardWords(line)],
    ['flag', `${flagOf(key)} ${line.example}`],
    ['variable', `${variableOf(server, key)}=${line.example}`],
    ['in the file', `${key}: ${line.example}`],
  ];
}

export function standardWords({ standard, standardText }: Setting): string {
  if (standardText !== undefined) return standardText;
  return standard === undefined ? 'none: it must be given' : settingText(standard);
}

function sentence(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}.`;
}

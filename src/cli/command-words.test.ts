import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CliError } from './cli-error.ts';
import { parseCommand, quoted } from './command-words.ts';

test('blanks divide, the names in braces are filled in, and nothing else has a meaning', () => {
  const command = parseCommand("  ssh {host}   'systemctl restart' $HOME;mq-{node} ");
  const words = command.for({ node: 'n1', host: '10.0.0.1' });
  deepEqual(words, ['ssh', '10.0.0.1', "'systemctl", "restart'", '$HOME;mq-n1']);
});

test('what stands for a node stays one word, whatever is in it', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (node, host) => {
      const words = parseCommand('restart {node} at={host}').for({ node, host });
      deepEqual(words, ['restart', node, `at=${host}`]);
    }),
  );
});

for (const text of ['systemctl restart mq-raft', 'restart {name}', 'restart {node} {}', '']) {
  test(`"${text}" is no command for a node`, () => {
    throws(() => parseCommand(text), CliError);
  });
}

test('what is quoted is one word to a shell', () => {
  equal(quoted("ssh {host} 'a b'"), "'ssh {host} '\\''a b'\\'''");
});

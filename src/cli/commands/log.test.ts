import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, QueueOffset, Term } from '../../base/units.ts';
import { DiskError } from '../../io/disk.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { encodeCommandRecord } from '../../protocol/command-record.ts';
import {
  appendRecords,
  DiskImage,
  everyKindOfEntry,
  FILES,
  storeBehindBase,
  storeWith,
} from '../../store/inspect/inspect-fixture.ts';
import { EntryChain } from '../../store/log-fixture.ts';
import { answered, MemoryTerminal, reportOf } from '../memory-environment.ts';

const STORE = '/store';

async function terminalWith(change: (image: DiskImage) => void = () => {}) {
  const image = new DiskImage(await storeWith(everyKindOfEntry()));
  change(image);
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.disk = image;
  return terminal;
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function field(value: Record<string, unknown> | undefined, name: string): Record<string, unknown> {
  return (value?.[name] ?? {}) as Record<string, unknown>;
}

test('log info says whose log it is, what is in it, and what a start would do', async () => {
  const terminal = await terminalWith();
  equal(await terminal.run('log', 'info', STORE), 0);
  equal(
    terminal.stdout.text,
    `node          n1 of group g1 in cluster test-cluster
store         uuid-1
term          3, no vote
starts        1
closed        yes, after entry 10 (physical offset 14296)
segments      of 8.00 KiB
superblock    slot 0 valid, sequence 4; slot 1 valid, sequence 4
begins        with entry 1
durable.ring  durable here up to entry 10, physical offset 14296 (note 2)
log           10 entries, the last is 10 in term 1; ends at physical offset
              14296
committed     entry 7 and all before, as headers and superblock prove
members       entry 2: voters n1, n2, n3
derived       none yet: the next start builds it from the log
start-up      would open a log that ends with entry 10; nothing to mend

  segment                   entries  first  last  terms      used  state
  00000000000000000000.seg        8      1     8      1  7.40 KiB  full
  00000000000000008192.seg        2      9    10      1  5.96 KiB  current
  00000000000000016384.seg        -      -     -      -         -  ready
`,
  );
  equal(terminal.stderr.text, '');
});

test('log info, dump and verify of a log that begins behind a base', async () => {
  for (const form of ['compacted', 'installed'] as const) {
    const terminal = new MemoryTerminal((_, address) => reportOf(address));
    const image = new DiskImage(await storeBehindBase(form));
    terminal.disk = image;
    equal(await terminal.run('log', 'info', STORE), 0);
    match(
      terminal.stdout.text,
      form === 'compacted'
        ? /^begins {8}behind entry 8 in term 1, at physical offset 8192$/m
        : /^begins {8}behind entry 8 in term 1, at physical offset 8192, 1 snapshot\n {14}installed$/m,
    );
    match(terminal.stdout.text, /log {11}7 entries, the last is 15 in term 2/);
    match(terminal.stdout.text, /^members {7}before the log, the founding: voter n1$/m);
    terminal.stdout.text = '';
    equal(await terminal.run('log', 'verify', STORE), 0);
    equal(await terminal.run('log', 'dump', STORE, '--from', '3', '--limit', '2', '-o', 'json'), 0);
    match(terminal.stdout.text, /"index":"9"/);
    terminal.stdout.text = '';
    equal(await terminal.run('log', 'info', STORE, '-o', 'json'), 0);
    const base = field(lines(terminal.stdout.text)[0], 'base');
    deepEqual([base['index'], base['physicalOffset']], ['8', '8192']);
    image.bytesOf(FILES.base).fill(7);
    terminal.stdout.text = '';
    equal(await terminal.run('log', 'verify', STORE), 8);
    match(terminal.stdout.text, /base.*\n/);
    equal(await terminal.run('log', 'info', STORE), 8);
    match(terminal.stdout.text, /^begins {8}UNKNOWN: base is no use$/m);
    match(terminal.stdout.text, /base is (damaged|\n\s+damaged)\s+in\s+both\s+copies/);
  }
});

test('log info of a damaged log: a start would refuse it, and the exit code is 8', async () => {
  const terminal = await terminalWith((image) => {
    image.bytesOf(FILES.superblock)[4096 + 100]! ^= 1;
    image.bytesOf(FILES.first)[4500]! ^= 1;
  });
  equal(await terminal.run('log', 'info', STORE), 8);
  match(terminal.stdout.text, /^superblock {4}slot 0 valid, sequence 4; slot 1 DAMAGED$/m);
  match(
    terminal.stdout.text,
    /^damage {8}2 findings so far; `mq-raft log verify` looks everywhere$/m,
  );
  match(terminal.stdout.text, /^start-up {6}would refuse with exit code 76 \(logDamaged\):$/m);
  match(terminal.stdout.text, /^ {2}0{20}\.seg .* damaged$/m);
  fitsIn80(terminal.stdout.text);
});

test('log info as JSON: one object, 64-bit numbers as strings', async () => {
  const terminal = await terminalWith();
  equal(await terminal.run('log', 'info', STORE, '-o', 'json'), 0);
  const [info = {}] = lines(terminal.stdout.text);
  equal(info['kind'], 'logInfo');
  deepEqual(info['last'], { index: '10', term: '1' });
  deepEqual(info['cleanEnd'], { index: '10', physicalOffset: '14296' });
  const segments = info['segments'] as Record<string, unknown>[];
  deepEqual(
    segments.map(({ file, startOffset, firstIndex, state }) => [
      file,
      startOffset,
      firstIndex,
      state,
    ]),
    [
      ['data/00000000000000000000.seg', '0', '1', 'full'],
      ['data/00000000000000008192.seg', '8192', '9', 'current'],
      ['data/00000000000000016384.seg', '16384', null, 'ready'],
    ],
  );
});

test('log verify of an intact log', async () => {
  const terminal = await terminalWith();
  equal(await terminal.run('log', 'verify', STORE), 0);
  match(
    terminal.stdout.text,
    /^checked {3}24\.0 KiB in 3 segments, 10 entries, 6 messages, 1 command, .*\nstart-up {2}would open a log that ends with entry 10; nothing to mend\nverdict {3}intact\n$/s,
  );
});

test('log verify lists all damage, with its place, and ends with 8', async () => {
  const terminal = await terminalWith((image) => {
    image.bytesOf(FILES.ring)[40]! ^= 1;
    image.bytesOf(FILES.first)[4500]! ^= 1;
    image.bytesOf(FILES.first)[5200]! ^= 2;
    image.bytesOf(FILES.second)[2048]! ^= 1;
  });
  equal(await terminal.run('log', 'verify', STORE), 8);
  const withoutRate = terminal.stdout.text.replace(/ \d.*\/s$/m, ' (rate)');
  equal(withoutRate, VERIFIED);
});

test('log verify as JSON: a line for each finding, and the verdict last', async () => {
  const terminal = await terminalWith((image) => {
    image.bytesOf(FILES.third)[7000] = 1;
  });
  equal(await terminal.run('log', 'verify', STORE, '-o', 'json'), 8);
  const [damage, verdict] = lines(terminal.stdout.text);
  deepEqual(damage, {
    apiVersion: 'mq-raft/v1',
    kind: 'logDamage',
    damage: 'tailBytes',
    file: 'data/00000000000000016384.seg',
    position: 7000,
    sizeBytes: 1,
    physicalOffset: '23384',
    index: '11',
    expected: 'zeros behind the last entry',
    found: 'bytes that are not zero',
    belowWatermark: false,
  });
  equal(verdict?.['kind'], 'logVerify');
  equal(verdict?.['checkedBytes'], '24576');
});

test('log dump prints a line for each entry, within 80 columns', async () => {
  const terminal = await terminalWith();
  equal(await terminal.run('log', 'dump', STORE), 0);
  equal(terminal.stdout.text, DUMPED);
});

test('log dump --records shows messages, commands and memberships', async () => {
  const chain = new EntryChain(8192);
  const delivery = { queueOffset: QueueOffset(17), attempt: 1, deliveryId: 'D1' };
  const bytes = encodeCommandRecord({
    kind: 'deliver',
    group: 'billing',
    topic: 'orders',
    clientId: 'client-with-a-rather-long-name@host-7@4711',
    autoRenew: false,
    attemptId: '',
    atMs: 1_700_000_000_000,
    invisibleUntilMs: 1_700_000_030_000,
    queues: [{ queueId: 3, nextOffset: QueueOffset(18), deliveries: [delivery] }],
  });
  appendRecords(chain, [{ kind: 'command', bytes }], { term: Term(1), leaderCommit: LogIndex(0) });
  const terminal = await terminalWith();
  terminal.disk = new DiskImage(await storeWith(chain));
  equal(await terminal.run('log', 'dump', STORE, '--records'), 0);
  equal(terminal.stdout.text, DELIVERED);
});

test('log dump chooses by index, type, topic and number', async () => {
  const chosen = async (...args: string[]) => {
    const terminal = await terminalWith();
    const exit = await terminal.run('log', 'dump', STORE, '-o', 'json', ...args);
    return [exit, lines(terminal.stdout.text).map(({ index }) => Number(index))];
  };
  deepEqual(await chosen(), [0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]);
  deepEqual(await chosen('--from', '3', '--to', '5'), [0, [3, 4, 5]]);
  deepEqual(await chosen('--from', '9', '--limit', '1'), [0, [9]]);
  deepEqual(await chosen('--type', 'config'), [0, [2]]);
  deepEqual(await chosen('--type', 'filler'), [0, [8]]);
  deepEqual(await chosen('--topic', 'orders', '--limit', '2'), [0, [3, 4]]);
  deepEqual(await chosen('--topic', 'nothing'), [0, []]);
  deepEqual(await chosen('--from', '11'), [3, []]);
});

test('log dump as JSON has records, bodies and memberships', async () => {
  const terminal = await terminalWith();
  await terminal.run('log', 'dump', STORE, '-o', 'json', '--records', '--bodies', 'text');
  const [, config, put, message] = lines(terminal.stdout.text);
  deepEqual(field(config, 'membership')['voters'], ['n1', 'n2', 'n3']);
  const command = field(field(put, 'records'), '0');
  deepEqual(command['fields'], {
    topic: 'orders',
    queueCount: 2,
    permission: 6,
    messageTypes: [1],
    atMs: '1700000000000',
  });
  const record = field(field(message, 'records'), '0');
  equal(record['queueOffset'], '0');
  equal(record['messageId'], 'ID-0-0');
  equal(record['physicalOffset'], record['saysPhysicalOffset']);
  equal(record['body'], 'x'.repeat(500));
});

test('log dump shows bodies as text and as bytes', async () => {
  const text = await terminalWith();
  await text.run('log', 'dump', STORE, '--from', '4', '--to', '4', '--bodies', 'text');
  match(text.stdout.text, /^ {13}x{67}$/m);
  fitsIn80(text.stdout.text);
  const hex = await terminalWith();
  await hex.run('log', 'dump', STORE, '--from', '4', '--to', '4', '--bodies', 'hex');
  match(hex.stdout.text, /^ {4}000010 {2}(78 ){15}78 {2}x{16}$/m);
  fitsIn80(hex.stdout.text);
});

test('log dump goes on behind damage, shows it in its place, and ends with 8', async () => {
  const terminal = await terminalWith((image) => {
    image.bytesOf(FILES.first)[4500]! ^= 1;
  });
  equal(await terminal.run('log', 'dump', STORE, '--from', '4', '--to', '5'), 8);
  const { text } = terminal.stdout;
  match(text, /^damage 1: payload, entry 4$/m);
  match(text, /^ +4 {2}data .*[0-9a-f]{8} {2}BAD$/m);
  match(text, /^ +5 {2}data .*[0-9a-f]{8}$/m);
  fitsIn80(text);
});

test('a directory in use is refused with 4, and read with --live', async () => {
  const terminal = await terminalWith();
  terminal.lockHolders.set(STORE, { pid: 4711 });
  for (const verb of ['info', 'dump', 'verify']) {
    equal(await terminal.run('log', verb, STORE), 4);
    equal(terminal.stdout.text, '');
  }
  match(terminal.stderr.text, /^error: \/store is in use\n {2}why: {3}process 4711 holds its lock/);
  match(terminal.stderr.text, /to do: stop the broker, or read beside it with --live/);
  equal(await terminal.run('log', 'verify', `${STORE}/`, '--live'), 0);
  match(terminal.stderr.text, /process 4711 uses \/store: its newest entries may be half written/);
  match(terminal.stdout.text, /verdict {3}intact as far as it was read/);
});

test('a directory that is opened meanwhile gives no verdict', async () => {
  const terminal = await terminalWith();
  const { disk } = terminal;
  terminal.disk = {
    list: (directory) => disk.list(directory),
    sizeOf: (path) => disk.sizeOf(path),
    read: (path, position, sizeBytes) => {
      terminal.lockHolders.set(STORE, { pid: null });
      return disk.read(path, position, sizeBytes);
    },
  };
  equal(await terminal.run('log', 'verify', STORE), 4);
  match(terminal.stderr.text, /was opened while it was read\n {2}why: {3}a process holds its lock/);
  equal(terminal.stdout.text, '');
});

test('what is no store ends with 3 and names the stores in it', async () => {
  const terminal = await terminalWith();
  equal(await terminal.run('log', 'info', '/nowhere'), 3);
  match(
    terminal.stderr.text,
    /error: \/nowhere holds no commit log\n {2}why: {3}it is empty, or not there/,
  );
  const cluster = new MemoryDisk();
  await cluster.writeFile('/dev/n1/superblock', new Uint8Array(1));
  await cluster.writeFile('/dev/dev.json', new Uint8Array(1));
  terminal.disk = cluster;
  equal(await terminal.run('log', 'info', '/dev'), 3);
  match(terminal.stderr.text, /give the directory of one node: \/dev\/n1/);
});

test('a directory that must not be read ends with 1 and says who may', async () => {
  const terminal = await terminalWith();
  const { disk } = terminal;
  terminal.disk = {
    list: (directory) => disk.list(directory),
    sizeOf: (path) => disk.sizeOf(path),
    read: async (path) => {
      throw new DiskError('read', path, 'EACCES');
    },
  };
  equal(await terminal.run('log', 'verify', STORE), 1);
  match(terminal.stderr.text, /to do: run it as the user that runs the broker/);
});

test('Ctrl-C ends a reading with 130', async () => {
  const terminal = await terminalWith();
  const { Interrupted } = await import('../environment.ts');
  terminal.interrupt.abort(new Interrupted());
  equal(await terminal.run('log', 'verify', STORE), 130);
});

test('log info, dump and verify have help within 80 columns', async () => {
  for (const verb of ['info', 'dump', 'verify']) {
    const terminal = new MemoryTerminal(() => answered({ kind: 'topicList', topics: [] }));
    equal(await terminal.run('log', verb, '--help'), 0);
    match(terminal.stdout.text, /Examples:/);
    fitsIn80(terminal.stdout.text);
  }
});

function fitsIn80(text: string): void {
  const tooLong = text.split('\n').filter((line) => line.length > 80);
  deepEqual(tooLong, []);
  ok(text.length > 0);
}

const VERIFIED = `damage 1: durable.ring
  where     durable.ring at byte 0, 64 bytes
  expected  a good note or zeros in slot 0 of 64
  found     a damaged note
  so        beside the log: what this node has noted, not its entries

damage 2: payload, entry 4
  where     data/00000000000000000000.seg at byte 4464, 632 bytes, physical
            offset 4464
  expected  payload CRC c572bf0a
  found     payload CRC b3587fb0
  so        below the watermark: was durable here, so this is rot

damage 3: payload, entry 5
  where     data/00000000000000000000.seg at byte 5160, 685 bytes, physical
            offset 5160
  expected  payload CRC 85536b79
  found     payload CRC 128a63b3
  so        below the watermark: was durable here, so this is rot

damage 4: one copy of a segment header
  where     data/00000000000000008192.seg at byte 2048, 1 byte, physical offset
            10240
  expected  what the other copy of the header says
  found     other bytes
  so        the other copy is good: the next start replaces this one

checked   24.0 KiB in 3 segments, 10 entries, 4 messages, 1 command, 0.00 ms,
          (rate)
start-up  would refuse with exit code 76 (logDamaged):
          /store/data/00000000000000000000.seg at byte 4400 (physical offset
          4400): expected entry 4, found the entry with a damaged body
          (badPayloadCrc); this concerns entries 4 to 5, although the log was
          closed after entry 10
verdict   DAMAGED: 4 findings, 3 below the watermark; keep the directory as it
          is, and see that the other replicas are healthy
`;

const DUMPED = `     index  type      term         offset      bytes      commit   payload
         1  noop         1           4096         64           0  00000000
         2  config       1           4160        136           0  56a44a22
    members  voters n1, n2, n3
         3  data         1           4296        104           0  ec6f397a
         4  data         1           4400        696           2  c572bf0a
         5  data         1           5096        752           2  85536b79
         6  data         1           5848        808           2  b6416cd9
         7  data         1           6656        856           2  3b0c0b54
         8  filler       1           7512        680           2  00000000
         9  data         1          12288        912           2  b5c2fd62
        10  data         1          13200       1096           7  1ddf8a47
`;

const DELIVERED = `     index  type      term         offset      bytes      commit   payload
         1  data         1           4096        184           0  f9c53568
    command  deliver  at 4160 group=billing topic=orders
             clientId=client-with-a-rather-long-name@host-7@4711 autoRenew=false
             atMs=2023-11-14T22:13:20.000Z
             invisibleUntilMs=2023-11-14T22:13:50.000Z
             queues: queueId=3 nextOffset=18
               deliveries: queueOffset=17 attempt=1 deliveryId=D1
`;

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatHostAddress, parseHostAddress } from './host-address.ts';

const CASES: readonly (readonly [string, string | null])[] = [
  ['10.0.0.1:80', '10.0.0.1:80'],
  ['255.255.255.255:65535', '255.255.255.255:65535'],
  ['::1:8080', '[::1]:8080'],
  ['[::1]:8080', '[::1]:8080'],
  ['[0:0:0:0:0:0:0:0]:0', '[::]:0'],
  ['[2001:DB8:0:0:1:0:0:1]:1', '[2001:db8::1:0:0:1]:1'],
  ['[1:0:3:4:5:6:7:8]:1', '[1:0:3:4:5:6:7:8]:1'],
  ['[::ffff:10.0.0.1]:1', '[::ffff:a00:1]:1'],
  ['10.0.0.1', null],
  ['10.0.0:80', null],
  ['10.0.0.0.1:80', null],
  ['10..0.1:80', null],
  ['10.0.0.256:80', null],
  ['10.0.0.0001:80', null],
  ['10.0.0.1:65536', null],
  ['10.0.0.1:', null],
  ['example.org:80', null],
  ['[1:2:3:4:5:6:7]:1', null],
  ['[1:2:3:4:5:6:7:8:9]:1', null],
  ['[1::2::3]:1', null],
  ['[12345::]:1', null],
  ['[::ffff:10.0.1]:1', null],
  ['', null],
];

test('literal addresses with a port are read, everything else is refused', () => {
  for (const [text, want] of CASES) {
    const host = parseHostAddress(text);
    assert.equal(host === null ? null : formatHostAddress(host), want, text);
  }
});

test('parse() gives back every address that format() wrote', () => {
  const anIp = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
      .map((ip) => Uint8Array.from(ip)),
  );
  fc.assert(
    fc.property(anIp, fc.nat(65_535), (ip, port) => {
      assert.deepEqual(parseHostAddress(formatHostAddress({ ip, port })), { ip, port });
    }),
  );
});

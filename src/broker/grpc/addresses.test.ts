import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { bornHostOf, endpointsOf, normalizedPeer } from './addresses.ts';

const SCHEMES = [
  { address: '10.0.0.7:8081', scheme: 1, host: '10.0.0.7' },
  { address: '[2001:db8::1]:8081', scheme: 2, host: '2001:db8::1' },
  { address: 'mq.example.com:8081', scheme: 3, host: 'mq.example.com' },
  { address: '300.0.0.1:8081', scheme: 3, host: '300.0.0.1' },
];
for (const { address, scheme, host } of SCHEMES) {
  test(`${address} is one address of scheme ${scheme}`, () => {
    deepEqual(endpointsOf(address), { scheme, addresses: [{ host, port: 8081 }] });
  });
}

for (const text of ['', 'localhost', ':8081', 'host:', 'host:99999', 'host:80a']) {
  test(`"${text}" is no address`, () => equal(endpointsOf(text), null));
}

const PEERS = [
  { peer: '127.0.0.1:5000', stored: '127.0.0.1:5000' },
  { peer: '::ffff:10.1.2.3:5000', stored: '10.1.2.3:5000' },
  { peer: '2001:db8::1:5000', stored: '[2001:db8::1]:5000' },
  { peer: 'fe80::1%eth0:5000', stored: '[fe80::1]:5000' },
  { peer: 'unknown', stored: '0.0.0.0:0' },
];
for (const { peer, stored } of PEERS) {
  test(`the peer ${peer} is stored as ${stored}`, () => equal(normalizedPeer(peer), stored));
}

test('a client may name its address; a host name is replaced by the peer', () => {
  const seen = ['10.9.9.9:77', '10.9.9.9', 'my-laptop', '', '[::1]:5'].map((claimed) =>
    bornHostOf(claimed, '127.0.0.1:1'),
  );
  deepEqual(seen, ['10.9.9.9:77', '10.9.9.9:0', '127.0.0.1:1', '127.0.0.1:1', '[::1]:5']);
});

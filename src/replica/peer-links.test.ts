import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../base/units.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { foundingMembership } from '../raft/membership.ts';
import { DISMISSAL_MS, FAREWELL_MS } from './limits.ts';
import { PeerLinks } from './peer-links.ts';

const n = (number: number) => NodeId(`n${number}`);

const group = (...addresses: readonly string[]) =>
  foundingMembership(addresses.map((raftAddress, i) => ({ nodeId: n(i + 1), raftAddress })))
    .members;

function openLinks() {
  const clock = new ManualClock();
  const trace: string[] = [];
  const links = new PeerLinks({
    self: n(1),
    clock,
    createLink: (peer, address) => ({
      address,
      bootId: null,
      open: () => trace.push(`open ${peer} ${address}`),
      reset: () => {},
      close: () => trace.push(`close ${peer} ${address}`),
    }),
    onUnusable: (peer, address) => trace.push(`unusable ${peer} ${address}`),
    onGone: (peer) => trace.push(`gone ${peer}`),
  });
  const told = () => trace.splice(0);
  return { clock, links, told };
}

test('members are called from the start on, all but oneself, new ones when they come', () => {
  const { links, told } = openLinks();
  links.setMembers(group('a:1', 'b:1'));
  assert.deepEqual(told(), []);
  links.start();
  assert.deepEqual(told(), ['open n2 b:1']);
  links.setMembers(group('a:1', 'b:1', 'c:1'));
  assert.deepEqual(told(), ['open n3 c:1']);
  assert.equal(links.get(n(3))?.address, 'c:1');
  assert.equal(links.get(n(1)), null);
  links.close();
  assert.deepEqual(told(), ['close n2 b:1', 'close n3 c:1']);
});

test('a member that has moved is called at its new address', () => {
  const { clock, links, told } = openLinks();
  links.start();
  links.setMembers(group('a:1', 'b:1'));
  links.setMembers(group('a:1', 'b:2'));
  assert.deepEqual(told(), ['open n2 b:1', 'close n2 b:1', 'open n2 b:2']);
  links.close();
  assert.equal(clock.timerCount, 0);
});

test('who leaves is called for some time still, and may come back meanwhile', () => {
  const { clock, links, told } = openLinks();
  links.start();
  links.setMembers(group('a:1', 'b:1', 'c:1'));
  told();
  links.setMembers(group('a:1'));
  clock.advance(FAREWELL_MS - 1);
  assert.deepEqual(told(), []);
  assert.ok(links.get(n(2)));
  links.setMembers(group('a:1', 'b:1'));
  clock.advance(1);
  assert.deepEqual(told(), ['close n3 c:1', 'gone n3']);
  clock.advance(10 * FAREWELL_MS);
  assert.deepEqual(told(), []);
  assert.equal(links.get(n(3)), null);
  links.close();
});

test('who has left for good is let go soon; nobody else is', () => {
  const { clock, links, told } = openLinks();
  links.start();
  links.setMembers(group('a:1', 'b:1', 'c:1'));
  links.setMembers(group('a:1', 'b:1'));
  told();
  links.dismiss(n(2));
  links.dismiss(n(3));
  links.dismiss(n(9));
  clock.advance(DISMISSAL_MS - 1);
  assert.deepEqual(told(), []);
  clock.advance(1);
  assert.deepEqual(told(), ['close n3 c:1', 'gone n3']);
  clock.advance(FAREWELL_MS);
  assert.deepEqual(told(), []);
  links.close();
});

test('a stranger is called back while it calls, and for some time after', () => {
  const { clock, links, told } = openLinks();
  links.start();
  links.setMembers(group('a:1'));
  links.callBack(n(9), 'x:1');
  links.setMembers(group('a:1', 'b:1'));
  clock.advance(10 * FAREWELL_MS);
  assert.deepEqual(told(), ['open n9 x:1', 'open n2 b:1']);
  links.letGo(n(9));
  clock.advance(FAREWELL_MS - 1);
  links.callBack(n(9), 'x:1');
  clock.advance(FAREWELL_MS);
  assert.deepEqual(told(), []);
  links.letGo(n(9));
  links.letGo(n(9));
  clock.advance(FAREWELL_MS);
  assert.deepEqual(told(), ['close n9 x:1', 'gone n9']);
  links.close();
});

test('a stranger that becomes a member keeps its link, and a member is not let go', () => {
  const { clock, links, told } = openLinks();
  links.start();
  links.callBack(n(2), 'b:1');
  links.letGo(n(2));
  links.setMembers(group('a:1', 'b:1'));
  links.letGo(n(2));
  clock.advance(10 * FAREWELL_MS);
  assert.deepEqual(told(), ['open n2 b:1']);
  links.close();
});

test('an address that cannot be called is reported, and harms nobody', () => {
  const { clock, links, told } = openLinks();
  links.start();
  const bad = [
    '',
    'b',
    'b:0',
    'b:65536',
    ':1',
    'b c:1',
    'dns:///b:1:2',
    'b:1/path',
    '[x]:1',
    'ü:1',
  ];
  for (const address of bad) {
    links.callBack(n(9), address);
    assert.deepEqual(told(), [`unusable n9 ${address}`]);
  }
  for (const address of ['b:1', '127.0.0.1:65535', 'b.example-1.com:10912', '[2001:db8::1]:1']) {
    links.callBack(n(9), address);
    assert.ok(told().includes(`open n9 ${address}`));
  }
  links.close();
  assert.equal(clock.timerCount, 0);
});

test('a stranger without a usable address is gone as soon as it hangs up', () => {
  const { links, told } = openLinks();
  links.start();
  links.callBack(n(9), 'nowhere');
  links.letGo(n(9));
  assert.deepEqual(told(), ['unusable n9 nowhere', 'gone n9']);
});

test('nothing is opened after closing', () => {
  const { clock, links, told } = openLinks();
  links.start();
  links.setMembers(group('a:1', 'b:1', 'c:1'));
  links.setMembers(group('a:1', 'b:1'));
  links.close();
  told();
  links.setMembers(group('a:1', 'd:1'));
  links.callBack(n(9), 'x:1');
  links.letGo(n(2));
  clock.advance(10 * FAREWELL_MS);
  assert.deepEqual(told(), []);
  assert.equal(clock.timerCount, 0);
});

import { deepEqual, equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { NodeId } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import {
  decodeFounding,
  encodeFounding,
  type Founding,
  readFounding,
  writeFounding,
} from './founding-file.ts';

const asked: Founding = { nodeId: NodeId('n4'), storeUuid: 'uuid-4', group: null };
const takenIn: Founding = {
  ...asked,
  group: {
    clusterId: 'c',
    groupId: 'g',
    segmentSizeBytes: 65_536,
    founders: [1, 2, 3].map((i) => ({ nodeId: NodeId(`n${i}`), raftAddress: `h${i}:1` })),
  },
};
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('the file says what was written, before and after the node was taken in', async () => {
  const disk = new MemoryDisk();
  equal(await readFounding(disk, 'd'), null);
  for (const value of [asked, takenIn]) {
    await writeFounding(disk, 'd', value);
    deepEqual(plain(await readFounding(disk, 'd')), plain(value));
  }
});

test('no flipped bit and no cut goes unnoticed', () => {
  const bytes = encodeFounding(takenIn);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7); // in range
    equal(decodeFounding(damaged), null, `bit ${bit}`);
  }
  for (let size = 0; size < bytes.length; size++) {
    equal(decodeFounding(bytes.subarray(0, size)), null, `${size} bytes`);
  }
  equal(decodeFounding(Buffer.concat([bytes, Buffer.alloc(1)])), null, 'one byte more');
});

test('a damaged file refuses the start: it never becomes "founder" or "new"', async () => {
  const disk = new MemoryDisk();
  await disk.writeFile('d/founding', encodeFounding(takenIn).subarray(1));
  await rejects(readFounding(disk, 'd'), (error) => {
    return error instanceof FatalError && error.reason === 'identityRefused';
  });
});

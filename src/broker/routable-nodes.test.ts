import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeId } from '../base/units.ts';
import { type Routable, routableNodes } from './routable-nodes.ts';

const nodeId = fc.constantFrom('n1', 'n2', 'n3', 'n4', 'n5').map(NodeId);
const live = fc.uniqueArray(fc.record<Routable>({ nodeId, isLeaving: fc.boolean() }), {
  selector: (node) => node.nodeId,
});

test('no route is empty while a node is live, and nobody is named who is not', () => {
  fc.assert(
    fc.property(live, nodeId, (nodes, asked) => {
      const named = routableNodes(nodes, asked);
      equal(named.length > 0, nodes.length > 0);
      ok(named.every((node) => nodes.includes(node)));
      equal(new Set(named).size, named.length);
    }),
  );
});

test('who is leaving is left out exactly when somebody stays', () => {
  fc.assert(
    fc.property(live, nodeId, (nodes, asked) => {
      const named = routableNodes(nodes, asked);
      const someoneStays = nodes.some(({ isLeaving }) => !isLeaving);
      for (const node of nodes) equal(named.includes(node), !(someoneStays && node.isLeaving));
    }),
  );
});

test('the order is a matter of names and of the asked node, not of who was met first', () => {
  fc.assert(
    fc.property(live, fc.infiniteStream(fc.nat()), nodeId, (nodes, keys, asked) => {
      const shuffled = nodes
        .map((node) => ({ node, key: keys.next().value ?? 0 }))
        .toSorted((a, b) => a.key - b.key)
        .map(({ node }) => node);
      const named = routableNodes(nodes, asked);
      deepEqual(routableNodes(shuffled, asked), named);
      const at = named.findIndex((node) => node.nodeId === asked);
      ok(at <= 0, 'the asked node is first or not there');
    }),
  );
});

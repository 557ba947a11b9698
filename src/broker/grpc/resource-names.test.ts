import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientName, storageName } from './resource-names.ts';

const CASES = [
  { namespace: '', header: '', name: 'orders', stored: 'orders' },
  { namespace: 'ns1', header: '', name: 'orders', stored: 'ns1%orders' },
  { namespace: '', header: 'ns1', name: 'orders', stored: 'ns1%orders' },
  { namespace: 'own', header: 'header', name: 'orders', stored: 'own%orders' },
  { namespace: 'ns1', header: '', name: '%DLQ%billing', stored: '%DLQ%ns1%billing' },
  { namespace: 'ns1', header: '', name: '%RETRY%billing', stored: '%RETRY%ns1%billing' },
  { namespace: 'ns1', header: '', name: '', stored: '' },
];

for (const { namespace, header, name, stored } of CASES) {
  test(`"${name}" in namespace "${namespace}", header "${header}", is stored as "${stored}"`, () => {
    equal(storageName({ resourceNamespace: namespace, name }, header), stored);
  });
}

test('a missing resource has the empty name, which no service accepts', () => {
  equal(storageName(null, 'ns1'), '');
});

test('a name of another namespace is told as it is stored', () => {
  equal(clientName('ns2%orders', 'ns1'), 'ns2%orders');
});

const word = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
const prefix = fc.constantFrom('', '%DLQ%', '%RETRY%');

test('clients get back the name they gave', () => {
  fc.assert(
    fc.property(word, word, prefix, (namespace, bare, kind) => {
      const name = kind + bare;
      const stored = storageName({ resourceNamespace: namespace, name }, '');
      equal(clientName(stored, namespace), name);
    }),
    { numRuns: 100 },
  );
});

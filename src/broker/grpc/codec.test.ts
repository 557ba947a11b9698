import { deepEqual, ok } from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { descriptors } from '../../protocol/generated/descriptors.ts';
import { messageCodec } from '../../protocol/schema.ts';

/** A message of google-protobuf, as the official client's generated code makes them. */
interface ForeignMessage {
  serializeBinary(): Uint8Array;
  toObject(): Record<string, unknown>;
}
type ForeignClass = { deserializeBinary(bytes: Uint8Array): ForeignMessage };

interface FieldDescriptor {
  readonly type: string;
  readonly id: number;
  readonly rule?: 'repeated';
  readonly keyType?: string;
}
interface TypeDescriptor {
  readonly fields?: Readonly<Record<string, FieldDescriptor>>;
  readonly oneofs?: Readonly<Record<string, { readonly oneof: readonly string[] }>>;
  readonly values?: Readonly<Record<string, number>>;
  readonly nested?: Readonly<Record<string, TypeDescriptor>>;
}

const require = createRequire(import.meta.url);
const FOREIGN = 'rocketmq-client-nodejs/proto/apache/rocketmq/v2';
const foreign: Readonly<Record<string, ForeignClass>> = {
  ...require(`${FOREIGN}/definition_pb.js`),
  ...require(`${FOREIGN}/service_pb.js`),
};

const PACKAGE = 'apache.rocketmq.v2';
const root = descriptors as TypeDescriptor;
const own = root.nested!['apache']!.nested!['rocketmq']!.nested!['v2']!.nested!;
/** Known to us, not yet to the released client. */
const NEWER_FIELDS: Readonly<Record<string, readonly string[]>> = {
  Settings: ['clientProperties'],
};

/** Each scalar gets another value, so that two fields with swapped numbers are noticed. */
class Sampler {
  #next = 1;
  readonly #pick: (members: readonly string[]) => string;

  constructor(pick: (members: readonly string[]) => string) {
    this.#pick = pick;
  }

  message(name: string): Record<string, unknown> {
    if (name.startsWith('google.protobuf.'))
      return { seconds: this.#number(), nanos: this.#number() };
    const type = typeNamed(name);
    const choices = Object.entries(type.oneofs ?? {})
      .filter(([oneof]) => !oneof.startsWith('_'))
      .map(([, { oneof }]) => ({ members: oneof, chosen: this.#pick(oneof) }));
    const sample: Record<string, unknown> = {};
    for (const [field, descriptor] of Object.entries(type.fields ?? {})) {
      if (NEWER_FIELDS[name]?.includes(field)) continue;
      const choice = choices.find(({ members }) => members.includes(field));
      if (choice !== undefined && choice.chosen !== field) continue;
      sample[field] = this.#field(name, descriptor);
    }
    return sample;
  }

  #field(owner: string, { type, rule, keyType }: FieldDescriptor): unknown {
    if (keyType !== undefined) return { [`key${this.#number()}`]: this.#value(owner, type) };
    if (rule === 'repeated') return [this.#value(owner, type), this.#value(owner, type)];
    return this.#value(owner, type);
  }

  #value(owner: string, type: string): unknown {
    switch (type) {
      case 'string':
        return `text ${this.#number()} é🙂`;
      case 'bytes':
        return Uint8Array.of(this.#number() % 256, 0, 255);
      case 'bool':
        return true;
      case 'int32':
        return this.#number();
      case 'int64':
        return 2 ** 40 + this.#number();
      case 'float':
        return this.#number() + 0.5;
      default: {
        const values = typeNamed(type).values ?? typeNamed(owner).nested?.[type]?.values;
        return values === undefined ? this.message(type) : Object.values(values).at(-1);
      }
    }
  }

  #number(): number {
    return this.#next++;
  }
}

function typeNamed(name: string): TypeDescriptor {
  return own[name] ?? {};
}

/** Without defaults, which no sample holds. Generated code adds List and Map to names and writes bytes as base64. */
function foreignShape(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(foreignShape);
  if (typeof value !== 'object' || value === null) return value;
  const shaped: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) {
    if (isDefault(part)) continue;
    if (key.endsWith('Map')) {
      const entries = part as [string, unknown][];
      if (entries.length > 0) shaped[key.slice(0, -3)] = Object.fromEntries(entries);
    } else if (key.endsWith('List')) {
      const list = foreignShape(part) as unknown[];
      if (list.length > 0) shaped[key.slice(0, -4)] = list;
    } else {
      shaped[key] = foreignShape(part);
    }
  }
  return shaped;
}

function isDefault(part: unknown): boolean {
  if (part === undefined || part === null || part === 0 || part === '') return true;
  return typeof part === 'object' && Object.keys(part).length === 0;
}

const messageNames = Object.keys(own).filter((name) => own[name]!.fields !== undefined);

test('the schema has all seventeen calls and no message without a foreign twin', () => {
  const service = own['MessagingService'] as { methods?: object };
  deepEqual(Object.keys(service.methods ?? {}).length, 17);
  deepEqual(
    messageNames.filter((name) => foreign[name] === undefined),
    [],
  );
});

for (const name of messageNames) {
  // Members of a oneof exclude each other: as many samples as the longest has members.
  const variants = name === 'TelemetryCommand' ? 8 : 4;
  test(`${name} means the same to us and to the official client`, () => {
    const codec = messageCodec<object>(`${PACKAGE}.${name}`);
    const twin = foreign[name];
    ok(twin);
    for (let variant = 0; variant < variants; variant++) {
      const sampler = new Sampler((members) => members[variant % members.length]!);
      const sample = sampler.message(name);
      const seen: ForeignMessage = twin.deserializeBinary(codec.encode(sample));
      deepEqual(foreignShape(seen.toObject()), foreignShape(sample), 'theirs reads ours');
      deepEqual(
        foreignShape(codec.decode(seen.serializeBinary())),
        foreignShape(sample),
        'ours reads theirs',
      );
    }
  });
}

test('an optional field that was not sent is absent, not empty', () => {
  const codec = messageCodec<Record<string, unknown>>(`${PACKAGE}.SystemProperties`);
  const decoded = codec.decode(codec.encode({ messageId: 'm', tag: null, messageGroup: null }));
  for (const field of ['tag', 'messageGroup', 'deliveryTimestamp', 'priority', 'queueOffset']) {
    deepEqual([field, decoded[field]], [field, null]);
    deepEqual([field, Object.hasOwn(decoded, field)], [field, false]);
  }
  deepEqual(codec.decode(codec.encode({ priority: 0 }))['priority'], 0);
});

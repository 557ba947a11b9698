/**
 * Namespaces. Clients name a topic or group by (namespace, name); the broker stores one name,
 * `<namespace>%<name>`, as RocketMQ does. A dead-letter or retry topic keeps its prefix in front:
 * `%DLQ%<namespace>%<group>`.
 *
 * Clients differ in where they say the namespace: some in every resource, the Node client in sends
 * only, but then always in the `x-mq-namespace` header. The resource wins, the header fills in.
 */
import type { Resource } from './wire-types.ts';

const SEPARATOR = '%';
const PREFIXES = ['%DLQ%', '%RETRY%'] as const;

export function namespaceOf(resource: Resource | null, headerNamespace: string): string {
  const own = resource?.resourceNamespace ?? '';
  return own === '' ? headerNamespace : own;
}

/** An absent resource gives the empty name, which the services refuse. */
export function storageName(resource: Resource | null, headerNamespace: string): string {
  const name = resource?.name ?? '';
  const namespace = namespaceOf(resource, headerNamespace);
  if (namespace === '' || name === '') return name;
  const prefix = prefixOf(name);
  return `${prefix}${namespace}${SEPARATOR}${name.slice(prefix.length)}`;
}

/** The name as clients of the namespace know it; a name of another namespace stays as it is. */
export function clientName(stored: string, namespace: string): string {
  if (namespace === '') return stored;
  const prefix = prefixOf(stored);
  const folded = `${namespace}${SEPARATOR}`;
  const rest = stored.slice(prefix.length);
  return rest.startsWith(folded) ? prefix + rest.slice(folded.length) : stored;
}

function prefixOf(name: string): string {
  return PREFIXES.find((prefix) => name.startsWith(prefix)) ?? '';
}

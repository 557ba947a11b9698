/** Network addresses as text, and the form in which routes tell them to clients. */
import { parseHostAddress } from '../../protocol/host-address.ts';
import { ADDRESS_SCHEME } from './wire-enums.ts';
import type { Endpoints } from './wire-types.ts';

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;
const PORT_MAX = 65_535;
const MAPPED_IPV4 = '::ffff:';
/** Stored when the socket was gone before its address could be read. */
const UNKNOWN_PEER = '0.0.0.0:0';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, an IPv6 literal with or without brackets; null when it is neither. */
export function parseHostPort(text: string): HostPort | null {
  const at = text.lastIndexOf(':');
  if (at <= 0) return null;
  const portText = text.slice(at + 1);
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText) || port > PORT_MAX) return null;
  const host = text.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return host === '' ? null : { host, port };
}

/** Exactly one address: most clients cannot dial a list. null when it is not `host:port`. */
export function endpointsOf(address: string): Endpoints | null {
  const parsed = parseHostPort(address);
  return parsed === null ? null : { scheme: schemeOf(parsed.host), addresses: [parsed] };
}

function schemeOf(host: string): number {
  if (IPV4.test(host)) return ADDRESS_SCHEME.ipv4;
  return host.includes(':') ? ADDRESS_SCHEME.ipv6 : ADDRESS_SCHEME.domainName;
}

/**
 * Where a message came from, as it is stored: the client's word if that is an address (the Node
 * client says its host name), else the peer of the connection.
 */
export function bornHostOf(claimed: string, peer: string): string {
  if (parseHostAddress(claimed) !== null) return claimed;
  return IPV4.test(claimed) ? `${claimed}:0` : peer;
}

/**
 * What grpc-js calls the peer as a storable address: IPv4 over a dual socket comes as mapped IPv6,
 * a link-local peer with a zone, which no other machine understands.
 */
export function normalizedPeer(peer: string): string {
  const parsed = parseHostPort(peer);
  if (parsed === null) return UNKNOWN_PEER;
  const host = parsed.host.startsWith(MAPPED_IPV4)
    ? parsed.host.slice(MAPPED_IPV4.length)
    : parsed.host.replace(/%.*$/, '');
  const text = host.includes(':') ? `[${host}]:${parsed.port}` : `${host}:${parsed.port}`;
  return parseHostAddress(text) === null ? UNKNOWN_PEER : text;
}

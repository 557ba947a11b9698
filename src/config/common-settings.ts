/** Settings and schemas that both server processes have. */
import { z } from 'zod';
import { parseHostAddress } from '../protocol/host-address.ts';
import { setting } from './setting.ts';

const PORT_MAX = 65_535;

export const word = z
  .string('must be a word')
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ -');

/** A host name is resolved when it is used, again each time. IPv6 literals stand in brackets. */
export const peerAddress = z
  .string('must be host:port')
  .regex(/^([^\s:[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/, { error: 'must be host:port', abort: true })
  .refine((text) => {
    const port = Number(text.slice(text.lastIndexOf(':') + 1));
    return port <= PORT_MAX;
  }, `must have a port up to ${PORT_MAX}`);

/** Stored in messages as the place where they were taken in: a literal, resolved by nobody. */
export const listenAddress = peerAddress.refine(
  (text) => parseHostAddress(text) !== null,
  'must be ip:port, not a host name',
);

export const supervised = setting({
  form: 'switch',
  value: 'true|false',
  schema: z.boolean('must be true or false'),
  standard: false,
  help: 'stop when standard input closes',
  more: 'For a supervisor that holds the other end: when it dies, however it dies, so does the process.',
  example: 'true',
});

export const logLevel = setting({
  form: 'text',
  value: 'level',
  schema: z.enum(
    ['debug', 'info', 'warn', 'error', 'silent'],
    'must be debug, info, warn, error or silent',
  ),
  standard: 'info',
  help: 'debug, info, warn, error or silent',
  more: 'One JSON line for each decision, on standard error; bodies of messages are never logged.',
  example: 'warn',
});

/** The settings of a name server. */
import { logLevel, peerAddress, supervised } from './common-settings.ts';
import { type ServerSettings, setting, type ValuesOf } from './setting.ts';

const table = {
  listen: setting({
    form: 'text',
    value: 'host:port',
    schema: peerAddress,
    standard: '127.0.0.1:9876',
    help: 'listen here for brokers and clients',
    more: 'Brokers and clients name it as namesrv. It keeps nothing on disk: run two or three, and restart them as you like.',
    example: '0.0.0.0:9876',
  }),
  supervised,
  'log-level': logLevel,
} as const;

export type NamesrvTable = typeof table;
export type NamesrvValues = ValuesOf<NamesrvTable>;

export const NAMESRV_SETTINGS: ServerSettings<NamesrvTable> = {
  program: 'mq-raft-namesrv',
  description: 'Route registry: knows which broker leads which group. Run two or three.',
  variablePrefix: 'MQ_RAFT_NAMESRV_',
  table,
};

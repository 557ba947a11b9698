/**
 * One line of the table of settings of a server process. Everything that is said about a setting
 * anywhere (flag, variable, file key, help, page, `config explain`) comes from its line, and all its
 * names are one name: `segment-size-bytes`, `--segment-size-bytes`, `MQ_RAFT_BROKER_SEGMENT_SIZE_BYTES`.
 */
import type { z } from 'zod';

/** How a value is written: in a flag or variable as text, in a file as YAML. */
export type Form =
  | 'text'
  | 'number'
  | 'switch'
  /** `a,b` or a YAML list. */
  | 'list'
  /** `n1=host:port,n2=host:port` or a YAML map. */
  | 'members';

export interface Setting<Schema extends z.ZodType = z.ZodType> {
  readonly form: Form;
  /** What stands for the value in help: `host:port`, `bytes`, `hours`. */
  readonly value: string;
  readonly schema: Schema;
  /** undefined: it must be given. */
  readonly standard: z.output<Schema> | undefined;
  /** The default in words, where the value does not say it. */
  readonly standardText?: string;
  /** One line, for the list of flags. */
  readonly help: string;
  /** Why one would set it and what to mind. */
  readonly more: string;
  readonly example: string;
  /** Not shown to anybody. */
  readonly isSecret?: true;
}

export type SettingTable = Readonly<Record<string, Setting>>;

export type ValuesOf<Table extends SettingTable> = {
  readonly [Key in keyof Table]: z.output<Table[Key]['schema']>;
};

/** A server process as the operator configures it. */
export interface ServerSettings<Table extends SettingTable = SettingTable> {
  /** `mq-raft-broker` */
  readonly program: string;
  readonly description: string;
  /** `MQ_RAFT_BROKER_` */
  readonly variablePrefix: string;
  readonly table: Table;
}

/** Keeps the type of each line. */
export function setting<Schema extends z.ZodType>(line: Setting<Schema>): Setting<Schema> {
  return line;
}

/** The file with the rest of the settings: not a setting itself, for a file cannot name itself. */
export const CONFIG_FILE_KEY = 'config';

export function flagOf(key: string): string {
  return `--${key}`;
}

export function variableOf({ variablePrefix }: ServerSettings, key: string): string {
  return variablePrefix + key.toUpperCase().replaceAll('-', '_');
}

/** A value as one would write it in a flag. */
export function settingText(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (!Array.isArray(value)) return String(value);
  return value.map((each: unknown) => (isMember(each) ? memberText(each) : String(each))).join(',');
}

export interface MemberSetting {
  readonly nodeId: string;
  readonly raftAddress: string;
}

export function memberText({ nodeId, raftAddress }: MemberSetting): string {
  return `${nodeId}=${raftAddress}`;
}

function isMember(value: unknown): value is MemberSetting {
  return typeof value === 'object' && value !== null && 'nodeId' in value;
}

/**
 * What `--command` of a rolling restart is made into: words that are run as they are, without a shell. Nothing
 * in them has a meaning but blanks, which divide, and the names in braces.
 */
import { usageError } from './cli-error.ts';

/** What stands for the node. */
export interface NodeWords {
  readonly node: string;
  /** Of the address that its peers use. */
  readonly host: string;
}

const PLACE = /\{([^{}]*)\}/g;
const isKnown = (name: string): name is keyof NodeWords => name === 'node' || name === 'host';

export interface NodeCommand {
  /** As it was given. */
  readonly text: string;
  for(node: NodeWords): readonly string[];
}

/** @throws CliError (usage) */
export function parseCommand(text: string): NodeCommand {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const places = [...text.matchAll(PLACE)].map(([, name = '']) => name);
  const strange = places.find((name) => !isKnown(name));
  if (strange !== undefined) {
    throw usageError(`--command: {${strange}} stands for nothing`, 'there are {node} and {host}');
  }
  if (places.length === 0) {
    throw usageError(
      '--command names no node, and would do the same for each',
      "for example --command 'ssh {host} systemctl restart mq-raft'",
    );
  }
  return {
    text,
    for: (node) =>
      words.map((word) => word.replaceAll(PLACE, (_, name: keyof NodeWords) => node[name])),
  };
}

/** So that a shell takes it for one word. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The tree of commands as shells complete it: what can stand behind which words. */
import type { Argument, Command, Option } from 'commander';

/** What the hidden command can list. */
export const LISTS = ['topics', 'nodes', 'contexts'] as const;
export type ListName = (typeof LISTS)[number];
export const LIST_COMMAND = '__list';
/** Which cluster is meant: the hidden command is told as well. */
export const WHERE_FLAGS = ['--context', '--namesrv', '--endpoints'] as const;

/** What is offered for a value that is typed next. */
export type Offer =
  /** The user knows better. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'files' }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** Asked for through the hidden command. */
  | { readonly kind: 'list'; readonly list: ListName };

/** One command, with the words that lead to it. */
export interface CommandNode {
  readonly path: readonly string[];
  readonly description: string;
  readonly children: readonly { readonly name: string; readonly description: string }[];
  /** Its own; those of the root are understood by all. */
  readonly flags: readonly Flag[];
  /** For its first argument, or for all of them. */
  readonly argument: Offer;
  readonly hasManyArguments: boolean;
}

export interface Flag {
  readonly names: readonly string[];
  readonly description: string;
  /** null: it takes no value. */
  readonly value: Offer | null;
}

/** Every command that is typed, short forms included; the root first. */
export function commandNodes(program: Command): readonly CommandNode[] {
  const nodes: CommandNode[] = [];
  const visit = (command: Command, path: readonly string[]): void => {
    const children = command.commands.filter((child) => child.name() !== LIST_COMMAND);
    nodes.push({
      path,
      description: command.description(),
      children: children.map((child) => ({
        name: child.name(),
        description: child.description(),
      })),
      flags: [...command.options.map(flagOf), ...(path.length === 0 ? [HELP_FLAG] : [])],
      argument: argumentOf(command),
      hasManyArguments: command.registeredArguments[0]?.variadic === true,
    });
    for (const child of children) visit(child, [...path, child.name()]);
  };
  visit(program, []);
  return nodes;
}

/** Of all commands: a name that takes a value somewhere takes one everywhere. */
export function valuedNames(nodes: readonly CommandNode[]): readonly string[] {
  const valued = nodes.flatMap(({ flags }) => flags).filter(({ value }) => value !== null);
  return [...new Set(valued.flatMap(({ names }) => names))].sort();
}

/** Flags with a value for which something can be offered, each with its command: --to is many things. */
export function offeringFlags(
  nodes: readonly CommandNode[],
): readonly { readonly path: readonly string[]; readonly flag: Flag; readonly offer: Offer }[] {
  return nodes.flatMap(({ path, flags }) =>
    flags.flatMap((flag) =>
      flag.value === null || flag.value.kind === 'nothing'
        ? []
        : [{ path, flag, offer: flag.value }],
    ),
  );
}

const NOTHING: Offer = { kind: 'nothing' };
const FILES: Offer = { kind: 'files' };
const HELP_FLAG: Flag = {
  names: ['-h', '--help'],
  description: 'display help for command',
  value: null,
};

function flagOf(option: Option): Flag {
  const { short, long, description, required } = option;
  const names = [short, long].filter((name) => name !== undefined);
  return { names, description, value: required ? valueOffer(option) : null };
}

/** By what stands for the value in the help. */
function valueOffer({ flags, long, argChoices }: Option): Offer {
  if (argChoices !== undefined) return { kind: 'words', words: argChoices };
  const placeholder = /<([^>]+)>/.exec(flags)?.[1] ?? '';
  if (placeholder === 'node') return { kind: 'list', list: 'nodes' };
  if (long === '--context') return { kind: 'list', list: 'contexts' };
  return FILE_WORDS.includes(placeholder) ? FILES : NOTHING;
}

const FILE_WORDS: readonly string[] = ['file', 'path', 'dir', 'directory', 'backup'];
const LIST_OF: Readonly<Record<string, ListName>> = { topic: 'topics', node: 'nodes' };

function argumentOf(command: Command): Offer {
  const first: Argument | undefined = command.registeredArguments[0];
  if (first === undefined) return NOTHING;
  if (first.argChoices !== undefined) return { kind: 'words', words: first.argChoices };
  const name = first.name();
  if (FILE_WORDS.includes(name)) return FILES;
  // Something new has a new name.
  if (['add', 'create'].includes(command.name())) return NOTHING;
  const parent = command.parent?.name();
  if (name === 'name' && parent === 'topic') return { kind: 'list', list: 'topics' };
  if (name === 'name' && parent === 'context') return { kind: 'list', list: 'contexts' };
  const list = LIST_OF[name];
  return list === undefined ? NOTHING : { kind: 'list', list };
}

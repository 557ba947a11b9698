/**
 * Completion scripts for shells, made from the command tree: everything that is fixed stands in the script, so
 * that it answers at once; names of topics and nodes are asked for through a hidden command.
 */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What the hidden command can list. */
export const LISTS = ['topics', 'nodes', 'contexts'] as const;
export type ListName = (typeof LISTS)[number];
export const LIST_COMMAND = '__list';

/** One command, with the words that lead to it. */
export interface CommandNode {
  readonly path: readonly string[];
  readonly description: string;
  readonly children: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly Flag[];
  /** Where its first argument is a name that can be listed. */
  readonly argument: ListName | null;
}

interface Flag {
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** Every command that is typed, short forms included. */
export function commandNodes(program: Command): readonly CommandNode[] {
  const global = program.options.map(flagOf);
  const nodes: CommandNode[] = [];
  const visit = (command: Command, path: readonly string[]): void => {
    const children = command.commands.filter((child) => child.name() !== LIST_COMMAND);
    const own = path.length === 0 ? [] : command.options.map(flagOf);
    nodes.push({
      path,
      description: command.description(),
      children: children.map((child) => ({
        name: child.name(),
        description: child.description(),
      })),
      flags: [...own, ...global, HELP_FLAG],
      argument: argumentOf(command),
    });
    for (const child of children) visit(child, [...path, child.name()]);
  };
  visit(program, []);
  return nodes;
}

const HELP_FLAG: Flag = {
  names: ['-h', '--help'],
  description: 'display help for command',
  takesValue: false,
  choices: [],
};

function flagOf({ short, long, description, required, argChoices }: Option): Flag {
  const names = [short, long].filter((name) => name !== undefined);
  return { names, description, takesValue: required, choices: argChoices ?? [] };
}

const LIST_OF: Readonly<Record<string, ListName>> = {
  topic: 'topics',
  node: 'nodes',
};

function argumentOf(command: Command): ListName | null {
  const first = command.registeredArguments[0]?.name();
  if (first === undefined) return null;
  const parent = command.parent?.name() ?? '';
  if (first === 'name' && parent === 'topic') return command.name() === 'create' ? null : 'topics';
  if (first === 'name' && parent === 'context') return command.name() === 'add' ? null : 'contexts';
  // A new node has a new name.
  if (command.name() === 'add') return null;
  return LIST_OF[first] ?? null;
}

export function completionScript(shell: Shell, program: Command): string {
  const nodes = commandNodes(program);
  switch (shell) {
    case 'bash':
      return bashScript(nodes);
    case 'zsh':
      return `#compdef mq-raft\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(nodes)}`;
    case 'fish':
      return fishScript(nodes);
  }
}

function bashScript(nodes: readonly CommandNode[]): string {
  const cases = nodes.map((node) => {
    const flags = node.flags.flatMap(({ names }) => names).join(' ');
    const words = node.children.map(({ name }) => name).join(' ');
    const list = node.argument === null ? '' : `; list=${node.argument}`;
    return `    '${node.path.join(' ')}') words='${words}'; flags='${flags}'${list} ;;`;
  });
  const valued = flagsWithValue(nodes).join('|');
  const choices = choicesOf(nodes).map(
    ([names, words]) =>
      `    ${names.join('|')}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current")); return ;;`,
  );
  return `# Completion of mq-raft. Load it with:  source <(mq-raft completion bash)
_mq_raft() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path='' words='' flags='' list='' i word
  COMPREPLY=()
  case "$previous" in
${choices.join('\n')}
    --context) COMPREPLY=($(compgen -W "$(mq-raft ${LIST_COMMAND} contexts 2>/dev/null)" -- "$current")); return ;;
    ${valued}) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in
      ${valued}) ((i++)) ;;
      -*) ;;
      *) _mq_raft_at "$path\${path:+ }$word" && path="$path\${path:+ }$word" ;;
    esac
  done
  _mq_raft_at "$path"
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$current")); return; fi
  if [[ -n "$list" ]]; then words="$(mq-raft ${LIST_COMMAND} "$list" 2>/dev/null)"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
_mq_raft_at() {
  case "$1" in
${cases.join('\n')}
    *) return 1 ;;
  esac
}
complete -o default -F _mq_raft mq-raft
`;
}

function flagsWithValue(nodes: readonly CommandNode[]): readonly string[] {
  const all = nodes.flatMap(({ flags }) => flags.filter(({ takesValue }) => takesValue));
  return [...new Set(all.flatMap(({ names }) => names))].sort();
}

function choicesOf(
  nodes: readonly CommandNode[],
): readonly (readonly [readonly string[], readonly string[]])[] {
  const found = new Map<string, readonly [readonly string[], readonly string[]]>();
  for (const { names, choices } of nodes.flatMap(({ flags }) => flags)) {
    if (choices.length > 0) found.set(names.join(), [names, choices]);
  }
  return [...found.values()];
}

function fishScript(nodes: readonly CommandNode[]): string {
  const lines = nodes.flatMap((node) => {
    const condition = fishCondition(node);
    return [
      ...node.children.map(
        ({ name, description }) =>
          `complete -c mq-raft -n '${condition}' -f -a ${name} -d '${quoted(description)}'`,
      ),
      ...node.flags.map((flag) => fishFlag(condition, flag)),
      ...(node.argument === null
        ? []
        : [
            `complete -c mq-raft -n '${condition}' -f -a '(mq-raft ${LIST_COMMAND} ${node.argument} 2>/dev/null)'`,
          ]),
    ];
  });
  return `# Completion of mq-raft. Load it with:  mq-raft completion fish | source
function __mq_raft_at
    set -l words (string match -v -- '-*' (commandline -opc))[2..]
    set -l wanted $argv
    test (count $wanted) -gt 0; and not test "$words[1..(count $wanted)]" = "$wanted"; and return 1
    test (count $wanted) -gt 0; or test (count $words) -eq 0
end
${lines.join('\n')}
`;
}

function fishCondition({ path, children }: CommandNode): string {
  const deeper = children.map(({ name }) => name);
  const here = `__mq_raft_at ${path.join(' ')}`.trim();
  if (path.length === 0 || deeper.length === 0) return here;
  return `${here}; and not __fish_seen_subcommand_from ${deeper.join(' ')}`;
}

function fishFlag(condition: string, { names, description, takesValue, choices }: Flag): string {
  const forms = names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  const value = takesValue ? ' -x' : '';
  const words = choices.length === 0 ? '' : ` -a '${choices.join(' ')}'`;
  return `complete -c mq-raft -n '${condition}' ${forms.join(' ')}${value}${words} -d '${quoted(description)}'`;
}

function quoted(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
}

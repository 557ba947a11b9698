/** Completion for fish 3, with what each word means beside it. */
import {
  type CommandNode,
  type Flag,
  LIST_COMMAND,
  type Offer,
  offeringFlags,
  valuedNames,
  WHERE_FLAGS,
} from './command-nodes.ts';

export function fishScript(nodes: readonly CommandNode[]): string {
  const [root] = nodes;
  return `# Completion of mq-raft. Load it with:  mq-raft completion fish | source
function __mq_raft_offer
    set -l current (commandline -ct)
    set -l words (commandline -opc)[2..]
    set -l at ''
    set -l typed 0
    set -l flag ''
    set -l where
    for word in $words
        if test -n "$flag"
            contains -- $flag ${WHERE_FLAGS.join(' ')}; and set -a where $flag $word
            set flag ''
            continue
        end
        switch $word
            case ${valuedNames(nodes).join(' ')}
                set flag $word
            case '-*'
            case '*'
                set -l deeper (string trim -- "$at $word")
                if contains -- $deeper ${nodes.map(({ path }) => quoted(path.join(' '))).join(' ')}
                    set at $deeper
                else
                    set typed (math $typed + 1)
                end
        end
    end
    if test -n "$flag"
        switch "$at|$flag"
${offeringFlags(nodes).map(valueCase).join('\n')}
        end
        return
    end
    if string match -q -- '-*' "$current"
        switch $at
${nodes.flatMap(flagCase).join('\n')}
        end
${describedLines(flagsOf(root?.flags ?? []), 8)}
        return
    end
    switch $at
${nodes.map(wordCase).join('\n')}
    end
end
complete -c mq-raft -f -a '(__mq_raft_offer)'
`;
}

/** The flags of the root are offered everywhere. */
function flagCase({ path, flags }: CommandNode): readonly string[] {
  if (path.length === 0 || flags.length === 0) return [];
  return [`            case ${quoted(path.join(' '))}`, describedLines(flagsOf(flags), 16)];
}

function wordCase({ path, children, argument, hasManyArguments }: CommandNode): string {
  const head = `        case ${quoted(path.join(' '))}`;
  if (children.length > 0) {
    const pairs = children.map(({ name, description }) => [name, description] as const);
    return `${head}\n${describedLines(pairs, 12)}`;
  }
  const lines = offerLines(argument, 16);
  if (hasManyArguments) return `${head}\n${lines}`;
  return `${head}\n            if test $typed -eq 0\n${lines}\n            end`;
}

function offerLines(offer: Offer, indent: number): string {
  const blanks = ' '.repeat(indent);
  switch (offer.kind) {
    case 'words':
      return `${blanks}printf '%s\\n' ${offer.words.map(quoted).join(' ')}`;
    case 'list':
      return `${blanks}mq-raft ${LIST_COMMAND} ${offer.list} $where 2>/dev/null`;
    case 'files':
      return `${blanks}__fish_complete_path "$current"`;
    case 'nothing':
      return `${blanks}true`;
  }
}

function flagsOf(flags: readonly Flag[]): readonly (readonly [string, string])[] {
  return flags.flatMap(({ names, description }) =>
    names.map((name) => [name, description] as const),
  );
}

function describedLines(pairs: readonly (readonly [string, string])[], indent: number): string {
  const blanks = ' '.repeat(indent);
  const words = pairs.map(([name, description]) => `${quoted(name)} ${quoted(description)}`);
  return `${blanks}printf '%s\\t%s\\n' ${words.join(` \\\n${blanks}    `)}`;
}

/** Of the root for every command. */
function valueCase({ path, flag, offer }: ReturnType<typeof offeringFlags>[number]): string {
  const where = path.length === 0 ? '*' : path.join(' ');
  const patterns = flag.names.map((name) => quoted(`${where}|${name}`)).join(' ');
  return `            case ${patterns}
${offerLines(offer, 16)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

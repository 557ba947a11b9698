/** Completion for bash 4 and newer. */
import {
  type CommandNode,
  type Flag,
  LIST_COMMAND,
  type Offer,
  offeringFlags,
  valuedNames,
  WHERE_FLAGS,
} from './command-nodes.ts';

export function bashScript(nodes: readonly CommandNode[]): string {
  const [root] = nodes;
  return `# Completion of mq-raft. Load it with:  source <(mq-raft completion bash)
_mq_raft() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path='' words='' flags='' list='' many='' files='' typed=0 i word where=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in
      ${WHERE_FLAGS.join('|')}) where+=("$word" "\${COMP_WORDS[i+1]}"); ((i++)) ;;
      ${valuedNames(nodes).join('|')}) ((i++)) ;;
      -*) ;;
      *) if _mq_raft_at "$path\${path:+ }$word"; then path="$path\${path:+ }$word"; else ((++typed)); fi ;;
    esac
  done
  if ((i == COMP_CWORD)); then
    _mq_raft_at "$path"
    if ((typed > 0)) && [[ -z "$many" ]]; then words='' list='' files=''; fi
    if [[ "$current" == -* ]]; then words="$flags ${flagNames(root?.flags ?? [])}" list='' files=''; fi
  else
    # The value of a flag.
    case "$path|$previous" in
${offeringFlags(nodes).map(valueCase).join('\n')}
    esac
  fi
  if [[ -n "$list" ]]; then words="$(mq-raft ${LIST_COMMAND} "$list" "\${where[@]}" 2>/dev/null)"; fi
  if [[ -n "$files" ]]; then compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")); return; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
_mq_raft_at() {
  case "$1" in
${nodes.map(caseOf).join('\n')}
    *) return 1 ;;
  esac
}
complete -F _mq_raft mq-raft
`;
}

/** Sets what the words so far leave to choose from. */
function caseOf({ path, children, flags, argument, hasManyArguments }: CommandNode): string {
  const words = children.map(({ name }) => name).join(' ');
  const offered = children.length > 0 ? `words='${words}'` : offerText(argument);
  const many = hasManyArguments ? 'yes' : '';
  return `    '${path.join(' ')}') words='' list='' files='' many='${many}'; flags='${flagNames(flags)}'; ${offered} ;;`;
}

function offerText(offer: Offer): string {
  switch (offer.kind) {
    case 'words':
      return `words='${offer.words.join(' ')}'`;
    case 'list':
      return `list=${offer.list}`;
    case 'files':
      return 'files=yes';
    case 'nothing':
      return ':';
  }
}

function flagNames(flags: readonly Flag[]): string {
  return flags.flatMap(({ names }) => names).join(' ');
}

/** Of the root for every command. */
function valueCase({ path, flag, offer }: ReturnType<typeof offeringFlags>[number]): string {
  const where = path.length === 0 ? '*' : `'${path.join(' ')}'`;
  const patterns = flag.names.map((name) => `${where}"|${name}"`).join('|');
  return `      ${patterns}) ${offerText(offer)} ;;`;
}

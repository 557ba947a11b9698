/** Completion for zsh, with what each word means beside it. */
import {
  type CommandNode,
  type Flag,
  LIST_COMMAND,
  type Offer,
  offeringFlags,
  valuedNames,
  WHERE_FLAGS,
} from './command-nodes.ts';

export function zshScript(nodes: readonly CommandNode[]): string {
  const [root] = nodes;
  return `#compdef mq-raft
# Completion of mq-raft. Load it with:  source <(mq-raft completion zsh)   after compinit
_mq_raft() {
  local at='' word='' list='' many='' files='' typed=0 i
  local -a offered flags where
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    case "$word" in
      ${WHERE_FLAGS.join('|')}) where+=("$word" "\${words[i+1]}"); ((i++)) ;;
      ${valuedNames(nodes).join('|')}) ((i++)) ;;
      -*) ;;
      *) if _mq_raft_at "$at\${at:+ }$word"; then at="$at\${at:+ }$word"; else ((++typed)); fi ;;
    esac
  done
  if ((i == CURRENT)); then
    _mq_raft_at "$at"
    if ((typed > 0)) && [[ -z "$many" ]]; then offered=() list='' files=''; fi
    if [[ "\${words[CURRENT]}" == -* ]]; then
      offered=("\${flags[@]}" ${describedFlags(root?.flags ?? [])}) list='' files=''
    fi
  else
    # The value of a flag.
    offered=() list='' files=''
    case "$at|\${words[CURRENT-1]}" in
${offeringFlags(nodes).map(valueCase).join('\n')}
    esac
  fi
  if [[ -n "$list" ]]; then offered=(\${(f)"$(mq-raft ${LIST_COMMAND} "$list" "\${where[@]}" 2>/dev/null)"}); fi
  if [[ -n "$files" ]]; then _files; return; fi
  if ((\${#offered})); then _describe -t words mq-raft offered; fi
}
_mq_raft_at() {
  case "$1" in
${nodes.map(caseOf).join('\n')}
    *) return 1 ;;
  esac
}
if [[ "\${funcstack[1]}" == _mq_raft ]]; then _mq_raft "$@"; else compdef _mq_raft mq-raft; fi
`;
}

/** Sets what the words so far leave to choose from. */
function caseOf({ path, children, flags, argument, hasManyArguments }: CommandNode): string {
  const offered =
    children.length > 0
      ? `offered=(${children.map(({ name, description }) => described(name, description)).join(' ')})`
      : offerText(argument);
  const many = hasManyArguments ? 'yes' : '';
  return `    '${path.join(' ')}') offered=() list='' files='' many='${many}'; flags=(${describedFlags(flags)}); ${offered} ;;`;
}

function offerText(offer: Offer): string {
  switch (offer.kind) {
    case 'words':
      return `offered=(${offer.words.join(' ')})`;
    case 'list':
      return `list=${offer.list}`;
    case 'files':
      return 'files=yes';
    case 'nothing':
      return ':';
  }
}

function describedFlags(flags: readonly Flag[]): string {
  return flags
    .flatMap(({ names, description }) => names.map((name) => described(name, description)))
    .join(' ');
}

/** `'name:what it means'`; a colon of the name or the meaning is none that parts them. */
function described(name: string, meaning: string): string {
  const text = `${name.replaceAll(':', '\\:')}:${meaning}`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Of the root for every command. */
function valueCase({ path, flag, offer }: ReturnType<typeof offeringFlags>[number]): string {
  const where = path.length === 0 ? '*' : `'${path.join(' ')}'`;
  const patterns = flag.names.map((name) => `${where}"|${name}"`).join('|');
  return `      ${patterns}) ${offerText(offer)} ;;`;
}

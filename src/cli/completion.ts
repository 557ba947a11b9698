/**
 * Completion scripts for shells, made from the command tree: everything that is fixed stands in the script, so
 * that it answers at once; names of topics and nodes are asked for through a hidden command, at the cluster that
 * the line names.
 */
import type { Command } from 'commander';
import { commandNodes } from './command-nodes.ts';
import { bashScript } from './completion-bash.ts';
import { fishScript } from './completion-fish.ts';
import { zshScript } from './completion-zsh.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, program: Command): string {
  const nodes = commandNodes(program);
  switch (shell) {
    case 'bash':
      return bashScript(nodes);
    case 'zsh':
      return zshScript(nodes);
    case 'fish':
      return fishScript(nodes);
  }
}

/** What the next start would do with a store, in words. */
import { EXIT_CODE } from '../../base/errors.ts';
import type { StartupVerdict } from '../../store/inspect/startup.ts';
import { textOrNull } from './log-words.ts';
import { plural, printable } from './text.ts';

export function startupText(verdict: StartupVerdict): string {
  if (verdict.kind === 'refuses') {
    const { reason, problem } = verdict;
    return `would refuse with exit code ${EXIT_CODE[reason]} (${reason}): ${printable(problem)}`;
  }
  const { lastIndex, cut, rewriteFrom, end, damagedHeaders } = verdict;
  const steps: string[] = [];
  if (cut.length > 0) {
    const bytes = cut.reduce((sum, { from, to }) => sum + to - from, 0);
    steps.push(`copy ${plural(bytes, 'torn byte')} to quarantine/ and cut them off`);
  }
  if (damagedHeaders > 0) {
    const copies = damagedHeaders === 1 ? '1 damaged copy' : `${damagedHeaders} damaged copies`;
    steps.push(`replace ${copies} of a segment header`);
  }
  if (rewriteFrom !== null) {
    steps.push(`write ${plural(end - rewriteFrom, 'byte')} again that may not be on the disk yet`);
  }
  const after = lastIndex === 0 ? 'an empty log' : `a log that ends with entry ${lastIndex}`;
  if (steps.length === 0) return `would open ${after}; nothing to mend`;
  return `would open ${after}, and first ${steps.join(', ')}`;
}

export function startupJson(verdict: StartupVerdict): object {
  if (verdict.kind === 'refuses') {
    const { reason, problem } = verdict;
    return { verdict: 'refuses', reason, exitCode: EXIT_CODE[reason], problem };
  }
  const { lastIndex, end, cut, rewriteFrom, damagedHeaders } = verdict;
  return {
    verdict: 'opens',
    lastIndex: String(lastIndex),
    end: String(end),
    cut: cut.map(({ from, to }) => ({ from: String(from), to: String(to) })),
    rewriteFrom: textOrNull(rewriteFrom),
    damagedHeaders,
  };
}

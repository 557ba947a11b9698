/** A page with blocks that a run has made: `<!-- run: NAME -->` stands above each of them. */

/** @throws Error when the page and the run do not have the same blocks */
export function withBlocks(page: string, blocks: ReadonlyMap<string, string>): string {
  const seen = new Set<string>();
  const next = page.replaceAll(
    /(<!-- run: (\S+) -->\n)(```\n[\s\S]*?\n```|[^\n]+)/g,
    (_whole, mark: string, name: string, old: string) => {
      const text = blocks.get(name);
      if (text === undefined) throw new Error(`The run has no ${name}`);
      seen.add(name);
      return mark + (old.startsWith('```') ? `\`\`\`\n${text}\n\`\`\`` : text);
    },
  );
  const missing = [...blocks.keys()].filter((name) => !seen.has(name));
  if (missing.length > 0) throw new Error(`The page has no place for ${missing.join(', ')}`);
  return next;
}

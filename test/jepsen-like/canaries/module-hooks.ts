/** Hooks for the module loader: whoever imports one of these modules gets the one with planted bugs. */

const REPLACED: readonly (readonly [original: string, planted: string])[] = [
  ['/src/store/open-commit-log.js', './planted-log.js'],
  ['/src/broker/broker.js', './planted-broker.js'],
  ['/src/broker/gateway.js', './planted-gateway.js'],
  ['/src/broker/fresh-answer.js', './planted-fresh-answer.js'],
  ['/src/broker/services/retention-decision.js', './planted-retention.js'],
  ['/src/replica/peer-history.js', './planted-history.js'],
  ['/src/raft/raft-core.js', './planted-core.js'],
];

interface Resolved {
  readonly url: string;
  readonly format?: string | null;
}

type NextResolve = (specifier: string, context: Context) => Promise<Resolved>;

interface Context {
  readonly parentURL?: string;
}

export async function resolve(
  specifier: string,
  context: Context,
  next: NextResolve,
): Promise<Resolved> {
  const resolved = await next(specifier, context);
  const found = REPLACED.find(([original]) => resolved.url.endsWith(original));
  if (found === undefined) return resolved;
  const url = new URL(found[1], import.meta.url).href;
  // The planted module itself imports the original.
  return context.parentURL === url ? resolved : { ...resolved, url };
}

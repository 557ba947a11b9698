/** The processes themselves: none ended unasked, none forgot its term, no two led in one term; and the run came to its end. */
import type { Evidence, StatusLine } from '../history/evidence.ts';
import { type Anomaly, type Verdict, verdictOf } from './verdict.ts';

/** While one of these is at work a node may be one that remembers less. */
const OLD_IMAGES = ['oldCopy', 'forgottenByAll oldImage'];

export function checkNodes(evidence: Evidence): Verdict {
  const { nodes, statuses, summary, faults } = evidence;
  const anomalies: Anomaly[] = [
    ...nodes.flatMap((line): readonly Anomaly[] => {
      if (line.kind !== 'ended' || line.because !== null) return [];
      const what = `${line.node} ended with ${line.how} at ${Math.round(line.atMs)} ms: ${sentenceIn(line.lastWords)}`;
      return [{ kind: 'node-ended', what }];
    }),
    ...forgottenTerms(evidence),
    ...twoLeaders(statuses),
    ...changedStores(statuses, evidence),
    ...summary.problems.map((what): Anomaly => ({ kind: 'not-recovered', what })),
    ...faults
      .filter(({ note }) => note.includes('NOT WHOLE'))
      .map(({ kind, note }): Anomaly => ({ kind: 'not-recovered', what: `${kind}: ${note}` })),
  ];
  const counts = {
    starts: nodes.filter(({ kind }) => kind === 'started').length,
    statuses: statuses.length,
    terms: new Set(statuses.map(({ term }) => term)).size,
  };
  return verdictOf('nodes', anomalies, counts);
}

/** The fatal line of its log, when there is one. */
function sentenceIn(lastWords: string): string {
  const fatal = lastWords.split('\n').findLast((line) => line.includes('process.fatal'));
  return (fatal ?? lastWords.slice(-300)).slice(0, 400);
}

/** Per directory: an impostor with an empty one has a history of its own, and one with an old copy is not asked. */
function forgottenTerms({ statuses, faults }: Evidence): readonly Anomaly[] {
  const isImpostor = ({ node, atMs }: StatusLine): boolean =>
    faults.some(
      ({ kind, targets, beginMs, endMs }) =>
        OLD_IMAGES.includes(kind) && targets.includes(node) && beginMs <= atMs && atMs <= endMs,
    );
  const last = new Map<string, StatusLine>();
  const anomalies: Anomaly[] = [];
  for (const status of statuses.filter((each) => !isImpostor(each))) {
    const before = last.get(status.storeUuid);
    if (before !== undefined && status.term < before.term) {
      const what = `${status.node} was in term ${before.term} at ${before.atMs} ms and in ${status.term} at ${status.atMs} ms`;
      anomalies.push({ kind: 'term-regressed', what });
    }
    last.set(status.storeUuid, status);
  }
  return anomalies;
}

function twoLeaders(statuses: readonly StatusLine[]): readonly Anomaly[] {
  const leaders = new Map<number, string>();
  const anomalies: Anomaly[] = [];
  for (const { role, term, node, storeUuid } of statuses) {
    if (role !== 'leader') continue;
    const leader = `${node} (${storeUuid})`;
    const before = leaders.get(term);
    if (before !== undefined && before !== leader) {
      anomalies.push({ kind: 'two-leaders', what: `term ${term}: ${before} and ${leader}` });
    }
    leaders.set(term, leader);
  }
  return anomalies;
}

/** A node whose directory was taken away must not serve under its name with another one. */
function changedStores(statuses: readonly StatusLine[], { plan }: Evidence): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const first = new Map<string, string>();
  for (const { node, storeUuid, serving, appliedIndex } of statuses) {
    if (!plan.nodes.includes(node)) continue;
    const own = first.get(node) ?? storeUuid;
    first.set(node, own);
    if (storeUuid === own || (!serving && appliedIndex === 0)) continue;
    const what = `${node} took part with the store ${storeUuid}, its own is ${own}`;
    anomalies.push({ kind: 'store-changed', what });
  }
  return anomalies;
}

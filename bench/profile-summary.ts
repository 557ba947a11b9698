/** `node dist/bench/profile-summary.js FILE.cpuprofile`: self time by place and by function. */
import { readFileSync } from 'node:fs';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const LINES_MAX = 30;

function placeOf(functionName: string, url: string): string {
  if (functionName.startsWith('(')) return functionName;
  const library = /\/node_modules\/(.*)\//.exec(url)?.[1]?.split('/').slice(0, 2).join('/');
  if (library !== undefined) return library;
  const ours = /\/src\/([^/]+(\/[^/]+)?)/.exec(url)?.[1];
  if (ours !== undefined) return `src/${ours.replace(/\.js$/, '')}`;
  return url === '' ? '(native)' : url.split('/').slice(0, 2).join('/');
}

const path = process.argv[2];
if (path === undefined) throw new Error('argv: a .cpuprofile file');
const profile = JSON.parse(readFileSync(path, 'utf8')) as Profile;
const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
const byPlace = new Map<string, number>();
const byFunction = new Map<string, number>();
let total = 0;
for (const [i, id] of profile.samples.entries()) {
  const frame = frames.get(id)!; // samples name nodes
  const micros = profile.timeDeltas[i]!; // one per sample
  const place = placeOf(frame.functionName, frame.url);
  const name = `${frame.functionName || '(anonymous)'} ${place}`;
  byPlace.set(place, (byPlace.get(place) ?? 0) + micros);
  byFunction.set(name, (byFunction.get(name) ?? 0) + micros);
  total += micros;
}
for (const sums of [byPlace, byFunction]) {
  const sorted = [...sums].sort((a, b) => b[1] - a[1]).slice(0, LINES_MAX);
  for (const [name, micros] of sorted) {
    console.log(`${((micros / total) * 100).toFixed(1).padStart(5)} %  ${name}`);
  }
  console.log('');
}

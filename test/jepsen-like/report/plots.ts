/** Drawings on one common time axis, as inline SVG: faults, nodes, operations, throughput, latency. */
import type { Evidence, FaultLine } from '../history/evidence.ts';
import { isVerb, type Outcome } from '../history/operation.ts';
import { escaped } from './html.ts';

const WIDTH = 1_120;
const LEFT = 164;
const RIGHT = 12;
const LANE = 17;
const PLOT_HEIGHT = 120;
const BUCKET_MS = 500;

export const COLORS = {
  ok: '#4c9f70',
  fail: '#e0a23c',
  info: '#c8443b',
  leader: '#2456b3',
  follower: '#b9c6da',
  candidate: '#8f6fc7',
  down: '#f0c9c5',
  fault: '#c8443b',
  line: '#2456b3',
  slow: '#c9742c',
} as const;

export interface Axis {
  readonly endMs: number;
  readonly x: (ms: number) => number;
}

export function axisOf({ operations, summary }: Evidence): Axis {
  const endMs = Math.max(
    summary.seconds * 1_000,
    operations.reduce((last, each) => Math.max(last, each.endMs), 1_000),
  );
  const x = (ms: number): number =>
    Math.round((LEFT + (Math.max(0, ms) / endMs) * (WIDTH - LEFT - RIGHT)) * 10) / 10;
  return { endMs, x };
}

/** Faults that took place, one lane for each kind. */
export function drawFaults({ faults }: Evidence, axis: Axis): string {
  const real = faults.filter(({ skipped }) => skipped === null);
  const kinds = [...new Set(real.map(({ kind }) => kind))];
  if (kinds.length === 0) return '';
  const lanes = kinds.map((kind, lane) => {
    const bars = real.filter((fault) => fault.kind === kind).map((fault) => bar(fault, lane, axis));
    return label(kind, lane) + bars.join('');
  });
  return svg(kinds.length * LANE, lanes.join('\n'), axis);
}

function bar({ beginMs, endMs, targets, note }: FaultLine, lane: number, axis: Axis): string {
  const width = Math.max(2, axis.x(endMs) - axis.x(beginMs));
  const names = targets.join(' ');
  const title = `${names}, ${Math.round(beginMs)} to ${Math.round(endMs)} ms ${note}`;
  const text =
    width > 8 * names.length
      ? `<text x="${axis.x(beginMs) + 4}" y="${lane * LANE + 12}" style="fill:#fff">${escaped(names)}</text>`
      : '';
  return `<g><title>${escaped(title)}</title>${rect(axis.x(beginMs), lane * LANE + 2, width, LANE - 4, COLORS.fault, 0.85)}${text}</g>`;
}

/** Who led, who followed, who was not there. */
export function drawNodes(evidence: Evidence, axis: Axis): string {
  const came = new Set(evidence.nodes.map(({ node }) => node));
  const spares = evidence.plan.spares.filter((node) => came.has(node));
  const lanes = [...evidence.plan.nodes, ...spares].map((node, lane) => {
    const seen = evidence.statuses.filter((status) => status.node === node);
    const marks = seen.map(({ atMs, role, serving }, i) => {
      const untilMs = Math.min(seen[i + 1]?.atMs ?? atMs + 400, atMs + 900);
      const color =
        role === 'leader'
          ? serving
            ? COLORS.leader
            : COLORS.candidate
          : role === 'follower'
            ? COLORS.follower
            : COLORS.candidate;
      const width = axis.x(untilMs) - axis.x(atMs) + 0.3;
      return rect(axis.x(atMs), lane * LANE + 2, width, LANE - 4, color);
    });
    const ground = rect(
      axis.x(0),
      lane * LANE + 2,
      axis.x(axis.endMs) - LEFT,
      LANE - 4,
      COLORS.down,
    );
    return label(node, lane) + ground + marks.join('');
  });
  return svg(lanes.length * LANE, lanes.join('\n'), axis);
}

/** What each client did: one lane for each, the worst outcome of each moment on top. */
export function drawOperations({ operations, faults }: Evidence, axis: Axis): string {
  const clients = new Map<string, (typeof operations)[number][]>();
  for (const operation of operations.filter(({ endMs }) => endMs >= 0)) {
    // Names end in a number of the life of the client, or of its process.
    const name = operation.client.replace(/[.\d]*$/, '').replace(/-final-.*/, '-final');
    const of = clients.get(name) ?? [];
    of.push(operation);
    clients.set(name, of);
  }
  const order: readonly Outcome[] = ['ok', 'fail', 'info'];
  const lanes = [...clients].map(([name, all], lane) => {
    const marks = order.flatMap((outcome) => {
      const merged = mergedSpans(
        all
          .filter((each) => each.outcome === outcome)
          .map(({ startMs, endMs }) => [axis.x(startMs), axis.x(endMs)]),
      );
      return merged.map(([from, to]) =>
        rect(from, lane * LANE + 3, Math.max(0.8, to - from), LANE - 6, COLORS[outcome]),
      );
    });
    return label(name, lane) + marks.join('');
  });
  const height = lanes.length * LANE;
  return svg(height, shade(faults, height, axis) + lanes.join('\n'), axis);
}

/** Neighbours closer than half a pixel are one mark: a page of thousands of operations stays small. */
function mergedSpans(spans: readonly (readonly [number, number])[]): [number, number][] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from - last[1] < 0.5) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function drawThroughput({ operations, faults }: Evidence, axis: Axis): string {
  const buckets = new Array<number>(Math.ceil(axis.endMs / BUCKET_MS)).fill(0);
  for (const { action, outcome, endMs } of operations.filter(isVerb('send'))) {
    const at = Math.min(buckets.length - 1, Math.floor(endMs / BUCKET_MS));
    if (outcome === 'ok') buckets[at]! += action.messages.length; // within the buckets
  }
  const rates = buckets.map((count) => (count * 1_000) / BUCKET_MS);
  const top = Math.max(10, ...rates);
  const y = (rate: number): number =>
    Math.round((PLOT_HEIGHT - (rate / top) * (PLOT_HEIGHT - 14)) * 10) / 10;
  const points = rates.map((rate, i) => `${axis.x((i + 0.5) * BUCKET_MS)},${y(rate)}`);
  const area = `<polygon points="${axis.x(0)},${PLOT_HEIGHT} ${points.join(' ')} ${axis.x(axis.endMs)},${PLOT_HEIGHT}" fill="${COLORS.line}" opacity="0.12"/>`;
  const line = `<polyline points="${points.join(' ')}" fill="none" stroke="${COLORS.line}" stroke-width="1.4"/>`;
  const ticks = [0, top / 2, top].map((rate) => yTick(y(rate), `${Math.round(rate)}/s`));
  return svg(PLOT_HEIGHT, shade(faults, PLOT_HEIGHT, axis) + ticks.join('') + area + line, axis);
}

const LATENCY_TICKS_MS = [1, 10, 100, 1_000, 10_000];

/** Each operation a dot, on a logarithmic scale. */
export function drawLatency({ operations, faults }: Evidence, axis: Axis): string {
  const y = (ms: number): number => {
    const place = Math.log10(Math.max(1, ms)) / 4.2;
    return Math.round((PLOT_HEIGHT - 4 - place * (PLOT_HEIGHT - 14)) * 2) / 2;
  };
  const dots = new Map<string, string>();
  for (const { startMs, endMs, outcome } of operations.filter(isVerb('send'))) {
    const place = `${Math.round(axis.x(endMs) * 2) / 2},${y(endMs - startMs)}`;
    // One dot for a place, and the worse outcome wins.
    if (outcome !== 'ok' || !dots.has(place)) dots.set(place, COLORS[outcome]);
  }
  const marks = [...dots].map(([place, color]) => {
    const [cx, cy] = place.split(',');
    return `<circle cx="${cx}" cy="${cy}" r="1.3" fill="${color}" opacity="0.7"/>`;
  });
  const ticks = LATENCY_TICKS_MS.map((ms) =>
    yTick(y(ms), ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`),
  );
  return svg(PLOT_HEIGHT, shade(faults, PLOT_HEIGHT, axis) + ticks.join('') + marks.join(''), axis);
}

function yTick(y: number, text: string): string {
  return (
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#e6e9ee"/>` +
    `<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end">${text}</text>`
  );
}

function shade(faults: readonly FaultLine[], height: number, axis: Axis): string {
  return faults
    .filter(({ skipped }) => skipped === null)
    .map(({ beginMs, endMs }) =>
      rect(
        axis.x(beginMs),
        0,
        Math.max(1, axis.x(endMs) - axis.x(beginMs)),
        height,
        COLORS.fault,
        0.07,
      ),
    )
    .join('');
}

function rect(
  x: number,
  y: number,
  width: number,
  height: number,
  fill: string,
  opacity = 1,
): string {
  const see = opacity === 1 ? '' : ` opacity="${opacity}"`;
  return `<rect x="${x}" y="${y}" width="${Math.round(width * 10) / 10}" height="${height}" fill="${fill}"${see}/>`;
}

function label(text: string, lane: number): string {
  return `<text class="label" x="${LEFT - 8}" y="${lane * LANE + 12}" text-anchor="end">${escaped(text)}</text>`;
}

const AXIS_HEIGHT = 20;
const AXIS_STEPS_MS = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000];
const AXIS_TICKS_MAX = 14;

function svg(height: number, content: string, axis: Axis): string {
  const stepMs = AXIS_STEPS_MS.find((step) => axis.endMs / step <= AXIS_TICKS_MAX) ?? 3_600_000;
  const ticks: string[] = [];
  for (let ms = 0; ms <= axis.endMs; ms += stepMs) {
    ticks.push(
      `<line x1="${axis.x(ms)}" x2="${axis.x(ms)}" y1="0" y2="${height}" stroke="#eef0f3"/>` +
        `<text x="${axis.x(ms)}" y="${height + 14}" text-anchor="middle">${ms / 1_000} s</text>`,
    );
  }
  return `<svg viewBox="0 0 ${WIDTH} ${height + AXIS_HEIGHT}" width="${WIDTH}" role="img">${ticks.join('')}${content}</svg>`;
}

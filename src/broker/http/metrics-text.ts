/**
 * Prometheus text exposition format 0.0.4. Values are read when the page is asked for, so a family
 * is a list of samples and nothing is registered. Names and help are literals of ours; label values
 * may be anything and are escaped.
 */

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export type Bucket = readonly [upperBound: number, countAtOrBelow: number];

export interface HistogramReading {
  /** Cumulative, ascending by upper bound; infinity is added. */
  readonly buckets: readonly Bucket[];
  readonly count: number;
  readonly sum: number;
}

export class MetricsText {
  readonly #lines: string[] = [];

  counter(name: string, help: string, value: number | readonly Sample[]): void {
    this.#family(name, 'counter', help, value);
  }

  gauge(name: string, help: string, value: number | readonly Sample[]): void {
    this.#family(name, 'gauge', help, value);
  }

  histogram(name: string, help: string, { buckets, count, sum }: HistogramReading): void {
    this.#head(name, 'histogram', help);
    for (const [upperBound, countAtOrBelow] of buckets) {
      if (upperBound === Number.POSITIVE_INFINITY) continue;
      this.#line(`${name}_bucket`, { le: numberText(upperBound) }, countAtOrBelow);
    }
    this.#line(`${name}_bucket`, { le: '+Inf' }, count);
    this.#line(`${name}_sum`, {}, sum);
    this.#line(`${name}_count`, {}, count);
  }

  /** The page; ends with the line feed that the format requires. */
  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #family(
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    value: number | readonly Sample[],
  ): void {
    this.#head(name, type, help);
    const samples = typeof value === 'number' ? [{ labels: {}, value }] : value;
    for (const sample of samples) this.#line(name, sample.labels, sample.value);
  }

  #head(name: string, type: string, help: string): void {
    this.#lines.push(`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`);
  }

  #line(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    const pairs = Object.entries(labels).map(
      ([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`,
    );
    const labelText = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    this.#lines.push(`${name}${labelText} ${numberText(value)}`);
  }
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

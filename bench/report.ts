/** What a run found, as tables: every measurement beside the machine's limit, then the aims. */
import type { LoadPlan, LoadResult } from './load.ts';
import type { Probes } from './probes.ts';
import type { ProducePlan, ProduceReport, ProduceResult } from './produce.ts';

/** Aims for a group of three on one two-core machine, load generator included. */
const AIM = {
  ratioOfLimit: 0.25,
  /** One in flight: p50 below so many times (two syncs and one loopback round trip). */
  stepsOfOneInFlight: 3,
  idleMib: 450,
  startToReadyMs: 2_000,
} as const;

export interface BenchRun {
  readonly atIso: string;
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly loadAverage: { readonly atStart: readonly number[]; readonly atEnd: readonly number[] };
  readonly bodySizeBytes: number;
  readonly probes: Probes;
  readonly yardstick: readonly (LoadPlan & LoadResult)[];
  readonly yardstickAfter: LoadResult;
  readonly produce: Omit<ProduceReport, 'results'> & {
    readonly results: readonly (ProducePlan & ProduceResult)[];
  };
}

/** The better of the two measurements, so that a disturbed one does not flatter us. */
function limitOf(run: BenchRun): number {
  return Math.max(run.yardstick.at(-1)!.messagesPerSecond, run.yardstickAfter.messagesPerSecond);
}

export function tablesOf(run: BenchRun): string {
  return [measurements(run), aims(run)].join('\n\n');
}

function measurements(run: BenchRun): string {
  const limit = limitOf(run);
  const row = (name: string, result: LoadResult, extra = ''): string =>
    [
      name.padEnd(30),
      Math.round(result.messagesPerSecond).toString().padStart(8),
      (result.messagesPerSecond / limit).toFixed(3).padStart(6),
      ...[result.p50Ms, result.p99Ms, result.p999Ms, result.maxMs].map((ms) =>
        ms.toFixed(2).padStart(8),
      ),
      extra,
    ].join(' ');
  return [
    `${'1 KiB messages'.padEnd(30)}    msg/s  ratio   p50 ms   p99 ms p99.9 ms   max ms fsync/msg msg/entry CPU us/msg brokers+client`,
    ...run.yardstick.map((each) => row(`yardstick, ${each.inFlight} in flight`, each)),
    row('yardstick, 256, at the end', run.yardstickAfter),
    ...run.produce.results.map((each) =>
      row(
        `${each.path}, ${each.inFlight} x ${each.messagesPerRequest} in flight`,
        each,
        [
          each.fsyncsPerMessageOnLeader.toFixed(4).padStart(9),
          each.messagesPerEntry.toFixed(1).padStart(9),
          `${each.brokerCpuMicrosPerMessage.toFixed(0)}+${each.clientCpuMicrosPerMessage.toFixed(0)}`,
        ].join(' '),
      ),
    ),
  ].join('\n');
}

function aims(run: BenchRun): string {
  const { probes, produce } = run;
  const limit = limitOf(run);
  const fastest = produce.results.reduce((a, b) =>
    b.messagesPerSecond > a.messagesPerSecond ? b : a,
  );
  const single = produce.results.find(
    ({ inFlight, messagesPerRequest }) => inFlight === 1 && messagesPerRequest === 1,
  );
  const stepMs = 2 * probes.fdatasyncP50Ms + probes.loopbackP50Ms;
  const singleMaxMs = AIM.stepsOfOneInFlight * stepMs;
  const line = (isMet: boolean, text: string): string => `${isMet ? 'met   ' : 'missed'} ${text}`;
  const ratio = fastest.messagesPerSecond / limit;
  return [
    line(
      ratio >= AIM.ratioOfLimit,
      `produce: ${ratio.toFixed(3)} of the limit of ${Math.round(limit)}/s at ${fastest.inFlight} x ${fastest.messagesPerRequest}; aim ${AIM.ratioOfLimit}`,
    ),
    single &&
      line(
        single.p50Ms < singleMaxMs,
        `one in flight: p50 ${single.p50Ms.toFixed(2)} ms; aim below ${singleMaxMs.toFixed(2)} ms (sync ${probes.fdatasyncP50Ms.toFixed(3)}, loopback ${probes.loopbackP50Ms.toFixed(3)})`,
      ),
    line(
      produce.idleResidentMib < AIM.idleMib,
      `idle memory: ${Math.round(produce.idleResidentMib)} MiB of three brokers, ${Math.round(produce.nameServerResidentMib)} of the name server; aim ${AIM.idleMib}. After the load ${Math.round(produce.loadedResidentMib)} MiB`,
    ),
    line(
      produce.startToReadyMs < AIM.startToReadyMs,
      `start to ready: ${Math.round(produce.startToReadyMs)} ms; aim ${AIM.startToReadyMs}`,
    ),
    `load average ${run.loadAverage.atStart.map((x) => x.toFixed(2)).join(' ')} before, ${run.loadAverage.atEnd.map((x) => x.toFixed(2)).join(' ')} after`,
  ]
    .filter((text) => text !== undefined)
    .join('\n');
}

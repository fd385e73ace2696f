/** The figures of a run, and how they are told in Markdown. */
import type { CpuReading } from './cpu.ts';
import type { ContainerFloor } from './container-floor.ts';
import type { StartFigures } from './start-latency.ts';
import type { SubmitFigures } from './submits.ts';
import type { ListFigures } from './lists.ts';
import type { SweepFigures } from './sweeps.ts';
import type { ThroughputFigures } from './throughput.ts';
import type { WorkflowFloor } from './workflow-floor.ts';

export interface Figures {
  date: string;
  conditions: { cores: number; cpu: string; kernel: string; node: string; loadAverage: number };
  submits?: SubmitFigures[];
  starts?: StartFigures;
  containers?: ContainerFloor;
  jobs?: ThroughputFigures;
  workflows?: WorkflowFloor;
  containersAgain?: ContainerFloor;
  sweeps?: SweepFigures;
  lists?: ListFigures[];
}

/** CPU in ms by part; the containers are left out of `hostRunner`. */
export interface CpuShares {
  api: number;
  worker: number;
  postgres: number;
  temporal: number;
  hostRunner: number;
  sum: number;
}

export interface CpuComparison {
  job: CpuShares;
  /** The job without what the parts would have used in that time anyway. */
  jobWithoutIdle: CpuShares;
  idleMsPerSecond: CpuShares;
  container: number;
  workflow: number;
  /** Temporal's idle time is ours to pay, too. */
  workflowWithoutIdle: number;
  ratio: number;
  ratioWithoutIdle: number;
}

export function compareCpu({ jobs, workflows, containers, containersAgain }: Figures): CpuComparison | undefined {
  if (!jobs || !workflows || !containers) return undefined;
  const container = mean([containers, ...(containersAgain ? [containersAgain] : [])].map(({ cpuMs }) => cpuMs));
  const job = shares(jobs.cpuMs, container);
  const idleMsPerSecond = shares(jobs.idleMsPerSecond, 0);
  const jobWithoutIdle = less(job, idleMsPerSecond, jobs.seconds / jobs.jobs);
  const workflow = workflows.temporalCpuMs + workflows.workerCpuMs + workflows.clientCpuMs;
  const workflowWithoutIdle = workflow - (idleMsPerSecond.temporal * workflows.seconds) / workflows.workflows;
  return {
    job,
    jobWithoutIdle,
    idleMsPerSecond,
    container,
    workflow,
    workflowWithoutIdle,
    ratio: job.sum / workflow,
    ratioWithoutIdle: jobWithoutIdle.sum / workflowWithoutIdle,
  };
}

function shares({ api, worker, postgres, temporal, machine }: CpuReading, container: number): CpuShares {
  const hostRunner = machine - container;
  return { api, worker, postgres, temporal, hostRunner, sum: api + worker + postgres + temporal + hostRunner };
}

function less(from: CpuShares, idle: CpuShares, seconds: number): CpuShares {
  const left = (part: keyof CpuShares) => from[part] - idle[part] * seconds;
  return {
    api: left('api'),
    worker: left('worker'),
    postgres: left('postgres'),
    temporal: left('temporal'),
    hostRunner: left('hostRunner'),
    sum: left('sum'),
  };
}

export function markdown(figures: Figures): string {
  const { cores, cpu, kernel, node, loadAverage } = figures.conditions;
  const lines = [
    `${figures.date.slice(0, 16).replace('T', ' ')} UTC; ${cores} cores (${cpu}), Linux ${kernel}, Node ${node};` +
      ` load average before the run ${loadAverage.toFixed(1)}.`,
    ...submitLines(figures),
    ...startLines(figures),
    ...rateLines(figures),
    ...cpuLines(figures),
    ...sweepLines(figures),
    ...listLines(figures),
  ];
  return lines.join('\n');
}

function submitLines({ submits }: Figures): string[] {
  if (!submits) return [];
  return table(
    ['POST /jobs', 'clients', 'per second', 'p50 ms', 'p99 ms', 'CPU ms of API', 'of PostgreSQL', 'of the clients'],
    submits.map(({ running, clients, perSecond, p50Ms, p99Ms, apiCpuMs, postgresCpuMs, clientCpuMs }) => [
      `${running} running`,
      String(clients),
      perSecond.toFixed(0),
      p50Ms.toFixed(1),
      p99Ms.toFixed(1),
      apiCpuMs.toFixed(2),
      postgresCpuMs.toFixed(2),
      clientCpuMs.toFixed(2),
    ]),
  );
}

function startLines({ starts }: Figures): string[] {
  if (!starts) return [];
  const { jobs, p50Ms, p95Ms, plain } = starts;
  return table(
    [`start of a container (${jobs} of each, in turn)`, 'p50 ms', 'p95 ms'],
    [
      ['job: POST to first moment inside', p50Ms.toFixed(0), p95Ms.toFixed(0)],
      ['plain `apptainer exec`, same words', plain.p50Ms.toFixed(0), plain.p95Ms.toFixed(0)],
    ],
  );
}

function rateLines({ containers, containersAgain, jobs, workflows }: Figures): string[] {
  if (!jobs || !workflows || !containers) return [];
  const floors = [containers, ...(containersAgain ? [containersAgain] : [])];
  const { untilStart, task, untilEnd } = jobs.slot;
  const seconds = (value: number) => `${value.toFixed(2)} s`;
  const rates = table(
    ['how many per second', 'number', 'at once', 'per second'],
    [
      ['jobs of `true`', String(jobs.jobs), String(jobs.atOnce), jobs.perSecond.toFixed(1)],
      ...floors.map((floor) => [
        'plain `apptainer exec true`',
        String(floor.containers),
        String(floor.loops),
        floor.perSecond.toFixed(1),
      ]),
      ['one-activity workflows', String(workflows.workflows), String(workflows.atOnce), workflows.perSecond.toFixed(1)],
    ],
  );
  return [
    ...rates,
    '',
    `A job was on the machine for ${seconds(untilStart)} until its task started, ${seconds(task)} in the task and` +
      ` ${seconds(untilEnd)} until it had ended (medians); the cores were ${(jobs.busy * 100).toFixed(0)} % busy.`,
  ];
}

function cpuLines(figures: Figures): string[] {
  const compared = compareCpu(figures);
  if (!compared || !figures.workflows || !figures.jobs) return [];
  const { temporalCpuMs, workerCpuMs, clientCpuMs } = figures.workflows;
  const ms = (value: number) => value.toFixed(1);
  const row = (what: string, { api, worker, postgres, temporal, hostRunner, sum }: CpuShares) => [
    what,
    ...[api, worker, postgres, temporal, hostRunner].map(ms),
    '',
    ms(sum),
  ];
  const floor = ['one-activity workflow', '', workerCpuMs, '', temporalCpuMs, '', clientCpuMs, compared.workflow];
  return [
    ...table(
      ['CPU, ms each', 'API', 'worker', 'PostgreSQL', 'Temporal', 'host runner', 'client', 'sum'],
      [
        row('job, container left out', compared.job),
        row('the same without idle', compared.jobWithoutIdle),
        floor.map((cell) => (typeof cell === 'number' ? ms(cell) : cell)),
        ['the same without idle', ...Array<string>(6).fill(''), ms(compared.workflowWithoutIdle)],
        ['plain container', ...Array<string>(6).fill(''), ms(compared.container)],
        row('idle, per second', compared.idleMsPerSecond),
      ],
    ),
    '',
    `A job costs ${compared.ratio.toFixed(2)} times the CPU of a one-activity workflow` +
      ` (${compared.ratioWithoutIdle.toFixed(2)} without idle); its history has ${figures.jobs.historyEvents} events (median).`,
  ];
}

function sweepLines({ sweeps }: Figures): string[] {
  if (!sweeps) return [];
  const { submits, runs, floor, deletion } = sweeps;
  const ms = (value: number) => value.toFixed(1);
  const slowest = runs[runs.length - 1];
  return [
    ...table(
      ['POST /workflows, one factory', 'durable after, ms'],
      submits.map(({ jobs, medianMs }) => [`${jobs} jobs`, medianMs.toFixed(0)]),
    ),
    ...table(
      ['sweep of jobs that run nothing', 'per second', 'API, CPU ms each', 'worker', 'PostgreSQL', 'Temporal', 'sum'],
      [
        ...runs.map(({ jobs, perSecond, cpuMs: { api, worker, postgres, temporal } }) => [
          `${jobs} jobs`,
          ms(perSecond),
          ...[api, worker, postgres, temporal, api + worker + postgres + temporal].map(ms),
        ]),
        [
          `floor: ${floor.children} empty children`,
          ms(floor.perSecond),
          '',
          ms(floor.workerCpuMs),
          '',
          ms(floor.temporalCpuMs),
          ms(floor.workerCpuMs + floor.temporalCpuMs),
        ],
      ],
    ),
    ...table(
      [
        'sweep of jobs that run nothing',
        'API, peak MiB',
        'worker',
        'PostgreSQL',
        'Temporal',
        'dag, events',
        'group',
        'shard',
        'job',
      ],
      runs.map(({ jobs, peakMiB: { api, worker, postgres, temporal }, longestHistory: { dag, group, shard, job } }) => [
        `${jobs} jobs`,
        ...[api, worker, postgres, temporal].map((value) => value.toFixed(0)),
        ...[dag, group, shard, job].map(String),
      ]),
    ),
    '',
    `The larger sweep runs at ${((slowest?.perSecond ?? 0) / floor.perSecond).toFixed(2)} times the rate of the floor.` +
      ` A workflow of ${deletion.jobs} jobs, ${deletion.ran} of which had run, was deleted to the last job in ${deletion.seconds.toFixed(1)} s.`,
  ];
}

function listLines({ lists }: Figures): string[] {
  if (!lists) return [];
  return table(
    ['stored jobs', '100 newest jobs, ms', 'describe a job', '100 newest workflows', 'describe a workflow'],
    lists.map(({ stored, ...times }) => [
      stored.toLocaleString('en'),
      ...[times.newestJobs, times.describeJob, times.newestWorkflows, times.describeWorkflow].map((it) =>
        it.toFixed(1),
      ),
    ]),
  );
}

function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return ['', line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)];
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The workflows of upstream's documentation, as they stand there but for the image, which we build ourselves. */

type Document = Record<string, unknown>;

const documented = (name: string, cmd: string): Document => ({
  resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
  tasks: [{ image: 'busybox.tar', runtime: 'singularity', cmd }],
  name,
});

export const multiStep: Document = {
  name: 'multi-step-workflow',
  jobs: ['job_A', 'job_B', 'job_C'].map((name) => documented(name, 'date')),
  dependencies: { job_A: ['job_B'], job_B: ['job_C'] },
};

export const scatterGather: Document = {
  name: 'scatter-gather-workflow',
  jobs: ['job_A1', 'job_A2', 'job_A3', 'job_B'].map((name) => documented(name, 'date')),
  dependencies: { job_A1: ['job_B'], job_A2: ['job_B'], job_A3: ['job_B'] },
};

export const factoryDag: Document = {
  name: 'factory-dag-workflow',
  jobs: [documented('process', 'echo $id'), documented('merge', 'echo merge')],
  factories: [
    {
      name: 'processing',
      type: 'parameterSweep',
      jobs: ['process'],
      parameters: [{ name: 'id', start: 1, end: 3, step: 1 }],
    },
  ],
  dependencies: { process: ['merge'] },
};

/** In the words of an older server. */
export const parametricSweep: Document = {
  name: 'ps-workflow',
  jobs: [documented('render', 'echo $frame')],
  factory: { type: 'parametricSweep', parameters: [{ name: 'frame', start: 1, end: 4, step: 1 }] },
};

/** The documentation has the factory only; the job writes what its instance was given. */
export const zip: Document = {
  name: 'zip-workflow',
  jobs: [
    {
      ...documented(
        'example',
        `/bin/sh -c 'mkdir run-$end_value; echo $start_value to $end_value | tee from-$start_value.txt'`,
      ),
      outputFiles: ['from-$start_value.txt'],
      outputDirs: ['run-${end_value}'],
    },
  ],
  factories: [
    {
      name: 'example',
      jobs: ['example'],
      type: 'zip',
      parameters: [
        { name: 'start_value', values: [0, 1, 2, 3] },
        { name: 'end_value', values: [8, 9, 10, 11] },
      ],
    },
  ],
};

export const repeat: Document = {
  name: 'repeat-workflow',
  jobs: [documented('example', 'echo again')],
  factories: [{ name: 'example', jobs: ['example'], type: 'repeat', number: 10 }],
};

/** `steady` succeeds, `broken` writes to both streams and fails, `after` never runs. */
export const failing: Document = {
  name: 'failing',
  jobs: [
    documented('steady', 'echo steady'),
    documented('broken', `/bin/sh -c 'echo out; echo err >&2; exit 4'`),
    documented('after', 'echo never'),
  ],
  dependencies: { broken: ['after'] },
};

export const endless: Document = {
  name: 'endless',
  jobs: [documented('sleeper', `/bin/sh -c 'echo up; while true; do sleep 0.2; done'`), documented('after', 'date')],
  dependencies: { sleeper: ['after'] },
};

/** As the tools around JETTO send them: what is in the factory beside its parameters is theirs. */
export function jettoStyle(points: number): Document {
  const names = Array.from({ length: points }, (_, point) => `point_${String(point).padStart(3, '0')}`);
  return {
    name: 'jetto-scan',
    jobs: [
      {
        ...documented('jetto', 'sleep 30'),
        policies: { maximumTimeInQueue: 10080, leaveInQueue: true, autoScalingType: null },
        outputDirs: ['rundir/$pointdir'],
      },
    ],
    factories: [
      {
        name: 'scan',
        jobs: ['jetto'],
        type: 'zip',
        notifications: [{ event: 'jobFinished', type: 'email' }],
        policies: { leaveInQueue: true },
        parameters: [
          { name: 'workdir', values: names },
          { name: 'pointdir', values: names.map((name) => `run-${name}`) },
        ],
      },
    ],
  };
}

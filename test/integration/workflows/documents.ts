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

/** Text, since its numbers are more than a double holds. */
export const numbers: string = (() => {
  const values = '[9007199254740992, 9007199254740993, 9223372036854775807, 18446744073709551615, 42]';
  const constants =
    '"A": 2.0, "B": 1e-07, "C": 1e16, "D": -0.0, "E": 340282366920938463463374607431768211455, "F": true';
  const sweep = (job: string, name: string, start: number, end: number, step: number) => ({
    name: job,
    type: 'parametricSweep',
    jobs: [job],
    parameters: [{ name, start, end, step }],
  });
  const prepared = documented('member', '/bin/mkdir run-$seed')['tasks'] as object[];
  const line = 'seed=$seed env=$PROMINENCE_PARAMETER_seed own=$OWN dir=$PWD $A $B $C $D $E $F ${five}µm';
  const said = { ...prepared[0], cmd: `/bin/sh -c 'echo ${line}'`, workdir: 'run-$seed', env: 'ENV' };
  const document = {
    name: 'numbers',
    jobs: [
      { ...documented('member', ''), tasks: [...prepared, said] },
      documented('frequency', '/bin/echo f=$f'),
      documented('time', '/bin/echo t=$t'),
      documented('zero', '/bin/echo z=$z'),
    ],
    factories: [
      {
        name: 'seeds',
        type: 'zip',
        jobs: ['member'],
        parameters: [
          { name: 'seed', values: 'VALUES' },
          { name: 'five', values: [5, 5, 5, 5, 5] },
        ],
      },
      sweep('frequency', 'f', 1420405751.766, 1420405751.77, 0.001),
      sweep('time', 't', 1700000000.25, 1700000001, 0.25),
      sweep('zero', 'z', -1e-7, 0, 1e-7),
    ],
  };
  return JSON.stringify(document).replace('"ENV"', `{"OWN": "$seed", ${constants}}`).replace('"VALUES"', values);
})();

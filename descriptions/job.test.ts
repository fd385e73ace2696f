import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JobDescription } from '../domain/description.ts';
import { parseJobDescription } from './job.ts';
import { unsupportedReason } from './unsupported.ts';

const resources = { nodes: 1, cpus: 1, memory: 1, disk: 10 };
const task = { image: 'busybox', runtime: 'singularity' };
const tasks = (count: number) => Array.from({ length: count }, () => task);
const job = (changes: Record<string, unknown> = {}) => ({ resources, tasks: [task], ...changes });

function valid(document: unknown): JobDescription {
  const parsed = parseJobDescription(document);
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  return parsed.description;
}
function messages(document: unknown): string[] {
  const parsed = parseJobDescription(document);
  return parsed.kind === 'invalid' ? parsed.issues.map(({ message }) => message) : [];
}

describe('what a valid document becomes', () => {
  test('defaults are filled in', () => {
    expect(valid({ resources: { cpus: 2, memoryPerCpu: 1.5 }, tasks: [{ image: 'busybox' }] })).toEqual({
      name: '',
      labels: {},
      resources: { nodes: 1, cpus: 2, memoryPerCpuGb: 1.5, diskGb: 10 },
      tasks: [{ image: 'busybox', runtime: 'singularity', type: 'basic', env: {} }],
      artifacts: [],
      inputs: [],
      outputFiles: [],
      outputDirs: [],
      policies: {
        maximumRetries: 0,
        maximumTaskRetries: 0,
        maximumTimeInQueueMinutes: 0,
        maximumIdleTimePerResourceMinutes: 0,
        leaveInQueue: false,
        ignoreTaskFailures: false,
        reportJobSuccessOnTaskFailure: false,
        runSerialTasksOnAllNodes: false,
        priority: 0,
      },
      notifications: [],
    });
  });

  test.each(['cpusRange', 'cpusOptions'])('%s wins over the cpus 1 that the library always sends', (key) => {
    const { resources: parsed } = valid(job({ resources: { ...resources, [key]: [2, 4] } }));
    expect(parsed).toEqual({ nodes: 1, [key]: [2, 4], memoryGb: 1, diskGb: 10 });
  });

  test('legacy words become today’s', () => {
    const parsed = valid(
      job({
        statusReason: 'x',
        statusDetail: 'y',
        deletionRequested: true,
        parameters: {},
        preemptible: true,
        labels: ['a=b', 'c=d-e'],
        artifacts: ['http://x/y.tgz'],
        tasks: [{ image: 'x/y.tgz', cmd: 'ls', args: '-l "a b"', workDir: 'w' }],
        policies: { maximumRetriesPerTask: 2, ignoreTaskTailures: true },
      }),
    );
    expect(parsed.labels).toEqual({ a: 'b', c: 'd-e' });
    expect(parsed.artifacts).toEqual([{ url: 'http://x/y.tgz', executable: false }]);
    expect(parsed.tasks).toMatchObject([{ runtime: 'udocker', cmd: 'ls -l "a b"', workdir: 'w' }]);
    expect(parsed.policies).toMatchObject({ maximumTaskRetries: 2, ignoreTaskFailures: true });
  });

  test('of inputs the base name counts, and what is the same twice is one', () => {
    const inputs = [
      { filename: 'dir/a.txt', content: 'YmI=', executable: true },
      { filename: 'a.txt', content: 'Y\nmI', executable: true },
    ];
    expect(valid(job({ inputs })).inputs).toEqual([{ filename: 'a.txt', contentBase64: 'YmI=', executable: true }]);
  });

  test('values of the environment become text', () => {
    expect(valid(job({ tasks: [{ ...task, env: { A: 1.5, B: true, C: 'x' } }] })).tasks[0]?.env).toEqual({
      A: '1.5',
      B: 'True',
      C: 'x',
    });
  });
});

describe('what is refused', () => {
  test.each([
    [
      {
        inputs: ['dir/a.txt', 'a.txt'].map((filename) => ({
          filename,
          content: filename === 'a.txt' ? 'YQ==' : 'Yg==',
        })),
      },
      'two inputs would both be the file "a.txt"; an input is called by the last part of its filename: rename one of them',
    ],
    [
      { artifacts: [{ url: 'http://x/north/data.csv' }, { url: 'http://x/south/data.csv' }] },
      'artifacts "http://x/north/data.csv" and "http://x/south/data.csv" would both be the file "data.csv" in the scratch directory: rename one of them',
    ],
    [
      { artifacts: [{ url: 'data.csv' }], inputs: [{ filename: 'data.csv', content: '' }] },
      'artifact "data.csv" and input "data.csv" would both be the file "data.csv" in the scratch directory: rename one of them',
    ],
    [
      {
        outputFiles: ['b/../x.tgz', './a/x.tgz'],
        outputDirs: ['a/x/'],
        storage: { type: 'webdav', default: true, webdav: { url: 'http://x', username: 'u', password: 'p' } },
      },
      'the output file "./a/x.tgz" and the archive of the folder "a/x/" would be one file in the storage',
    ],
  ])('names that meet: %j', (members, sentence) => {
    const parsed = parseJobDescription(job(members));
    expect(parsed.kind === 'invalid' && parsed.issues.map(({ message }) => message)).toContain(sentence);
  });

  test('rules of upstream are told before ours, in upstream’s order', () => {
    const document = {
      foo: 1,
      resources: { cpusRange: ['a', 2], disk: 0 },
      tasks: [{ image: '', runtime: 'singularity', workdir: 1, cmd: 1 }],
    };
    expect(messages(document)).toEqual([
      'invalid item "foo" in job description',
      'memory or memoryPerCpu (in GB) must be defined',
      'disk must be at least 1',
      'cmd must be a string',
      'cpusRange must contain whole numbers from 1 to 1000000',
      'each task must specify a container image',
      'workdir must be a string',
    ]);
  });

  test('problems carry their place', () => {
    const parsed = parseJobDescription(job({ tasks: [task, { ...task, cmd: 1 }], policies: { priority: 'x' } }));
    expect(parsed).toMatchObject({ issues: [{ path: 'tasks[1].cmd' }, { path: 'policies.priority' }] });
  });

  test.each([
    [{ cpus: 1e300 }, /cpus must be at most/],
    [{ memory: Infinity }, /memory must be an integer/],
    [{ memory: NaN }, /memory must be an integer/],
    [{ memory: 1e15 }, /memory must be at most/],
    [{ disk: 1e15 }, /disk must be at most/],
    [{ walltime: 1e15 }, /walltime must be at most/],
    [{ nodes: 1e15 }, /nodes must be at most/],
    [{ cpus: 10_000, memory: undefined, memoryPerCpu: 10_000 }, /memoryPerCpu times/],
    [{ cpus: undefined, cpusRange: [4, 2] }, /smaller number/],
  ])('resources %j', (changes, message) => {
    const changed = Object.entries({ ...resources, ...changes }).filter(([, value]) => value !== undefined);
    expect(messages(job({ resources: Object.fromEntries(changed) }))[0]).toMatch(message);
  });

  test.each([
    [job({ inputs: [{ filename: '..', content: '' }] }), /must name a file/],
    [job({ inputs: [{ filename: 'a/', content: '' }] }), /must name a file/],
    [job({ inputs: [{ filename: 'a', content: '*' }] }), /must be base64/],
    [job({ artifacts: [{ url: 'u', mountpoint: '..:/x' }] }), /invalid source/],
    [job({ artifacts: [{ url: 'u', mountpoint: 'a:/x:ro' }] }), /invalid mountpoint/],
    [job({ tasks: [{ ...task, env: { 'A=B': 'c' } }] }), /variable name "A=B"/],
    [job({ tasks: [{ ...task, env: { A: null } }] }), /variable "A"/],
    [job({ tasks: [{ ...task, env: { 'A-B': 'lost on the way' } }] }), /variable name "A-B"/],
    [job({ tasks: [{ ...task, cmd: 'echo "open' }] }), /^cmd ends inside a quotation/],
    [job({ artifacts: [{ url: 'file:///etc/http.conf' }] }), /http or https URL/],
    [job({ tasks: [{ ...task, args: 'x' }] }), /invalid item "args"/],
    [job({ labels: { a: 1 } }), /label "a" must be a string/],
    [job({ outputFiles: [''] }), /empty name/],
    [job({ name: 'a', tasks: [{ ...task, cmd: 'a\0b' }] }), /tasks\[0\].cmd must not contain NUL/],
    [JSON.parse('{"__proto__": {"resources": {}}, "tasks": []}'), /invalid item "__proto__"/],
    [null, /must be a JSON object/],
    [[], /must be a JSON object/],
    ['{}', /must be a JSON object/],
  ])('%j', (document, message) => {
    expect(messages(document)[0]).toMatch(message);
  });

  test('depth has an end, and so has the list of problems', () => {
    let deep: unknown = {};
    for (let i = 0; i < 100_000; i += 1) deep = { deep };
    expect(messages(job({ storage: deep })).some((message) => /levels deep/.test(message))).toBe(true);
    expect(messages(job({ tasks: Array.from({ length: 500 }, () => null) }))).toHaveLength(100);
  });
});

const anyLabel = fc.tuple(fc.stringMatching(/^[a-zA-Z0-9]{1,20}$/), fc.stringMatching(/^[\w\-./]{1,20}$/));
const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
const count = (max: number) => fc.integer({ min: 1, max });
/** Documents in today's words, with every field of what the description keeps. */
const anyJob = fc.record(
  {
    name: fc.stringMatching(/^[a-zA-Z0-9\-_ /.]{0,30}$/),
    labels: fc.array(anyLabel, { maxLength: 3 }).map((pairs) => Object.fromEntries(pairs) as Record<string, string>),
    resources: fc.record(
      {
        nodes: count(8),
        cpus: count(64),
        memory: fc.double({ min: 1, max: 999, noNaN: true }),
        disk: count(999),
        walltime: count(9999),
      },
      { requiredKeys: ['cpus', 'memory'] },
    ),
    tasks: fc.array(
      fc.record(
        {
          image: fc.oneof(
            text.map((name) => `${name}.sif`),
            fc.constantFrom('a/b:1', 'docker://b', 'http://h/a b'),
          ),
          runtime: fc.constantFrom('singularity', 'udocker'),
          type: fc.constantFrom('basic'),
          cmd: text.map((cmd) => cmd.replace(/['"\\]/g, '')),
          workdir: text,
          env: fc.dictionary(fc.stringMatching(/^[A-Za-z_]{1,9}$/), text),
        },
        { requiredKeys: ['image', 'runtime'] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
    outputFiles: fc.uniqueArray(fc.stringMatching(/^[a-z/.]{1,12}$/)),
    policies: fc.record(
      {
        maximumRetries: count(6),
        priority: fc.nat(),
        leaveInQueue: fc.boolean(),
        maximumTimeInQueue: fc.integer({ min: -2, max: 44640 }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['resources', 'tasks'] },
);

describe('for all documents', () => {
  test('nothing makes it throw, and every refusal has a sentence', () => {
    const keys = fc.constantFrom('name', 'labels', 'resources', 'tasks', 'artifacts', 'inputs', 'policies', 'storage');
    const inner = fc.dictionary(
      fc.constantFrom(
        'cpus',
        'cpusRange',
        'memory',
        'image',
        'env',
        'url',
        'mountpoint',
        'placement',
        'type',
        '__proto__',
      ),
      fc.jsonValue(),
    );
    const any = fc.oneof(fc.jsonValue(), inner, fc.array(inner), fc.constant(NaN), fc.constant(undefined));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(keys, any)), (document) => {
        const parsed = parseJobDescription(document);
        if (parsed.kind === 'valid') return;
        expect(parsed.issues.length).toBeGreaterThan(0);
        for (const { message } of parsed.issues) expect(message).toMatch(/\w/);
      }),
      { numRuns: 1000 },
    );
  });

  test('a valid document says the same after a round trip', () => {
    fc.assert(
      fc.property(anyJob, (document) => {
        const parsed = valid(document);
        expect(valid(asDocument(parsed))).toEqual(parsed);
        expect(valid(JSON.parse(JSON.stringify(document)))).toEqual(parsed);
      }),
      { numRuns: 500 },
    );
  });
});

/** The description in the wire's words again. */
function asDocument(description: JobDescription): unknown {
  const { resources: sizes, policies, ...same } = description;
  const { maximumTimeInQueueMinutes, maximumRetries, leaveInQueue, priority } = policies;
  return {
    ...same,
    resources: {
      nodes: sizes.nodes,
      cpus: sizes.cpus,
      memory: sizes.memoryGb,
      disk: sizes.diskGb,
      ...(sizes.walltimeMinutes === undefined ? {} : { walltime: sizes.walltimeMinutes }),
    },
    policies: {
      leaveInQueue,
      priority,
      maximumTimeInQueue: maximumTimeInQueueMinutes,
      ...(maximumRetries === 0 ? {} : { maximumRetries }),
    },
  };
}

const webdav = {
  type: 'webdav',
  mountpoint: '/data',
  webdav: { url: 'https://x.org/', username: 'u', password: 'p' },
};

describe('what can not be honoured yet', () => {
  const bare = {
    sendsEmail: false,
    signsWebhooks: false,
    callsPrivateAddresses: false,
    runsBenchmarks: false,
    mostJobs: 10,
    imageDirectories: ['/cvmfs'],
    email: undefined,
  };

  test.each([
    [{ tasks: [{ ...task, runtime: 'benchmark' }] }, /which runs nothing, is not enabled/],
    [{ tasks: [{ ...task, stdout: '../x' }] }, /stdout/],
    [{ tasks: [{ ...task, stdout: '/etc/x' }] }, /stdout/],
    [{ resources: { ...resources, nodes: 2 } }, /more than one node/],
    [{ resources: { ...resources, cpus: 2, totalCpusRange: [4, 8] } }, /totalCpusRange/],
    [{ notifications: [{ type: 'webhook', url: 'https://x.org' }] }, /no key to sign webhooks with/],
    [{ tasks: [{ ...task, image: 'shub://a/b' }] }, /Singularity Hub/],
    [{ outputFiles: ['a', '../b'] }, /outputFiles and outputDirs must be in the scratch directory/],
    [{ outputDirs: ['/var'] }, /outputFiles and outputDirs must be in the scratch directory/],
    [{ tasks: [{ ...task, image: '/cvmfs2/x.sif' }] }, /absolute path/],
    [{ tasks: tasks(62), policies: { maximumRetries: 6, maximumTaskRetries: 6 } }, /at most 3000 times/],
    [{ storage: webdav, tasks: [{ ...task, image: '/database/x.sif' }] }, /absolute path/],
  ])('%j is refused with a sentence', (changes, sentence) => {
    expect(unsupportedReason(valid(job(changes)), bare)).toMatch(sentence);
  });

  test.each([
    {},
    { policies: { autoScalingType: null, maximumRetries: 2, placement: { requirements: { sites: ['a'] } } } },
    { policies: { autoScalingType: 'none' } },
    // Only sites that make machines could scale: a job for which nothing is made just waits its turn.
    { policies: { autoScalingType: 'dedicated', preemptible: true } },
    { policies: { autoScalingType: 'shared', maximumIdleTimePerResource: 5 } },
    { tasks: [{ ...task, procsPerNode: 1, workdir: 'w', env: { a: 'b' } }] },
    { notifications: [] },
    { outputFiles: ['*.txt', '/home/user/x', '$p/x'], outputDirs: ['.', 'a/', '/home/user/b'] },
    { artifacts: [{ url: 'x', mountpoint: 'in:/data' }], outputFiles: ['/data/out'] },
    { tasks: [task, { ...task, type: 'sidecar' }] },
    { tasks: [{ ...task, type: 'openmpi', cmd: 'a' }] },
    { tasks: [{ ...task, runtime: 'udocker' }] },
    { tasks: [{ ...task, image: '/cvmfs/x.sif' }] },
    { policies: { runSerialTasksOnAllNodes: true } },
    { storage: webdav, tasks: [{ ...task, image: '/data/images/x.sif' }] },
    { storage: { ...webdav, default: true }, tasks: [{ ...task, image: '/images/x.sif' }] },
    { tasks: [{ ...task, app: 'x', stdout: 'logs/out.txt' }] },
    { tasks: tasks(61), policies: { maximumRetries: 6, maximumTaskRetries: 6 } },
  ])('%j is done', (changes) => {
    expect(unsupportedReason(valid(job(changes)), bare)).toBeUndefined();
  });
});

describe('the checksum of an image', () => {
  const withSum = (imageSha256: unknown) => job({ tasks: [{ ...task, image: 'own.sif', imageSha256 }] });
  test('is 64 hexadecimal digits, of any case', () => {
    expect(valid(withSum('A0'.repeat(32))).tasks[0]).toMatchObject({ imageSha256: 'a0'.repeat(32) });
    for (const sum of [
      '',
      '../../x',
      'a'.repeat(63),
      `${'a'.repeat(64)}\n`,
      'g'.repeat(64),
      `sha256:${'a'.repeat(64)}`,
    ]) {
      expect(messages(withSum(sum)), sum).toEqual([
        expect.stringContaining('imageSha256 must be a SHA-256, which is 64 hexadecimal digits'),
      ]);
    }
    expect(messages(withSum(7))).toEqual([expect.stringContaining('imageSha256 must be a string')]);
  });
});

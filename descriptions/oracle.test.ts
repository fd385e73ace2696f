/**
 * Rules of docs/wire.md 3 and 4, one document each: what upstream's newest server (FL) said to it when it was run, and
 * what we say where that differs on purpose (`ours`, with the reason).
 */
import { describe, expect, test } from 'vitest';
import { parseJobDescription } from './job.ts';
import { parseWorkflowDescription } from './workflow.ts';

const ok = 'OK';
/** Upstream crashed here. */
const crash = '500';

type Changes = Record<string, unknown>;
interface Deviation {
  ours: string;
  because: string;
}
type Row = [probe: string, document: unknown, upstream: string, deviation?: Deviation];

const resources = { nodes: 1, cpus: 1, memory: 1, disk: 10 };
const task = { image: 'busybox', runtime: 'singularity' };
const job = (changes: Changes = {}): Changes => ({ resources, tasks: [task], ...changes });
const without = (object: Changes, key: string): Changes =>
  Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
const withResources = (changes: Changes) => job({ resources: { ...resources, ...changes } });
const withTask = (changes: Changes) => job({ tasks: [{ ...task, ...changes }] });
const withArtifact = (artifact: unknown) => job({ artifacts: [artifact] });
const withPolicies = (policies: Changes) => job({ policies });
const mpi = (cmd?: string) => withTask({ type: 'openmpi', ...(cmd === undefined ? {} : { cmd }) });

const legacy = (because: string): Deviation => ({
  ours: ok,
  because: `docs/wire.md 10, older and documented forms: ${because}`,
});
const fraction: Deviation = { ours: ok, because: 'docs/wire.md 10: fractions in memory are used' };
const named = (ours: string): Deviation => ({ ours, because: 'docs/wire.md 10: a sentence where upstream crashed' });

const jobRows: Row[] = [
  ['minimal', job(), ok],
  ['empty obj', {}, 'a job must contain resources'],
  ['no name', job(), ok],
  ['name empty', job({ name: '' }), ok],
  ['name with slash', job({ name: 'a/b' }), ok],
  ['name bad char', job({ name: 'a@b' }), 'invalid job name'],
  ['name 513', job({ name: 'a'.repeat(513) }), 'job name must be less than 512 characters in length'],
  ['name 512', job({ name: 'a'.repeat(512) }), ok],
  ['name null', job({ name: null }), crash, named('job name must be a string')],
  ['name trailing newline', job({ name: 'a\n' }), ok],
  ['cpus 0', withResources({ cpus: 0 }), 'number of cpus must be at least 1'],
  ['cpus 1.5', withResources({ cpus: 1.5 }), 'number of cpus must be an integer'],
  ['cpus "2"', withResources({ cpus: '2' }), crash, named('number of cpus must be an integer')],
  ['cpus true', withResources({ cpus: true }), 'number of cpus must be an integer'],
  ['cpus -1', withResources({ cpus: -1 }), 'number of cpus must be an integer'],
  ['memory 8.0', withResources({ memory: 8.0 }), 'memory must be an integer', fraction],
  ['memory 1.5', withResources({ memory: 1.5 }), 'memory must be an integer', fraction],
  ['no disk', job({ resources: without(resources, 'disk') }), ok],
  ['no nodes', job({ resources: without(resources, 'nodes') }), ok],
  ['no memory', job({ resources: without(resources, 'memory') }), 'memory or memoryPerCpu (in GB) must be defined'],
  ['no cpus', job({ resources: without(resources, 'cpus') }), 'one of cpus, cpusRange, cpusOptions must be defined'],
  ['walltime 0', withResources({ walltime: 0 }), 'walltime must be at least 1 minute'],
  ['walltime 10081', withResources({ walltime: 10081 }), ok],
  ['unknown resource', withResources({ gpus: 1 }), 'invalid item "gpus" in resources'],
  ['cpusRange + cpus', withResources({ cpus: 2, cpusRange: [1, 2] }), 'cpus and cpusRange cannot both be defined'],
  [
    'cpusRange + cpus (1)',
    withResources({ cpusRange: [1, 2] }),
    'cpus and cpusRange cannot both be defined',
    legacy('cpus 1 beside a range, the range wins'),
  ],
  ['cpusRange only', job({ resources: { ...without(resources, 'cpus'), cpusRange: [1, 2] } }), ok],
  [
    'cpusRange bad len',
    job({ resources: { ...without(resources, 'cpus'), cpusRange: [1] } }),
    'cpusRange must be a list containing the min and max allowed number of CPUs',
  ],
  ['totalCpusRange', withResources({ totalCpusRange: [1, 4] }), ok],
  ['totalCpusRange str', withResources({ totalCpusRange: '1,4' }), 'totalCpusRange must be a list'],
  ['memory+memoryPerCpu', withResources({ memoryPerCpu: 1 }), 'memory and memoryPerCpu cannot both be defined'],
  ['tasks []', job({ tasks: [] }), 'a job cannot contain only sidecar tasks'],
  ['tasks obj', job({ tasks: {} }), 'an array of tasks must be provided'],
  ['no tasks', { resources }, 'a job must contain tasks'],
  ['no resources', { tasks: [task] }, 'a job must contain resources'],
  ['no image', job({ tasks: [{ runtime: 'singularity' }] }), 'each task must specify a container image'],
  [
    'no runtime',
    job({ tasks: [{ image: 'busybox' }] }),
    'a container runtime must be defined',
    legacy('missing runtime, filled in as the client does'),
  ],
  ['runtime docker', withTask({ runtime: 'docker' }), 'the container runtime must be either udocker or singularity'],
  ['unknown task key args', withTask({ args: ['-l'] }), 'invalid item "args" in task'],
  [
    'unknown task key args (string)',
    withTask({ cmd: 'ls', args: '-l' }),
    'invalid item "args" in task',
    legacy('args appended to cmd'),
  ],
  ['env list', withTask({ env: [] }), 'environment variables must be defined as a dict'],
  ['env int val', withTask({ env: { A: 1 } }), ok],
  ['cmd list', withTask({ cmd: ['ls'] }), 'cmd must be a string'],
  ['type foo', withTask({ type: 'foo' }), 'invalid task type'],
  ['sidecar only', withTask({ type: 'sidecar' }), 'a job cannot contain only sidecar tasks'],
  ['openmpi no cmd', mpi(), 'A command to execute must be specified for MPI jobs'],
  ['openmpi empty cmd', mpi(''), ok],
  [
    'openmpi mpirun',
    mpi('mpirun -n 2 a'),
    'it is not necessary to include mpirun in the cmd if an MPI flavour has been specified',
  ],
  [
    'openmpi mpirun2',
    withTask({ type: 'intelmpi', cmd: 'mpirun a' }),
    'it is not necessary to include mpirun in the cmd if an MPI flavour has been specified',
  ],
  [
    'procsPerNode 2>1',
    withTask({ procsPerNode: 2 }),
    'number of processes per node must be less than number of CPU cores per node',
  ],
  ['procsPerNode 0', withTask({ procsPerNode: 0 }), 'number of processes per node must be at least 1'],
  [
    'cred partial',
    withTask({ imagePullCredential: { username: 'u' } }),
    'a username and token must be specified in the image pull credential',
  ],
  ['app udocker', withTask({ runtime: 'udocker', app: 'x' }), 'app is only supported by Singularity'],
  ['stdout', withTask({ stdout: 'out.txt' }), ok],
  ['art str', withArtifact('http://x/y'), 'invalid item h in artifact', legacy('artifacts as strings')],
  ['art nourl', withArtifact({}), 'an artifact must contain a URL'],
  ['art mp bad', withArtifact({ url: 'u', mountpoint: 'x' }), 'invalid mountpoint for artifact'],
  [
    'art mp rel',
    withArtifact({ url: 'u', mountpoint: 'x:y' }),
    'the mountpoint for an artifact must be an absolute path',
  ],
  ['art mp src slash', withArtifact({ url: 'u', mountpoint: 'x/y:/z' }), 'invalid source in mountpoint for artifact'],
  ['art unknown', withArtifact({ url: 'u', foo: 1 }), 'invalid item foo in artifact'],
  ['outputFiles str', job({ outputFiles: 'a' }), 'an array of outputFiles must be provided'],
  ['outputFiles [1]', job({ outputFiles: [1] }), 'outputFiles must be a list of strings'],
  ['outputDirs [1]', job({ outputDirs: [1] }), 'outputDirs must be a list of strings'],
  ['inputs nofn', job({ inputs: [{ content: 'YQ==' }] }), 'each input must contain a filename'],
  ['inputs nocontent', job({ inputs: [{ filename: 'a' }] }), 'each input must contain base64 encoded content'],
  ['inputs unknown', job({ inputs: [{ filename: 'a', content: 'YQ==', x: 1 }] }), 'invalid item x in input'],
  ['inputs str', job({ inputs: ['file://a'] }), 'invalid item f in input'],
  ['labels list', job({ labels: ['a'] }), 'labels must be defined as a dict'],
  [
    'labels list of name=value',
    job({ labels: ['a=b'] }),
    'labels must be defined as a dict',
    legacy('labels as a list of name=value'),
  ],
  ['label bad key', job({ labels: { a_b: 'c' } }), 'label name "a_b" is invalid'],
  ['label bad val', job({ labels: { a: 'c d' } }), 'label value "c d" is invalid'],
  ['label empty val', job({ labels: { a: '' } }), 'label value "" is invalid'],
  ['label 513', job({ labels: { a: 'b'.repeat(513) } }), 'label values must be less than 512 characters in length'],
  ['label path', job({ labels: { a: 'b/c.d-e_f' } }), ok],
  [
    'storage b2drop',
    job({ storage: { type: 'b2drop', mountpoint: '/m', b2drop: {} } }),
    'storage type must be onedata',
    {
      ours: 'B2DROP app username must be defined',
      because: 'docs/wire.md 10: the types of the earlier servers are back',
    },
  ],
  [
    'storage webdav',
    job({ storage: { type: 'webdav', mountpoint: '/m', webdav: {} } }),
    'storage type must be onedata',
    { ours: 'WebDAV URL must be defined', because: 'docs/wire.md 10: the types of the earlier servers are back' },
  ],
  [
    'storage onedata',
    job({ storage: { type: 'onedata', mountpoint: '/m', onedata: { provider: 'p', token: 't' } } }),
    ok,
  ],
  ['storage notype', job({ storage: { mountpoint: '/m' } }), 'storage type must be defined'],
  [
    'storage rel',
    job({ storage: { type: 'onedata', mountpoint: 'm', onedata: { provider: 'p', token: 't' } } }),
    'the mountpoint must be an absolute path',
  ],
  [
    'pol unknown',
    withPolicies({ ignoreTaskTailures: true }),
    'invalid item "ignoreTaskTailures" in policies',
    legacy('ignoreTaskTailures'),
  ],
  ['pol unknown (another)', withPolicies({ foo: true }), 'invalid item "foo" in policies'],
  ['pol retries 0', withPolicies({ maximumRetries: 0 }), 'the number of retries must be greater than 0'],
  ['pol retries 6', withPolicies({ maximumRetries: 6 }), ok],
  ['pol retries 7', withPolicies({ maximumRetries: 7 }), 'the number of retries must be less than 6'],
  ['pol taskretries 7', withPolicies({ maximumTaskRetries: 7 }), 'the number of retries must be less than 6'],
  [
    'pol mtiq -1',
    withPolicies({ maximumTimeInQueue: -1 }),
    'the maximum time in queue must be an integer',
    { ours: ok, because: 'docs/wire.md 5.3: documented, waits for ever' },
  ],
  ['pol mtiq 0', withPolicies({ maximumTimeInQueue: 0 }), ok],
  ['pol mtiq 44641', withPolicies({ maximumTimeInQueue: 44641 }), 'the maximum time in queue must be less than 44640'],
  ['pol liq str', withPolicies({ leaveInQueue: 'yes' }), 'leaveInQueue must be either true or false'],
  ['pol prio -1', withPolicies({ priority: -1 }), 'the priority must be an integer'],
  ['pol ast null', withPolicies({ autoScalingType: null }), ok],
  [
    'pol ast x',
    withPolicies({ autoScalingType: 'x' }),
    'autoScalingType, if defined, must be none, dedicated or shared',
  ],
  ['pol placement bad', withPolicies({ placement: { foo: {} } }), 'invalid item "foo" in placement policy'],
  [
    'pol placement sites str',
    withPolicies({ placement: { requirements: { sites: 'a' } } }),
    'sites in requirements must be a list',
  ],
  ['notif bad ev', job({ notifications: [{ event: 'x', type: 'email' }] }), 'invalid notification event "x"'],
  [
    'notif bad type',
    job({ notifications: [{ event: 'jobFinished', type: 'sms' }] }),
    'invalid notification type "sms"',
  ],
  ['notif dict', job({ notifications: {} }), 'notifications must be in the form of a list'],
  ['unknown key', job({ constraints: {} }), 'invalid item "constraints" in job description'],
  ['preemptible', withPolicies({ preemptible: true }), ok],
];

const named1 = (name: string) => job({ name });
const workflow = (changes: Changes = {}): Changes => ({ name: 'w', jobs: [named1('a'), named1('b')], ...changes });
const withFactory = (factory: Changes) => workflow({ factories: [factory] });
const sweep = (parameter: Changes) =>
  withFactory({ name: 'f', type: 'parameterSweep', jobs: ['a'], parameters: [parameter] });
const zip = (...parameters: Changes[]) => withFactory({ name: 'f', type: 'zip', jobs: ['a'], parameters });
const range = { name: 'x', start: 0, end: 1 };

const workflowRows: Row[] = [
  ['wf minimal', workflow(), ok],
  ['wf no jobs', { name: 'w' }, 'a workflow must contain jobs'],
  ['wf jobs []', workflow({ jobs: [] }), ok],
  ['wf job noname', workflow({ jobs: [job()] }), 'all jobs must have names'],
  ['wf job emptyname', workflow({ jobs: [named1('')] }), 'names of jobs in workflows cannot be empty'],
  [
    'wf dup',
    workflow({ jobs: [named1('a'), named1('a')] }),
    'all jobs must have unique names: "a" is used more than once',
  ],
  ['wf unknown', workflow({ storage: {} }), 'invalid item "storage" in workflow description'],
  [
    'wf factory (old)',
    workflow({ factory: { type: 'parametricSweep', parameters: [{ ...range, step: 1 }] } }),
    'invalid item "factory" in workflow description',
    legacy('the single factory'),
  ],
  ['wf dep list', workflow({ dependencies: [] }), 'dependencies must be a dict'],
  ['wf dep child str', workflow({ dependencies: { a: 'b' } }), 'children of parent job must be in the form of a list'],
  ['wf dep undefined child', workflow({ dependencies: { a: ['z'] } }), 'child job "z" is not actually defined'],
  [
    'wf dep undefined parent',
    workflow({ dependencies: { z: ['a'] } }),
    ok,
    { ours: 'parent job "z" is not actually defined', because: 'docs/wire.md 4.1: parents must be defined' },
  ],
  [
    'wf dep cycle',
    workflow({ dependencies: { a: ['b'], b: ['a'] } }),
    ok,
    { ours: 'dependencies must not contain a cycle: a -> b -> a', because: 'docs/wire.md 4.1: no cycles' },
  ],
  ['f ok', sweep({ ...range, step: 1 }), ok],
  [
    'f type parametricSweep',
    withFactory({ name: 'f', type: 'parametricSweep', jobs: ['a'], parameters: [] }),
    'invalid factory type',
    {
      ours: 'a factory of type parameterSweep must have parameters specified',
      because: 'docs/wire.md 3.8: parametricSweep',
    },
  ],
  ['f notype', withFactory({ name: 'f', jobs: ['a'] }), 'a factory type must be specified'],
  ['f noname', withFactory({ type: 'repeat', jobs: ['a'], number: 1 }), 'a factory name must be specified'],
  ['f nojobs', withFactory({ type: 'repeat', name: 'f', number: 1 }), 'a list of jobs must be specified'],
  [
    'f undefined job',
    withFactory({ type: 'repeat', name: 'f', jobs: ['z'], number: 1 }),
    'factory f references a job z which is not defined',
  ],
  [
    'f zip uneven',
    zip({ name: 'x', values: [1] }, { name: 'y', values: [1, 2] }),
    'all parameters must lists of values the same length',
  ],
  ['f zip novalues', zip({ name: 'x' }), crash, named('a parameter must contain a list of values')],
  [
    'f zip dupname',
    zip({ name: 'x', values: [1] }, { name: 'x', values: [1] }),
    'each parameter must have a unique name',
  ],
  [
    'f repeat num',
    withFactory({ type: 'repeat', name: 'f', jobs: ['a'], num: 2 }),
    'a factory of type repeat must have number specified',
    legacy('num'),
  ],
  ['f repeat number', withFactory({ type: 'repeat', name: 'f', jobs: ['a'], number: 2 }), ok],
  [
    'f repeat 0',
    withFactory({ type: 'repeat', name: 'f', jobs: ['a'], number: 0 }),
    'number of repeats must be at least 1',
  ],
  ['f ps number not step', sweep({ ...range, number: 3 }), ok],
  [
    'f ps both',
    sweep({ ...range, number: 3, step: 1 }),
    'a parameter cannot have both a step size and number of steps',
  ],
  ['f ps neither', sweep(range), 'a parameter must contain a step size or number of steps'],
  [
    'f ps step 0',
    sweep({ ...range, step: 0 }),
    ok,
    { ours: 'step of parameter "x" must not be 0', because: 'docs/wire.md 4.2: a step is not 0' },
  ],
  [
    'f extra notifications',
    withFactory({ type: 'repeat', name: 'f', jobs: ['a'], number: 2, notifications: [], policies: {} }),
    ok,
  ],
  ['wf pol maxRetries 10', workflow({ policies: { maximumRetries: 10 } }), ok],
  [
    'wf pol maxRetries 11',
    workflow({ policies: { maximumRetries: 11 } }),
    'the number of retries must be less than 10',
  ],
  ['wf pol reruns', workflow({ policies: { maximumReruns: 2 } }), ok],
  ['wf top maximumRetries', workflow({ maximumRetries: 2 }), 'invalid item "maximumRetries" in workflow description'],
  ['wf notif', workflow({ notifications: [{ event: 'workflowFinished', type: 'email' }] }), ok],
  ['wf name @', workflow({ name: 'a@b' }), 'invalid workflow name'],
];

type Parsed = { kind: 'valid' } | { kind: 'invalid'; issues: { message: string }[] };
const answerOf = (parsed: Parsed): string => (parsed.kind === 'valid' ? ok : (parsed.issues[0]?.message ?? ''));

describe('the oracle table', () => {
  test.each(jobRows)('job: %s', (_probe, document, upstream, deviation) => {
    expect(answerOf(parseJobDescription(document))).toBe(deviation?.ours ?? upstream);
  });
  test.each(workflowRows)('workflow: %s', (_probe, document, upstream, deviation) => {
    expect(answerOf(parseWorkflowDescription(document))).toBe(deviation?.ours ?? upstream);
  });
  test('a deviation is one', () => {
    for (const [probe, , upstream, deviation] of [...jobRows, ...workflowRows]) {
      expect({ probe, ours: deviation?.ours }).not.toEqual({ probe, ours: upstream });
    }
  });
});

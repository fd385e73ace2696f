/** The document and the readers of descriptions tell of the same things: neither can learn of one without the other. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { artifactItems, inputItems } from '../../descriptions/files.ts';
import { jobItems, parseJobDescription } from '../../descriptions/job.ts';
import { limits } from '../../descriptions/limits.ts';
import { policyItems } from '../../descriptions/policies.ts';
import { resourceItems } from '../../descriptions/resources.ts';
import { taskItems } from '../../descriptions/tasks.ts';
import { parseWorkflowDescription, workflowItems, workflowPolicyItems } from '../../descriptions/workflow.ts';
import { schemas } from './schemas.ts';

interface Described {
  properties: Record<string, Described>;
  items: Described;
  maxItems?: number;
  maxProperties?: number;
}

const job = schemas['JobDescription'] as unknown as Described;
const workflow = schemas['WorkflowDescription'] as unknown as Described;
const inJob = (name: string) => job.properties[name]!;

it.each([
  ['a job', job, jobItems],
  ['resources', inJob('resources'), resourceItems],
  ['a task', inJob('tasks').items, taskItems],
  ['an artifact', inJob('artifacts').items, artifactItems],
  ['an input', inJob('inputs').items, inputItems],
  ['policies', inJob('policies'), policyItems],
  ['a workflow', workflow, workflowItems],
  ['policies of a workflow', workflow.properties['policies']!, workflowPolicyItems],
])('%s has the members that are read', (_what, schema, items) => {
  expect(Object.keys(schema.properties).toSorted()).toEqual([...items].toSorted());
});

it.each([
  ['labels', inJob('labels')],
  ['labels', workflow.properties['labels']!],
  ['tasks', inJob('tasks')],
  ['variables', inJob('tasks').items.properties['env']!],
  ['artifacts', inJob('artifacts')],
  ['inputs', inJob('inputs')],
  ['outputFiles', inJob('outputFiles')],
  ['outputDirs', inJob('outputDirs')],
  ['notifications', inJob('notifications')],
  ['notifications', workflow.properties['notifications']!],
  ['jobs', workflow.properties['jobs']!],
  ['factories', workflow.properties['factories']!],
  ['parameters', workflow.properties['factories']!.items.properties['parameters']!],
] as const)('there may be as many %s as are read', (what, { maxItems, maxProperties }) => {
  expect(maxItems ?? maxProperties).toBe(limits[what].most);
});

const ajv = new Ajv2020({ strict: false });
ajv.addSchema({ $id: 'api', components: { schemas } });
const isJob = ajv.compile({ $ref: 'api#/components/schemas/JobDescription' });
const isWorkflow = ajv.compile({ $ref: 'api#/components/schemas/WorkflowDescription' });

const aJob = (changes: object = {}) => ({
  name: 'a',
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'busybox', runtime: 'singularity' }],
  ...changes,
});
const asking = (resources: object) => aJob({ resources: { cpus: 1, memory: 1, ...resources } });
const withPolicies = (policies: object) => aJob({ policies });

it.each<[what: string, of: (value: never) => object, atBound: unknown, pastIt: unknown]>([
  ['name', (name: string) => aJob({ name }), 'x'.repeat(512), 'x'.repeat(513)],
  ['memory', (memory: number) => asking({ memory }), 1, 0.5],
  ['memory', (memory: number) => asking({ memory }), 1_000_000, 1_000_000.5],
  ['memoryPerCpu', (memoryPerCpu: number) => aJob({ resources: { cpus: 1, memoryPerCpu } }), 1, 0.5],
  ['memoryPerCpu', (memoryPerCpu: number) => aJob({ resources: { cpus: 1, memoryPerCpu } }), 1_000_000, 1_000_001],
  ['cpus', (cpus: number) => asking({ cpus }), 1_000_000, 1_000_001],
  ['cpusRange', (most: number) => aJob({ resources: { cpusRange: [1, most], memory: 1 } }), 1_000_000, 1_000_001],
  ['cpusOptions', (other: number) => aJob({ resources: { cpusOptions: [other, 1], memory: 1 } }), 1_000_000, 1_000_001],
  ['totalCpusRange', (most: number) => asking({ totalCpusRange: [1, most] }), 1_000_000, 1_000_001],
  ['nodes', (nodes: number) => asking({ nodes }), 1_000_000, 1_000_001],
  ['disk', (disk: number) => asking({ disk }), 1_000_000, 1_000_001],
  ['walltime', (walltime: number) => asking({ walltime }), 5_256_000, 5_256_001],
  ['priority', (priority: number) => withPolicies({ priority }), 0, -1],
  ['priority', (priority: number) => withPolicies({ priority }), 2_147_483_647, 2_147_483_648],
  ['maximumRetries', (maximumRetries: number) => withPolicies({ maximumRetries }), 6, 7],
  ['maximumTaskRetries', (maximumTaskRetries: number) => withPolicies({ maximumTaskRetries }), 6, 7],
  ['maximumTimeInQueue', (maximumTimeInQueue: number) => withPolicies({ maximumTimeInQueue }), 44_640, 44_641],
  ['idle time', (minutes: number) => withPolicies({ maximumIdleTimePerResource: minutes }), 1, 0],
  ['idle time', (minutes: number) => withPolicies({ maximumIdleTimePerResource: minutes }), 44_640, 44_641],
])('the bound of %s is told as it is read', (_what, of, atBound, pastIt) => {
  for (const [value, isOne] of [
    [atBound, true],
    [pastIt, false],
  ]) {
    const document = of(value as never);
    expect(parseJobDescription(document).kind === 'valid', `read: ${String(value)}`).toBe(isOne);
    expect(isJob(document), `told: ${String(value)}`).toBe(isOne);
  }
});

it.each([
  ['name', { name: 'x'.repeat(512) }, { name: 'x'.repeat(513) }],
  ['maximumRetries', { policies: { maximumRetries: 10 } }, { policies: { maximumRetries: 11 } }],
  ['maximumReruns', { policies: { maximumReruns: 10 } }, { policies: { maximumReruns: 11 } }],
])('the bound of %s of a workflow is told as it is read', (_what, atBound, pastIt) => {
  for (const [changes, isOne] of [
    [atBound, true],
    [pastIt, false],
  ] as const) {
    const document = { jobs: [aJob()], ...changes };
    expect(parseWorkflowDescription(document).kind === 'valid', 'read').toBe(isOne);
    expect(isWorkflow(document), 'told').toBe(isOne);
  }
});

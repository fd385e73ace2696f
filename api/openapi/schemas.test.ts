/** The document and the readers of descriptions tell of the same things: neither can learn of one without the other. */
import { expect, it } from 'vitest';
import { artifactItems, inputItems } from '../../descriptions/files.ts';
import { jobItems } from '../../descriptions/job.ts';
import { limits } from '../../descriptions/limits.ts';
import { policyItems } from '../../descriptions/policies.ts';
import { resourceItems } from '../../descriptions/resources.ts';
import { taskItems } from '../../descriptions/tasks.ts';
import { workflowItems, workflowPolicyItems } from '../../descriptions/workflow.ts';
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

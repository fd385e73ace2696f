/**
 * The documents that requests and answers are made of. Answers may have further members; of descriptions the forms of
 * today are told, while older ones are understood as well.
 */
import type { NotificationEvent } from '../../domain/description.ts';
import { longestParameterName } from '../../descriptions/factories.ts';
import { longestOutputBytes } from '../../descriptions/files.ts';
import { limits, mostJobsInAll, type Limit } from '../../descriptions/limits.ts';
import { highestPriority, longestMinutes, mostRetries } from '../../descriptions/policies.ts';
import { mostResources } from '../../descriptions/resources.ts';
import { longestName } from '../../descriptions/values.ts';
import { mostWorkflowRetries } from '../../descriptions/workflow.ts';
import type { Schema } from './operation.ts';

export const text: Schema = { type: 'string' };
export const whole: Schema = { type: 'integer' };
export const number: Schema = { type: 'number' };
export const flag: Schema = { type: 'boolean' };
const anything: Schema = {};

export const arrayOf = (items: Schema): Schema => ({ type: 'array', items });

/** Members that end in `?` may be missing. */
export function object(members: Record<string, Schema>, more: Schema = {}): Schema {
  const entries = Object.entries(members).map(([name, schema]) => ({
    name: name.replace(/\?$/, ''),
    name_: name,
    schema,
  }));
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(({ name, schema }) => [name, schema])),
    required: entries.filter(({ name, name_ }) => name === name_).map(({ name }) => name),
    ...more,
  };
}

const oneOrMore = (item: Schema): Schema => ({ anyOf: [item, { ...arrayOf(item), minItems: 1 }] });

const mapOf = (values: Schema): Schema => ({ type: 'object', additionalProperties: values });
const within = (schema: Schema, limits: Schema): Schema => ({ ...schema, ...limits });
const upTo = ({ most }: Limit, list: Schema): Schema => within(list, { maxItems: most });
const oneOf = (...values: string[]): Schema => ({ type: 'string', enum: values });
const pairOf = (items: Schema): Schema => ({ type: 'array', items, minItems: 2, maxItems: 2 });

const atLeast1 = within(whole, { minimum: 1 });
const jobStates = ['pending', 'running', 'completed', 'failed', 'deleted', 'killed'];
const status = oneOf(...jobStates);
const events = object({ createTime: number, 'startTime?': number, 'endTime?': number });
const labels = mapOf(text);
const filter = object({ 'sites?': arrayOf(text), 'regions?': arrayOf(text) });
const placement = object({ 'requirements?': filter, 'preferences?': filter });

const someCpus = within(atLeast1, { maximum: mostResources.cpus });
const asGigabytes = { minimum: 1, maximum: mostResources.gigabytes };

const resources = object(
  {
    'nodes?': within(atLeast1, { maximum: mostResources.nodes, description: 'More than 1 are not supported yet' }),
    'cpus?': someCpus,
    'cpusRange?': pairOf(someCpus),
    'cpusOptions?': pairOf(someCpus),
    'totalCpusRange?': pairOf(someCpus),
    'memory?': within(number, { ...asGigabytes, description: 'GB per node' }),
    'memoryPerCpu?': within(number, {
      ...asGigabytes,
      description: `GB; with all CPUs of a node at most ${mostResources.gigabytes}`,
    }),
    'disk?': within(whole, { ...asGigabytes, description: 'GB' }),
    'walltime?': within(atLeast1, { maximum: mostResources.walltimeMinutes, description: 'Minutes' }),
  },
  { description: 'One of `cpus`, `cpusRange`, `cpusOptions`, and one of `memory`, `memoryPerCpu`' },
);

const task = object({
  image: within(text, {
    minLength: 1,
    description:
      'A reference in a registry, a URL, the name of an upload, or an absolute path: in the storage of the job, or in a ' +
      'folder of the machine that the server allows (`execution.imageDirectories`)',
  }),
  'imagePullCredential?': object({ username: text, token: text }),
  'runtime?': oneOf('singularity', 'udocker'),
  'type?': oneOf('basic', 'sidecar', 'openmpi', 'mpich', 'intelmpi'),
  'cmd?': text,
  'env?': within(mapOf({ type: ['string', 'number', 'boolean'] }), { maxProperties: limits.variables.most }),
  'workdir?': text,
  'app?': within(text, { description: 'Of an image of Apptainer; only with `singularity`' }),
  'procsPerNode?': atLeast1,
  'stdout?': within(text, { description: 'A file in scratch that its output is appended to' }),
  'imageSha256?': within(text, {
    description: 'Of the image’s file, which is not taken otherwise',
    pattern: '^[0-9A-Fa-f]{64}$',
  }),
});

const retries = within(atLeast1, { maximum: mostRetries });
const policies = object({
  'maximumRetries?': retries,
  'maximumTaskRetries?': retries,
  'maximumTimeInQueue?': within(whole, {
    minimum: -2,
    maximum: longestMinutes,
    description:
      'Minutes of each stay in the queue. -1 waits for ever. 0, the default (also -2), waits its turn, and leaves when no ' +
      'machine could ever run the job, or all that could are lost before it ran',
  }),
  'leaveInQueue?': flag,
  'ignoreTaskFailures?': flag,
  'reportJobSuccessOnTaskFailure?': within(flag, {
    description:
      'Exit codes are no reason to run the job again, nor is that it was killed; exit codes do not stop what depends on it',
  }),
  'priority?': within(whole, {
    minimum: 0,
    maximum: highestPriority,
    description: 'Larger is earlier, among the jobs of one owner; owners take turns',
  }),
  'autoScalingType?': within(
    { enum: ['none', 'dedicated', 'shared', null] },
    {
      description: 'Without effect: no site of this server makes machines',
    },
  ),
  'maximumIdleTimePerResource?': within(atLeast1, {
    maximum: longestMinutes,
    description: 'Without effect, as autoScalingType',
  }),
  'preemptible?': within({}, { description: 'Without effect' }),
  'placement?': placement,
  'runSerialTasksOnAllNodes?': within(flag, { description: 'Without effect: it is about jobs of several nodes' }),
});

const closed: Schema = { additionalProperties: false };

function notificationsOf(event: NotificationEvent): Schema {
  const email = object({ 'event?': oneOf(event), 'type?': oneOf('email') }, closed);
  const webhook = object(
    {
      'event?': oneOf(event),
      type: oneOf('webhook'),
      url: within(text, {
        pattern: '^[Hh][Tt][Tt][Pp][Ss]?://',
        maxLength: 2000,
        description: 'Of a public address, without a user name or password',
      }),
      'secret?': within(text, {
        minLength: 16,
        maxLength: 256,
        description:
          'What its calls are signed with, as Standard Webhooks are: any text, or `whsec_` and the key in base64. Without ' +
          'it, the key of the server is used.',
      }),
    },
    closed,
  );
  const notifications = upTo(limits.notifications, arrayOf({ anyOf: [email, webhook] }));
  return within(notifications, { description: 'Whom to tell of the end' });
}

/** Of something that is shown again. */
const shownNotifications = within(arrayOf({ type: 'object' }), { description: 'As submitted, without secrets' });

const notificationStates = within(
  arrayOf(
    object({
      position: within(whole, { description: 'In `notifications`, from 0' }),
      state: oneOf('retrying', 'delivered', 'givenUp'),
      attempts: whole,
      'reason?': text,
      time: number,
    }),
  ),
  { description: 'What became of those of which delivery was tried, and why it failed' },
);

const artifact = object({
  url: text,
  'mountpoint?': within(text, { description: `\`SOURCE:/TARGET\`; at most ${limits.mountpoints.most} have one` }),
  'executable?': flag,
});
const givenLabels = within(labels, { maxProperties: limits.labels.most });
const outputName = within(text, { maxLength: longestOutputBytes });

const jobDescription = object(
  {
    'name?': within(text, { maxLength: longestName }),
    'labels?': givenLabels,
    resources,
    tasks: within(upTo(limits.tasks, arrayOf(task)), {
      minItems: 1,
      description: `Started at most ${limits.launches.most} times, with the retries of tasks, of the job, and of its workflow`,
    }),
    'artifacts?': upTo(limits.artifacts, arrayOf(artifact)),
    'inputs?': upTo(
      limits.inputs,
      arrayOf(object({ filename: text, content: within(text, { contentEncoding: 'base64' }), 'executable?': flag })),
    ),
    'outputFiles?': upTo(limits.outputFiles, arrayOf(outputName)),
    'outputDirs?': upTo(limits.outputDirs, arrayOf(outputName)),
    'policies?': policies,
    'notifications?': notificationsOf('jobFinished'),
    'storage?': {
      type: 'object',
      description:
        'Storage of your own, which tasks see at `mountpoint`: `type` webdav, b2drop or onedata, with its details in the member of that name',
    },
  },
  {
    examples: [
      {
        name: 'hello',
        resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
        tasks: [{ image: 'docker.io/library/busybox:latest', runtime: 'singularity', cmd: 'echo hello' }],
      },
    ],
  },
);

const parameter = object({
  name: within(text, { pattern: '^[A-Za-z_][A-Za-z0-9_]*$', maxLength: longestParameterName }),
});

const workflowDescription = object(
  {
    'name?': within(text, { maxLength: longestName }),
    'labels?': givenLabels,
    jobs: within(upTo(limits.jobs, arrayOf({ $ref: '#/components/schemas/JobDescription' })), {
      minItems: 1,
      description: `Each with a name. With what factories make of them at most ${mostJobsInAll}, or fewer if the server says so`,
    }),
    'dependencies?': mapOf(arrayOf(text)),
    'factories?': upTo(
      limits.factories,
      arrayOf(
        object({
          name: text,
          type: oneOf('parameterSweep', 'zip', 'repeat'),
          jobs: arrayOf(text),
          'parameters?': upTo(limits.parameters, arrayOf(parameter)),
          'number?': atLeast1,
        }),
      ),
    ),
    'policies?': object({
      'maximumRetries?': within(atLeast1, {
        maximum: mostWorkflowRetries,
        description: 'Of each job. They multiply: a job is run at most (its own + 1) x (these + 1) times',
      }),
      'maximumReruns?': within(atLeast1, { maximum: mostWorkflowRetries, description: 'Without effect' }),
      'leaveInQueue?': within(flag, { description: 'Instead of that of the jobs' }),
      'placement?': within(placement, { description: 'Instead of that of the jobs' }),
    }),
    'notifications?': notificationsOf('workflowFinished'),
  },
  {
    examples: [
      {
        name: 'steps',
        jobs: ['first', 'second'].map((name) => ({
          name,
          resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
          tasks: [{ image: 'docker.io/library/busybox:latest', runtime: 'singularity', cmd: `echo ${name}` }],
        })),
        dependencies: { first: ['second'] },
      },
    ],
  },
);

const parameters = within(mapOf({ type: ['string', 'number'] }), {
  description: 'Numbers with all their digits, also where a double has fewer',
});

const warnings = within(arrayOf(text), {
  maxItems: 100,
  description: 'Names in templates of a factory that are none of its parameters, and so stay as they are',
});

const jobMembers = {
  id: whole,
  name: text,
  'workflowId?': whole,
  status,
  'statusReason?': text,
  'deletionRequested?': flag,
  'parameters?': parameters,
  tasks: within(arrayOf({ type: 'object' }), { description: 'As submitted, without secrets' }),
  events,
};

const execution = object({
  'site?': text,
  'provisionedResources?': { type: 'object' },
  'runtimeVersion?': { type: 'object' },
  'stageInTime?': number,
  'stageOutTime?': number,
  'retries?': whole,
  'outputTruncated?': within(arrayOf(oneOf('stdout', 'stderr')), {
    description: 'Only the beginning of these was kept',
  }),
  tasks: arrayOf(
    object({
      'imagePullStatus?': oneOf('completed', 'cached', 'failed'),
      'imagePullTime?': number,
      'exitCode?': whole,
      'retries?': whole,
      'wallTimeUsage?': number,
      'cpuTimeUsage?': number,
      'maxResidentSetSizeKB?': number,
      'error?': text,
    }),
  ),
  'attempts?': arrayOf(object({ attempt: whole, site: text })),
});

const outputs = within(arrayOf(object({ name: anything, url: text, 'size?': whole, 'partial?': flag })), {
  description:
    '`url` is empty until there is something; it is made at each call and valid for a day. `partial`: the job was ended ' +
    'by a limit or deleted, and this is what there was',
});

const hours = within(number, { minimum: 0, description: 'Hours of one CPU' });
const usage = object({ cpuTime: hours, wallTime: hours, numberOfJobs: atLeast1 });

const free = within(whole, { minimum: 0 });
const gigabytes = within(free, { description: 'GB' });
const capacity = object({ cpus: free, memory: gigabytes, disk: gigabytes });

const counts = { total: whole, done: whole, failed: whole, queued: whole };
const progress = object({
  ...counts,
  waiting: within(whole, { description: 'Not released, or never to run: skipped, or left out of a rerun' }),
  'deleted?': within(whole, { description: 'Of a deleted workflow: jobs that were deleted with it, or before' }),
});
const progressOfStep = object({
  ...counts,
  skipped: within(whole, {
    description: 'Will not run, as something it depends on failed or the workflow was deleted',
  }),
  leftOut: within(whole, { description: 'Not selected for this rerun' }),
  waiting: whole,
});

const quota = object({ limit: { type: 'number' }, used: { type: 'number' } });

const workflowMembers = {
  id: whole,
  name: text,
  status,
  'statusReason?': text,
  'deletionRequested?': flag,
  events,
  progress,
};

/** What a webhook is told. */
function finished(event: NotificationEvent, more: Record<string, Schema>): Schema {
  const data = object({
    id: whole,
    name: text,
    owner: text,
    labels,
    status: oneOf('completed', 'failed', 'deleted', 'killed'),
    'statusReason?': text,
    'statusDetail?': text,
    events,
    url: within(text, { description: 'Where it is described' }),
    ...more,
  });
  return object({ type: oneOf(event), timestamp: within(text, { format: 'date-time' }), data });
}

const named = {
  Error: object({
    error: within(text, { minLength: 1 }),
    'detail?': text,
    'error_description?': within(text, { description: 'Where clients log in' }),
    'issues?': within(arrayOf(object({ path: text, message: text })), {
      maxItems: 100,
      description: 'What is wrong with a description; what is long in it is cut, and ends with `...`',
    }),
  }),
  Created: object({ id: within(whole, { minimum: 1 }) }),
  Empty: object({}),
  JobSelection: object(
    {
      'jobs?': within(oneOrMore(text), { description: 'By name' }),
      'from?': within(oneOrMore(text), { description: 'By name: these and all that depend on them' }),
      'instances?': {
        anyOf: [
          { type: 'string', pattern: '^\\d{1,9}(-\\d{1,9})?(,\\d{1,9}(-\\d{1,9})?){0,999}$' },
          within(whole, { minimum: 0, maximum: 999_999_999 }),
        ],
        description: 'Of factories, by number: `0-99,150`; at most 1000 numbers and ranges',
      },
      'status?': within(oneOrMore(oneOf(...jobStates, 'skipped')), {
        description:
          'As the workflow sees it: what ended with another exit code than 0 has failed, what was not run for that is skipped',
      }),
    },
    { ...closed, description: 'Jobs of a workflow for which all holds that is given' },
  ),
  JobDescription: jobDescription,
  WorkflowDescription: workflowDescription,
  Job: object(jobMembers),
  JobDetail: object({
    ...jobMembers,
    'statusDetail?': text,
    'warnings?': warnings,
    resources: { type: 'object' },
    'policies?': { type: 'object' },
    'labels?': labels,
    'artifacts?': arrayOf({ type: 'object' }),
    'inputs?': arrayOf({ type: 'object' }),
    'notifications?': shownNotifications,
    'notificationStates?': notificationStates,
    'storage?': { type: 'object' },
    'outputFiles?': outputs,
    'outputDirs?': outputs,
    'execution?': execution,
  }),
  Workflow: object(workflowMembers),
  WorkflowDetail: object({
    ...workflowMembers,
    'statusDetail?': text,
    'warnings?': warnings,
    'rerunOf?': whole,
    'labels?': labels,
    'notifications?': shownNotifications,
    'notificationStates?': notificationStates,
    jobs: within(arrayOf({ type: 'object' }), { description: 'As submitted, without secrets' }),
  }),
  WorkflowPlan: object({
    name: text,
    total: whole,
    levels: arrayOf(arrayOf(text)),
    'warnings?': warnings,
    nodes: arrayOf(
      object({
        name: text,
        count: whole,
        level: whole,
        parents: arrayOf(text),
        'instances?': within(arrayOf({ type: 'object' }), {
          maxItems: 100,
          description: 'Examples of what a factory makes: fewer or none where they are long',
        }),
      }),
    ),
  }),
  WorkflowGraph: object({
    id: whole,
    name: text,
    status,
    nodes: arrayOf(object({ name: text, count: whole, firstJobId: whole, progress: progressOfStep })),
    edges: arrayOf(object({ parent: text, child: text })),
  }),
  Quotas: object({
    unfinishedJobs: quota,
    submitsPerMinute: quota,
    storedBytes: quota,
    uploadBytes: object({ limit: { type: 'number' } }),
    jobOutputBytes: object({ limit: { type: 'number' } }),
    imageBytes: object({ limit: { type: 'number' } }),
  }),
  Bar: object({
    kind: oneOf('owner', 'group'),
    name: text,
    reason: { type: ['string', 'null'] },
    barredBy: text,
    barredAt: text,
  }),
  BarReason: object({ 'reason?': { type: ['string', 'null'], maxLength: 500 } }),
  Barred: object({ ended: whole }),
  StoredObject: object({ name: text, size: whole, lastModified: text }),
  Upload: object({ 'filename?': within(text, { minLength: 1 }), 'checksum?': { type: ['string', 'null'] } }),
  UploadUrl: object({ url: within(text, { description: 'PUT the bytes here' }) }),
  OwnOutput: object({
    name: within(text, {
      minLength: 1,
      description: 'As in `outputFiles` or `outputDirs` of the job, or the last part of it, with `.tgz` for a folder',
    }),
  }),
  Command: object({
    'command?': within(arrayOf(text), { minItems: 1, description: 'Its words; together at most 64 KiB, without NUL' }),
  }),
  SnapshotUrl: object({ url: within(text, { description: 'GET a gzipped tar archive here' }) }),
  Key: {
    anyOf: [
      { type: 'string', pattern: '^/' },
      within(mapOf(text), { description: 'The key and its value', minProperties: 1, maxProperties: 1 }),
    ],
  },
  Accounting: object({ usage: object({ users: mapOf(usage), groups: mapOf(usage) }) }),
  Machines: object({
    existing: arrayOf(
      object({
        site: text,
        'region?': text,
        capacity,
        free: capacity,
        'network?': {
          ...text,
          enum: ['isolated', 'none', 'host'],
          description:
            "What jobs there see of networks: isolated from the machine's own, nothing but this API and the object store, or " +
            "the machine's own network with its loopback",
        },
        'networkReason?': { ...text, description: 'Why it is not isolated where the site did not ask for that' },
        'confinement?': object({
          ownMounts: {
            ...flag,
            description: 'Folders of a job can be bound into a container while others of the job run',
          },
          udockerNamespaces: { ...flag, description: 'A udocker job sees no files and processes there but its own' },
        }),
      }),
    ),
  }),
  Point: object(
    {
      measurement: within(text, { minLength: 1, maxLength: 1000 }),
      fields: within(mapOf({ type: ['number', 'string', 'boolean'], minimum: -1e300, maximum: 1e300 }), {
        minProperties: 1,
        maxProperties: 100,
      }),
      'tags?': within(labels, { maxProperties: 100 }),
      'time?': within(whole, {
        exclusiveMinimum: -1e11,
        exclusiveMaximum: 1e11,
        description: 'Seconds since the epoch; now, unless it is said',
      }),
    },
    closed,
  ),
  Series: object({
    measurement: text,
    field: text,
    tags: labels,
    'times?': within(arrayOf(text), { description: '`2024-02-29 13:59:01`, in UTC; absent with a mean' }),
    values: arrayOf({ type: ['number', 'string', 'boolean'] }),
  }),
  FinishedJob: finished('jobFinished', {
    'workflowId?': whole,
    'parameters?': parameters,
    exitCodes: within(arrayOf(whole), { description: 'Of the tasks that ran' }),
  }),
  FinishedWorkflow: finished('workflowFinished', { progress }),
  IssuedToken: object({ token: text, expiresIn: within(whole, { description: 'Seconds' }) }),
  Payloads: object({
    payloads: arrayOf(object({ 'metadata?': mapOf(text), 'data?': within(text, { contentEncoding: 'base64' }) })),
  }),
  ClientRegistration: object({ 'client_name?': text, 'scope?': text }),
  RegisteredClient: object({ client_id: text, 'client_secret?': text }),
  DeviceRequest: object({ 'client_id?': text, 'client_secret?': text, 'scope?': text }),
  DeviceCode: object({ device_code: text, user_code: text, verification_uri: text, expires_in: whole }),
  TokenRequest: object({
    grant_type: oneOf('urn:ietf:params:oauth:grant-type:device_code'),
    device_code: text,
    'client_id?': text,
    'client_secret?': text,
  }),
  Token: object({ access_token: text, 'expires_in?': number }),
} satisfies Record<string, Schema>;

export const schemas: Record<string, Schema> = named;

export const schema = (name: keyof typeof named): Schema => ({ $ref: `#/components/schemas/${name}` });

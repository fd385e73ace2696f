/**
 * What is understood and stored, but can't be honoured: not yet, or not by this server for this owner. A job that asks
 * for it is refused with a sentence rather than run as something else. This table is the whole list: a feature that
 * arrives takes its row away.
 */
import type { JobDescription, Notification, Task } from '../domain/description.ts';
import { scratchFiles, scratchOutputs } from '../domain/environment.ts';
import { acceptableSizes } from '../domain/resources.ts';
import { imageInMount } from '../domain/mount.ts';
import { wrongInstanceFile } from './instance-files.ts';
import { limits } from './limits.ts';
import { isPrivateAddress } from './private-address.ts';
import { planWorkflow } from '../domain/workflow-plan.ts';
import type { Factory, WorkflowDescription } from '../domain/workflow-description.ts';
import { unlaunchable } from './launchable.ts';
import { tooLarge } from './workflow-size.ts';

/** What an installation may or may not be set up for. */
export interface ServerFeatures {
  sendsEmail: boolean;
  /** It has a key for webhooks that bring no secret of their own. */
  signsWebhooks: boolean;
  /** It also calls webhooks at addresses of its own networks. */
  callsPrivateAddresses: boolean;
  runsBenchmarks: boolean;
  /** In one workflow. */
  mostJobs: number;
  /** Folders of machines that images may be in; without a slash at the end. */
  imageDirectories: string[];
}

/** What a refusal may depend on beside the description. */
export interface Circumstances extends ServerFeatures {
  /** The owner's address, where the token told one. */
  email: string | undefined;
}

/** The part of a configuration that decides it. */
export interface Configured {
  notifications: { smtp?: unknown; webhooks: { signingKey?: string | undefined; allowPrivateAddresses?: boolean } };
  execution: { benchmarkRuntime: boolean; maximumJobsPerWorkflow: number; imageDirectories: string[] };
}

export function serverFeaturesOf({ notifications: { smtp, webhooks }, execution }: Configured): ServerFeatures {
  return {
    sendsEmail: smtp !== undefined,
    signsWebhooks: webhooks.signingKey !== undefined,
    callsPrivateAddresses: webhooks.allowPrivateAddresses ?? false,
    runsBenchmarks: execution.benchmarkRuntime,
    mostJobs: execution.maximumJobsPerWorkflow,
    imageDirectories: execution.imageDirectories,
  };
}

interface Refusal<Asking> {
  asked: (asking: Asking, given: Circumstances) => boolean;
  sentence: string;
}

const someTask = (asks: (task: Task) => boolean) => (description: JobDescription) => description.tasks.some(asks);

const asksForEmail = ({ type }: Notification) => type === 'email';

/** Of jobs and of workflows. */
const notificationRefusals: Refusal<{ notifications: Notification[] }>[] = [
  {
    // Where none is sent at all, that is told when the time has come (activities/notifications.ts).
    asked: ({ notifications }, { sendsEmail, email }) =>
      sendsEmail && email === undefined && notifications.some(asksForEmail),
    sentence: 'there is no address to send e-mail notifications to: your token does not tell one (claim email)',
  },
  {
    asked: ({ notifications }, { signsWebhooks }) =>
      !signsWebhooks && notifications.some((it) => it.type === 'webhook' && it.secret === undefined),
    sentence: 'this server has no key to sign webhooks with: give each webhook notification a secret',
  },
  {
    asked: ({ notifications }, { callsPrivateAddresses }) =>
      !callsPrivateAddresses && notifications.some((it) => it.type === 'webhook' && isPrivateAddress(it.url)),
    sentence: 'the url of a webhook must be a public address: this server calls no others',
  },
];

/** In a workflow, its retries are in the policies of its jobs already. */
const launchesOf = ({ tasks, policies }: JobDescription): number =>
  tasks.length * (policies.maximumTaskRetries + 1) * (policies.maximumRetries + 1);

const refusals: Refusal<JobDescription>[] = [
  {
    asked: (description) => launchesOf(description) > limits.launches.most,
    sentence: limits.launches.message,
  },
  {
    asked: (description, { runsBenchmarks }) =>
      !runsBenchmarks && description.tasks.some((task) => task.runtime === 'benchmark'),
    sentence: 'the benchmark runtime, which runs nothing, is not enabled on this server',
  },
  {
    asked: ({ tasks, artifacts }) => {
      const scratchFile = scratchFiles(artifacts);
      return tasks.some(({ stdout }) => stdout !== undefined && scratchFile(stdout) === undefined);
    },
    sentence: 'stdout of a task must be a file in the scratch directory (/home/user)',
  },
  {
    asked: ({ outputFiles, outputDirs, artifacts }) => {
      const scratchOutput = scratchOutputs(artifacts);
      return [...outputFiles, ...outputDirs].some((name) => scratchOutput(name) === undefined);
    },
    sentence:
      'outputFiles and outputDirs must be in the scratch directory (/home/user) or below the mountpoint of an artifact, ' +
      'and without .. in them',
  },
  {
    asked: ({ resources }) => resources.nodes > 1,
    sentence: 'jobs with more than one node are not supported by this server yet',
  },
  {
    asked: ({ resources }) => acceptableSizes(resources).length === 0,
    sentence: 'a totalCpusRange that needs more than one node is not supported by this server yet',
  },
  ...notificationRefusals,
  {
    asked: someTask((task) => /^shub:/i.test(task.image)),
    sentence: 'images from Singularity Hub (shub://) are not supported: it was shut down in 2021',
  },
  {
    asked: ({ tasks, storage }, { imageDirectories }) =>
      tasks.some(
        ({ image }) =>
          image.startsWith('/') &&
          imageInMount(image, storage) === undefined &&
          !imageDirectories.some((one) => image.startsWith(`${one}/`)),
      ),
    sentence:
      "images given as an absolute path must be in the job's storage, or in a folder that this server allows (execution.imageDirectories)",
  },
];

/** A sentence for the user, or undefined when everything asked for can be done. */
export function unsupportedReason(
  description: JobDescription,
  given: Circumstances,
  factory?: Factory,
): string | undefined {
  return refusals.find(({ asked }) => asked(description, given))?.sentence ?? unlaunchable(description, factory);
}

/** The same for a workflow and all its jobs; tells which job. */
export function unsupportedInWorkflow(workflow: WorkflowDescription, given: Circumstances): string | undefined {
  const plan = planWorkflow(workflow);
  const size = tooLarge(plan, given.mostJobs);
  if (size) return size;
  for (const { name, description, factory } of plan.steps) {
    const reason = unsupportedReason(description, given, factory);
    if (reason) return `${reason} (job "${name}")`;
  }
  return wrongInstanceFile(plan.steps) ?? notificationRefusals.find(({ asked }) => asked(workflow, given))?.sentence;
}

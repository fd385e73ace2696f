/** The containers a job runs one after another (docs/wire.md 3.4). */
import { splitCommandLine } from '../domain/command-line.ts';
import type { ContainerRuntime, Task, TaskType } from '../domain/description.ts';
import { digitsOf } from '../domain/exact-json.ts';
import { isFiniteNumber, pythonText } from '../domain/number-text.ts';
import { referenceProblem } from './image-reference.ts';
import { shortened } from './issues.ts';
import { limits } from './limits.ts';
import { imageObject } from './object-names.ts';
import type { ObjectReader, Place } from './reader.ts';
import { isObject } from './reader.ts';
import { count, sha256, text } from './values.ts';
import { webAddress } from './web-address.ts';

export const taskItems: ReadonlySet<string> = new Set([
  'image',
  'imagePullCredential',
  'imageSha256',
  'runtime',
  'env',
  'app',
  'procsPerNode',
  'cmd',
  'type',
  'workdir',
  'stdout',
]);

const runtimes: readonly string[] = ['singularity', 'udocker', 'benchmark'] satisfies ContainerRuntime[];
const types: readonly string[] = ['basic', 'sidecar', 'openmpi', 'mpich', 'intelmpi'] satisfies TaskType[];

export function readTasks(job: ObjectReader, cpus: number | undefined): Task[] {
  if (!job.has('tasks')) {
    job.issue('tasks', 'a job must contain tasks');
    return [];
  }
  const entries = job.list('tasks', 'an array of tasks must be provided', limits.tasks);
  if (!entries) return [];
  const tasks = entries.map((entry, i) => readTask(job, entry, i, cpus));
  const isSidecar = (entry: Place) => isObject(entry.value) && entry.value['type'] === 'sidecar';
  if (entries.every(isSidecar)) job.issue('tasks', 'a job cannot contain only sidecar tasks');
  return tasks.filter((task) => task !== undefined);
}

function readTask(job: ObjectReader, entry: Place, index: number, cpus: number | undefined): Task | undefined {
  const read = job.reader(entry);
  if (!read) {
    job.issue(`tasks[${index}]`, 'each task must be an object');
    return undefined;
  }
  read.onlyKeys(taskItems, (key) => `invalid item "${key}" in task`);
  const image = readImage(read);
  const imagePullCredential = readCredential(read);
  const runtime = readRuntime(read);
  const env = readEnvironment(read);
  if (read.has('app') && runtime === 'udocker') read.issue('app', 'app is only supported by Singularity');
  const app = read.field('app', text('app must be a string'));
  const procsPerNode = readProcsPerNode(read, cpus);
  const cmd = read.field('cmd', text('cmd must be a string'));
  if (cmd !== undefined && !isCommandLine(cmd))
    read.ownIssue('cmd', 'cmd ends inside a quotation or after a backslash');
  const type = readType(read, cmd);
  const workdir = read.ownField('workdir', text('workdir must be a string'));
  const stdout = read.ownField('stdout', text('stdout must be a string'));
  const imageSha256 = read.ownField('imageSha256', sha256('imageSha256'));
  return {
    image: image ?? '',
    ...(imagePullCredential ? { imagePullCredential } : {}),
    ...(imageSha256 === undefined ? {} : { imageSha256 }),
    runtime,
    type,
    ...(cmd === undefined ? {} : { cmd }),
    ...(app === undefined ? {} : { app }),
    env,
    ...(workdir === undefined ? {} : { workdir }),
    ...(procsPerNode === undefined ? {} : { procsPerNode }),
    ...(stdout === undefined ? {} : { stdout }),
  };
}

/** Commands are split like a shell's line when they are run; one that can't be split can't be run. */
function isCommandLine(cmd: string): boolean {
  try {
    splitCommandLine(cmd);
    return true;
  } catch {
    return false;
  }
}

function readImage(read: ObjectReader): string | undefined {
  if (!read.has('image')) {
    read.issue('image', 'each task must specify a container image');
    return undefined;
  }
  const image = read.field('image', text('the container image must be a string'));
  if (image === undefined) return undefined;
  const name = withPlainScheme(webAddress(image) ?? image);
  const problem = imageProblem(name);
  if (problem !== undefined) read.ownIssue('image', problem);
  return name;
}

const withPlainScheme = (image: string): string => image.replace(/^docker:\/\//i, 'docker://');

/** Of an image that is none, whatever may be found where it is said to be. */
function imageProblem(image: string): string | undefined {
  if (image === '') return 'each task must specify a container image';
  const told = `the container image "${shortened(image)}"`;
  const [, scheme] = /^([A-Za-z][A-Za-z0-9+.-]{0,30}):\/\//.exec(image) ?? [];
  // Those of Singularity Hub are refused in words of their own (unsupported.ts).
  if (scheme === 'shub') return undefined;
  if (scheme === 'http' || scheme === 'https') {
    return webAddress(image) === undefined ? `${told} is no URL` : undefined;
  }
  if (scheme !== undefined && scheme !== 'docker') {
    return (
      `${told} can't be had: ${scheme}:// is not supported. An image is a name in a registry (with or without docker://), ` +
      'an http or https URL, the name of an upload, or an absolute path'
    );
  }
  if (image.startsWith('/') || imageObject(image)) return undefined;
  const problem = referenceProblem(image.replace(/^docker:\/\//, ''));
  return problem === undefined ? undefined : `${told} is no name of an image: ${problem}`;
}

function readCredential(read: ObjectReader): Task['imagePullCredential'] {
  if (!read.has('imagePullCredential')) return undefined;
  const message = 'a username and token must be specified in the image pull credential';
  const credential = read.value('imagePullCredential');
  if (isObject(credential)) {
    const { username, token } = credential;
    if (typeof username === 'string' && typeof token === 'string') return { username, token };
  }
  read.issue('imagePullCredential', message);
  return undefined;
}

function readRuntime(read: ObjectReader): ContainerRuntime {
  const runtime = read.value('runtime');
  if (!read.has('runtime')) read.issue('runtime', 'a container runtime must be defined');
  else if (typeof runtime !== 'string' || !runtimes.includes(runtime)) {
    read.issue('runtime', 'the container runtime must be either udocker or singularity');
  }
  return runtimes.includes(runtime as string) ? (runtime as ContainerRuntime) : 'singularity';
}

function readEnvironment(read: ObjectReader): Record<string, string> {
  if (!read.has('env')) return {};
  const env = read.object('env', 'environment variables must be defined as a dict');
  if (!env) return {};
  const names = env.keys();
  if (names.length > limits.variables.most) {
    read.issue('env', limits.variables.message);
    return {};
  }
  const entries: [string, string][] = [];
  for (const name of names) {
    const value = environmentText(env.value(name));
    if (!variableName.test(name)) {
      env.ownIssue(name, `environment variable name "${name}" is invalid`);
    } else if (value === undefined) {
      env.ownIssue(name, `the value of environment variable "${name}" must be a string or a number`);
    } else entries.push([name, value]);
  }
  // Not by assignment: a variable may be called __proto__.
  return Object.fromEntries(entries);
}

/** What a shell can name: other names would be lost on the way into the container. */
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Values become text as Python's str() makes it, because users' programs were written against that. */
function environmentText(value: unknown): string | undefined {
  const digits = digitsOf(value);
  if (digits !== undefined) return isFiniteNumber(digits) ? pythonText(digits) : undefined;
  if (typeof value === 'string') return value;
  if (typeof value !== 'boolean') return undefined;
  return value ? 'True' : 'False';
}

function readProcsPerNode(read: ObjectReader, cpus: number | undefined): number | undefined {
  const what = 'number of processes per node';
  const procsPerNode = read.field('procsPerNode', count(`${what} must be an integer`, `${what} must be at least 1`));
  if (procsPerNode !== undefined && cpus !== undefined && procsPerNode > cpus) {
    read.issue('procsPerNode', `${what} must be less than number of CPU cores per node`);
  }
  return procsPerNode;
}

function readType(read: ObjectReader, cmd: string | undefined): TaskType {
  if (!read.has('type')) return 'basic';
  const type = read.value('type');
  if (typeof type !== 'string' || !types.includes(type)) {
    read.issue('type', 'invalid task type');
    return 'basic';
  }
  if (type !== 'basic' && type !== 'sidecar') {
    if (cmd?.startsWith('mpirun ')) {
      read.issue('cmd', 'it is not necessary to include mpirun in the cmd if an MPI flavour has been specified');
    }
    if (!read.has('cmd')) read.issue('cmd', 'A command to execute must be specified for MPI jobs');
  }
  return type as TaskType;
}

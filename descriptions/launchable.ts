/**
 * Whether the tasks of a job, and of all that a factory makes of it, can be started as far as their description goes: that
 * commands can be split into words, and that they fit into what a program can be given. In time of the description's size,
 * however many jobs are made of it.
 */
import { splitCommandLine } from '../domain/command-line.ts';
import type { JobDescription, Task } from '../domain/description.ts';
import { instanceCount, instanceParameters, placesIn, substitute } from '../domain/instance.ts';
import { mpiFlavour } from '../domain/mpi.ts';
import { parameterText } from '../domain/parameters.ts';
import { taskWords } from '../domain/task-command.ts';
import type { Factory } from '../domain/workflow-description.ts';
import { shortened } from './issues.ts';
import { ownLaunchBytes, sizeOfText, tooLongToLaunch, type TextSize } from './launch-size.ts';

/** A sentence for the user, or undefined. */
export function unlaunchable(description: JobDescription, factory?: Factory): string | undefined {
  const longest = factory ? longestValues(factory) : new Map<string, ParameterSize>();
  for (const [index, task] of description.tasks.entries()) {
    const reason = tooLong(task, longest) ?? (factory && unsplittable(task, factory));
    if (reason) return `${reason} (tasks[${index}])`;
  }
  return undefined;
}

interface ParameterSize extends TextSize {
  /** Where it may be split: each word takes some more. */
  blanks: number;
}

/** Of each parameter, the most that any of its values has. */
function longestValues(factory: Factory): Map<string, ParameterSize> {
  if (factory.kind === 'repeat') return new Map();
  if (factory.kind === 'parameterSweep') {
    return new Map(factory.parameters.map(({ name }) => [name, longestNumber]));
  }
  return new Map(
    factory.parameters.map(({ name, values }) => {
      const most = { bytes: 0, written: 0, blanks: 0 };
      for (const value of values) {
        const text = parameterText(value);
        const { bytes, written } = sizeOfText(text);
        most.bytes = Math.max(most.bytes, bytes);
        most.written = Math.max(most.written, written);
        most.blanks = Math.max(most.blanks, text.split(/[ \t\r\n]/).length - 1);
      }
      return [name, most];
    }),
  );
}

const longestNumber = { bytes: 400, written: 400, blanks: 0 };
/** Quotes and a comma around another word. */
const perBlank = 3;

function tooLong(task: Task, longest: Map<string, ParameterSize>): string | undefined {
  const sized = (text: string): TextSize => {
    const size = sizeOfText(text);
    if (longest.size === 0) return size;
    for (const [name, places] of placesIn(text)) {
      const value = longest.get(name);
      if (!value) continue;
      // With the name goes a dollar, at least.
      const own = Buffer.byteLength(name) + 1;
      size.bytes += places * (value.bytes - own);
      size.written += places * (value.written + perBlank * value.blanks - own);
    }
    return size;
  };
  const ofTask = Object.entries(task.env).map(([name, value]) => ({ name, size: sized(`${name}=${value}`) }));
  const ofParameters = [...longest].map(([parameter, { bytes, written }]) => {
    const name = `PROMINENCE_PARAMETER_${parameter}`;
    const own = sizeOfText(`${name}=`);
    return { name, size: { bytes: own.bytes + bytes, written: own.written + written } };
  });
  const variables = [...ofTask, ...ofParameters];
  const words =
    taskWords(
      task,
      mostCpus,
      variables.map(({ name }) => name),
    ) ?? [];
  return tooLongToLaunch({ variables, words: words.map(sized) }, ownLaunchBytes);
}

/** A number of many digits: how many a task really gets is told by its machine. */
const mostCpus = 99_999;

/** What is split to see whether it can be, of all instances together; what is more is found out when it starts. */
const mostSplitCharacters = 2_000_000;

/** The template was split already, so only values can do it that mean something where lines are split. */
function unsplittable(task: Task, factory: Factory): string | undefined {
  if (factory.kind !== 'zip' || task.cmd === undefined || mpiFlavour(task)) return undefined;
  const places = placesIn(task.cmd);
  const used = factory.parameters.filter(({ name }) => places.has(name));
  let room = mostSplitCharacters;
  for (let instance = 0; instance < (used.length > 0 ? instanceCount(factory) : 0); instance += 1) {
    const doubtful = used.find(({ values }) => isDoubtful(parameterText(values[instance]!)));
    if (!doubtful) continue;
    const line = substitute(task.cmd, instanceParameters(factory, instance));
    if ((room -= line.length) < 0) return undefined;
    if (canBeSplit(line)) continue;
    const value = shortened(JSON.stringify(parameterText(doubtful.values[instance]!)));
    return (
      `cmd ends inside a quotation or after a backslash when parameter "${doubtful.name}" is ${value} (instance ` +
      `${instance}): let a shell read the variable PROMINENCE_PARAMETER_${doubtful.name} instead, or quote it in the value`
    );
  }
  return undefined;
}

/** An empty one, as what stands before and behind it meets then. */
const isDoubtful = (value: string): boolean => value === '' || /['"\\]/.test(value);

function canBeSplit(line: string): boolean {
  try {
    splitCommandLine(line);
    return true;
  } catch {
    return false;
  }
}

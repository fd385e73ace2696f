/**
 * Which uploads the jobs of a submit name: images, and artifacts as factories will call them (docs/wire.md 3.5). Made
 * one after the other and to a bound, since a short template can stand for millions of names.
 */
import { artifactObject, imageObject, type ObjectName } from '../descriptions/object-names.ts';
import type { JobDescription } from '../domain/description.ts';
import { instanceCount, instanceParameters, namesIn, substitute } from '../domain/instance.ts';
import type { Factory } from '../domain/workflow-description.ts';

export interface NeededUpload {
  kind: 'Image' | 'Artifact';
  name: string;
  object: ObjectName;
}

/** Of one submit. A missing one beyond them fails its own job when it is fetched. */
const mostNames = 10_000;

/** What names are made in all: a template may be as long as a request, and a name that long is no upload's. */
const mostCharacters = 10_000_000;

/** In the order of the jobs. @param factoryOf what makes instances of a job, if anything does */
export function* neededUploads(
  jobs: readonly JobDescription[],
  factoryOf: (job: JobDescription) => Factory | undefined,
): Generator<NeededUpload, void> {
  let left = mostNames;
  let room = mostCharacters;
  for (const { kind, names } of templates(jobs, factoryOf)) {
    for (const name of names) {
      if (left === 0 || room <= 0) return;
      left -= 1;
      room -= name.length;
      const object = kind === 'Image' ? imageObject(name) : artifactObject(name);
      if (object) yield { kind, name, object };
    }
  }
}

/** Each image, and each artifact of each factory, once. */
function* templates(
  jobs: readonly JobDescription[],
  factoryOf: (job: JobDescription) => Factory | undefined,
): Generator<{ kind: NeededUpload['kind']; names: Iterable<string> }, void> {
  const images = new Set<string>();
  const artifacts = new Map<Factory | undefined, Set<string>>();
  for (const job of jobs) {
    for (const { image } of job.tasks) {
      if (!images.has(image) && imageObject(image)) yield { kind: 'Image', names: [image] };
      images.add(image);
    }
    // Then they are in the user's own storage, which only the job's machine can look into.
    if (job.storage?.isDefault) continue;
    const factory = factoryOf(job);
    const known = artifacts.get(factory) ?? new Set();
    artifacts.set(factory, known);
    for (const { url } of job.artifacts) {
      if (!known.has(url) && artifactObject(url))
        yield { kind: 'Artifact', names: factory ? instanceNames(url, factory) : [url] };
      known.add(url);
    }
  }
}

function* instanceNames(template: string, factory: Factory): Generator<string, void> {
  const varying = varyingIn(template, factory);
  if (!varying) {
    yield substitute(template, {});
    return;
  }
  const count = instanceCount(varying);
  for (let index = 0; index < count; index += 1) yield substitute(template, instanceParameters(varying, index));
}

/** Only with the parameters that the text names: others would repeat it. Undefined when it names none. */
function varyingIn(text: string, factory: Factory): Factory | undefined {
  if (factory.kind === 'repeat') return undefined;
  const names = namesIn(text);
  const parameters = factory.parameters.filter(({ name }) => names.has(name));
  return parameters.length > 0 ? ({ ...factory, parameters } as Factory) : undefined;
}

/** What of a machine decides which jobs it can run, beside its size: said by its facts, and asked for by descriptions. */
import type { JobDescription } from './description.ts';
import type { MachineFacts } from './machine.ts';
import { appsOfImages } from './placement.ts';
import { isUsed, mountAbility, mountKind } from './mount.ts';

const isEngine = (version = ''): boolean => /^(podman|docker) /.test(version);

export function abilitiesOf({ runtimes, mounts = {} }: Pick<MachineFacts, 'runtimes' | 'mounts'>): string[] {
  const { singularity } = runtimes;
  const hasApps = singularity !== undefined && !isEngine(singularity);
  // Their containers are made in namespaces that a mount may be missing from: a job would write into an empty folder.
  const canMount = !Object.values(runtimes).some(isEngine);
  return [
    ...Object.keys(runtimes),
    ...(hasApps ? [appsOfImages] : []),
    ...(canMount ? Object.keys(mounts).map(mountAbility) : []),
  ];
}

/** The benchmark runtime is none of a machine's. */
export function abilitiesFor({ tasks, storage }: Pick<JobDescription, 'tasks' | 'storage'>): string[] {
  const runtimes = new Set<string>(tasks.map(({ runtime }) => runtime));
  runtimes.delete('benchmark');
  return [
    ...runtimes,
    ...(tasks.some(({ app }) => app !== undefined) ? [appsOfImages] : []),
    ...(storage && isUsed(storage) ? [mountAbility(mountKind(storage))] : []),
  ];
}

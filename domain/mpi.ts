/**
 * How an MPI task is started on one node (docs/wire.md 7.6): the image's own mpirun, with as many processes as asked
 * for or as the job has CPUs. The user's command is one word of a shell's line here, read once: its quotes mean what
 * they say.
 */
import type { Task, TaskType } from './description.ts';

export type MpiFlavour = Exclude<TaskType, 'basic' | 'sidecar'>;

export function mpiFlavour({ type }: Pick<Task, 'type'>): MpiFlavour | undefined {
  return type === 'basic' || type === 'sidecar' ? undefined : type;
}

/** @param names of the environment that every process is to see */
export function mpiCommand(task: Task, flavour: MpiFlavour, cpus: number, names: string[]): string[] {
  const words = [...start[flavour](task.procsPerNode, task.procsPerNode ?? cpus, passedOn(names))];
  const line = `mpirun ${words.join(' ')} ${task.cmd ?? ''}`;
  // The shell that commands are written for; images without it have the other.
  return ['/bin/sh', '-c', 'if [ -x /bin/bash ]; then exec /bin/bash -c "$1"; else eval "$1"; fi', 'mpirun', line];
}

/** What the flavours read from the environment; the user's own value wins. */
export function mpiEnvironment(flavour: MpiFlavour): {
  defaults: Record<string, string>;
  fixed: Record<string, string>;
} {
  switch (flavour) {
    case 'openmpi':
      // Machines are shared: bound to cores by number, ranks of two jobs would end on the same ones. What counts is the
      // CPUs the job was given, which mpirun can't know. The second of each pair is for version 5.
      return {
        defaults: {
          OMPI_MCA_hwloc_base_binding_policy: 'none',
          PRTE_MCA_hwloc_default_binding_policy: 'none',
          OMPI_MCA_rmaps_base_oversubscribe: '1',
          PRTE_MCA_rmaps_default_mapping_policy: ':oversubscribe',
        },
        fixed: {},
      };
    case 'mpich':
      return { defaults: {}, fixed: {} };
    case 'intelmpi':
      return {
        defaults: { I_MPI_PIN: '0' },
        fixed: { I_MPI_JOB_STARTUP_TIMEOUT: '120', I_MPI_HYDRA_BRANCH_COUNT: '0' },
      };
  }
}

const always = ['HOME', 'TEMP', 'TMP'];
/** Hydra gives processes what is listed and nothing else: without these, programs are not found. */
const hydraAlways = [...always, 'TMPDIR', 'PATH', 'LD_LIBRARY_PATH'];

const passedOn = (names: string[]): string[] =>
  names.filter((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !hydraAlways.includes(name));
const list = (names: string[]): string => [...hydraAlways, ...names].join(',');

const start: Record<MpiFlavour, (perNode: number | undefined, processes: number, names: string[]) => string[]> = {
  openmpi: (perNode, processes, names) => [
    `-np ${processes}`,
    ...(perNode === undefined ? [] : [`-N ${perNode} --bind-to none`]),
    ...[...always, 'TMPDIR', ...names].map((name) => `-x ${name}`),
    '-mca btl_base_warn_component_unused 0',
    '-mca orte_startup_timeout 120',
    '-mca plm_rsh_no_tree_spawn 1',
  ],
  mpich: (_, processes, names) => [`-np ${processes}`, `-envlist ${list(names)}`],
  intelmpi: (perNode, processes, names) => [
    `-np ${processes}`,
    ...(perNode === undefined ? [] : [`-perhost ${perNode}`]),
    `-envlist ${list(names)}`,
  ],
};

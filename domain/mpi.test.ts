import { describe, expect, it } from 'vitest';
import type { Task } from './description.ts';
import { mpiCommand, type MpiFlavour } from './mpi.ts';

const task = (cmd: string, procsPerNode?: number): Task => ({
  image: 'x',
  runtime: 'singularity',
  type: 'basic',
  cmd,
  env: {},
  ...(procsPerNode === undefined ? {} : { procsPerNode }),
});
const line = (flavour: MpiFlavour, cmd: string, procsPerNode?: number) =>
  mpiCommand(task(cmd, procsPerNode), flavour, 4, ['HOME', 'A', 'OMP_NUM_THREADS']).at(-1);

describe('the launch line of an MPI task', () => {
  it('has a process for each CPU, and the environment', () => {
    expect(line('openmpi', 'app -x')).toBe(
      'mpirun -np 4 -x HOME -x TEMP -x TMP -x TMPDIR -x A -x OMP_NUM_THREADS -mca btl_base_warn_component_unused 0 ' +
        '-mca orte_startup_timeout 120 -mca plm_rsh_no_tree_spawn 1 app -x',
    );
    const names = 'HOME,TEMP,TMP,TMPDIR,PATH,LD_LIBRARY_PATH,A,OMP_NUM_THREADS';
    expect(line('mpich', 'app')).toBe(`mpirun -np 4 -envlist ${names} app`);
    expect(line('intelmpi', 'app')).toBe(`mpirun -np 4 -envlist ${names} app`);
  });

  it('has as many processes as asked for', () => {
    expect(line('openmpi', 'app', 2)).toContain('mpirun -np 2 -N 2 --bind-to none -x');
    expect(line('mpich', 'app', 2)).toContain('mpirun -np 2 -envlist');
    expect(line('intelmpi', 'app', 2)).toContain('mpirun -np 2 -perhost 2 -envlist');
  });

  it('keeps the quotes of the command', () => {
    const cmd = `app "a b" 'c "d"' $X > out`;
    expect(line('mpich', cmd)!.endsWith(` ${cmd}`)).toBe(true);
  });
});

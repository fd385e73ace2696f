/** The words that a task is started with, as they are once parameters and ids were put into its `cmd`. */
import { splitCommandLine } from './command-line.ts';
import type { Task } from './description.ts';
import { mpiCommand, mpiFlavour } from './mpi.ts';

/**
 * @param names of the environment that every process of an MPI task is to see
 * @returns undefined for the entry point of the image
 * @throws Error for a command that ends between quotes or after a backslash
 */
export function taskWords(task: Task, cpus: number, names: string[]): string[] | undefined {
  const mpi = mpiFlavour(task);
  if (mpi) return mpiCommand(task, mpi, cpus, names);
  if (task.cmd === undefined || task.cmd.trim() === '') return undefined;
  return splitCommandLine(task.cmd);
}

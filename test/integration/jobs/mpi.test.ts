/** MPI tasks on one node (docs/wire.md 7.6), with real images of Open MPI and MPICH, on the whole stack. */
import { readFileSync, rmSync } from 'node:fs';
import { getuid } from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findMpiImage } from '../../ground/images.ts';
import { makeJobAccount, type JobAccount } from '../../ground/job-account.ts';
import { expectNothingLeft } from '../../ground/leftovers.ts';
import { processesWith } from '../../ground/processes.ts';
import type { Rest } from '../../ground/rest.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

/** What the greetings in an output are made of, sorted: their pieces reach `mpirun` apart, with others' between. */
const pieces = (output: string) =>
  output
    .split(/\n|(?=hello rank=)|(?= <)/)
    .filter(Boolean)
    .toSorted();

describe.runIf(getuid?.() === 0).each(['openmpi', 'mpich'] as const)('an %s task', (flavour) => {
  let running: RunningStack;
  let rest: Rest;
  const workDirectory = `/var/tmp/prominence-test-mpi-${process.pid}`;
  let account: JobAccount;

  beforeAll(async () => {
    const archive = await findMpiImage(flavour);
    account = makeJobAccount('mpi');
    running = await runningStack({
      execution: { killGraceSeconds: 1 },
      // More than the machine may have: what counts is what the job was given.
      sites: [{ type: 'local', name: 'local', cpus: 8, memoryGb: 8, diskGb: 20, workDirectory, account: account.name }],
    });
    rest = running.rest;
    await rest.upload(`${flavour}.tar`, readFileSync(archive));
  });
  afterAll(async () => {
    await running?.stop();
    rmSync(workDirectory, { recursive: true, force: true });
    account?.remove();
  });

  const job = (cmd: string, task: object = {}, cpus = 4) =>
    shellJob('', {
      resources: { nodes: 1, cpus, memory: 2, disk: 5 },
      tasks: [{ image: `${flavour}.tar`, runtime: 'singularity', type: flavour, cmd, ...task }],
    });
  const hello = (rank: number, size: number, rest: string) => `hello rank=${rank} size=${size} sum=${size} ${rest}`;

  it('has a process for each of its CPUs, with its environment and its quotes', async () => {
    const env = { GREETING: 'good "day", $you' };
    const id = await rest.submit(job(`/opt/mpi/hello "a  b" 'c "d"' "it's" '$HOME' $HOME`, { env }));
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    const words = `threads=none greeting=<good "day", $you> <a  b> <c "d"> <it's> <$HOME> </home/user>`;
    expect(pieces(await rest.output(id))).toEqual(pieces([0, 1, 2, 3].map((rank) => hello(rank, 4, words)).join('\n')));
  });

  it('talks between its processes, as many as asked for', async () => {
    const env = { OMP_NUM_THREADS: 2 };
    const ring = job('/opt/mpi/ring', { procsPerNode: 2, env });
    const id = await rest.submit(ring);
    const threads = await rest.submit(job('/opt/mpi/hello', { procsPerNode: 2, env }));
    expect(await rest.ended(id, 120)).toMatchObject({ execution: { tasks: [{ exitCode: 0 }] } });
    expect(await rest.output(id)).toBe('ring size=2 token=40 expected=40\n');
    await rest.ended(threads, 120);
    expect(pieces(await rest.output(threads))).toEqual([0, 1].map((rank) => hello(rank, 2, 'threads=2 greeting=<>')));
  });

  it('ends with the code of its processes, and leaves none when it is deleted', async () => {
    const failing = await rest.submit(job('/bin/sh -c "exit 7"', {}, 2));
    expect((await rest.ended(failing, 120)).execution.tasks[0]!.exitCode).toBe(7);
    const id = await rest.submit(job(`/bin/sh -c 'trap "" TERM; while :; do sleep 4861; done'`, {}, 2));
    await eventually(
      () => Promise.resolve(processesWith('sleep 4861').length >= 2 ? true : undefined),
      () => 'its processes never ran',
    );
    await rest.request('DELETE', `/jobs/${id}`);
    expect(await rest.ended(id)).toMatchObject({ status: 'deleted' });
    expect(processesWith('sleep 4861')).toEqual([]);
  });

  it('leaves nothing on its machine', () =>
    expectNothingLeft({ account, workDirectories: [workDirectory], secrets: [] }));

  it('is the same on all nodes of a job of one node', async () => {
    const id = await rest.submit({ ...job('/opt/mpi/ring', {}, 2), policies: { runSerialTasksOnAllNodes: true } });
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe('ring size=2 token=40 expected=40\n');
  });
});

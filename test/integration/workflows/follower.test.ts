/** What a machine's follower does when the machine, Temporal or a run makes trouble; on a real PostgreSQL. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createMachineActivities } from '../../../activities/machine.ts';
import type { Signals } from '../../../activities/signals.ts';
import type { Connection } from '../../../db/connection.ts';
import { submitJob } from '../../../db/submissions.ts';
import { parseJobDescription } from '../../../descriptions/job.ts';
import { HostError } from '../../../hosts/host.ts';
import type { Machine, MachineWatch } from '../../../hosts/machine.ts';
import { eventually } from '../../ground/rest.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { startDatabase, type TestDatabase } from '../api/postgres.ts';

let database: TestDatabase;
let connection: Connection;
let machineId: number;
let jobIds: number[];

beforeAll(async () => {
  database = await startDatabase();
  connection = database.connection;
});
afterAll(async () => {
  await database?.destroy();
});
beforeEach(async () => {
  await connection.sql`truncate machines, jobs, placements, outbox restart identity cascade`;
  const [machine] = await connection.sql<{ id: number }[]>`
    insert into machines (site, name, state, cpus, memory, disk, free_cpus, free_memory, free_disk)
    values ('here', 'one', 'ready', 4, 8e9, 8e9, 4, 8e9, 8e9) returning id`;
  machineId = machine!.id;
  jobIds = [];
  for (let job = 0; job < 3; job += 1) {
    const parsed = parseJobDescription(shellJob('true'));
    if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
    const { submitted, description } = parsed;
    const { id } = await submitJob(connection.db, { identity: { owner: 'ann', groups: [] }, submitted, description });
    await connection.sql`
      insert into placements (job_id, attempt, node, machine_id, owner, cpus, memory, disk)
      values (${id}, 1, 0, ${machineId}, 'ann', 1, 1, 1)`;
    jobIds.push(id);
  }
});

/** Follows until `over` says so. Told jobs give up their claims, as their executions do. */
async function follow(machine: Partial<Machine>, runLost: Signals['runLost'], over: () => Promise<true | undefined>) {
  const said: string[] = [];
  const say = (data: object, message: string) => void said.push(`${message} ${JSON.stringify(data)}`);
  const { followMachine } = createMachineActivities({
    db: connection.db,
    deployment: 'test',
    logBytesPerStream: 1000,
    machineLostAfterSeconds: 0,
    machine: () => Promise.resolve(machine as Machine),
    signals: { runLost, taskFinished: () => Promise.resolve() },
    log: { warn: say, info: say },
  });
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const following = environment.run(followMachine, { machineId });
  following.catch(() => undefined);
  try {
    await Promise.race([following, eventually(over, () => `it did not come to that: ${said.join('\n')}`)]);
    return { said };
  } finally {
    environment.cancel();
    await following.catch(() => undefined);
  }
}

const away: Partial<Machine> = { probe: () => Promise.reject(new HostError('unreachable', 'no route')) };

async function claims(): Promise<number> {
  const [row] = await connection.sql<{ left: number }[]>`select count(*)::int as left from placements`;
  return row!.left;
}
const noClaims = async () => ((await claims()) === 0 ? true : undefined);

const told: string[] = [];
const hear: Signals['runLost'] = async (temporalId) => {
  told.push(temporalId);
  await connection.sql`delete from placements where job_id = ${Number(temporalId.slice(4))}`;
};

it('tells the others that their machine is lost after it died in the middle of telling', async () => {
  let tells = 0;
  const failing: Signals['runLost'] = async (temporalId, lost) => {
    tells += 1;
    if (tells === 2) throw new Error('Temporal is away');
    await hear(temporalId, lost);
  };
  await expect(follow(away, failing, noClaims)).rejects.toThrow('Temporal is away');
  expect(await claims()).toBe(2);
  await follow(away, hear, noClaims);
  expect(new Set(told)).toEqual(new Set(jobIds.map((id) => `job-${id}`)));
});

it('tells again who had no execution yet that could hear it', async () => {
  let tells = 0;
  const deaf: Signals['runLost'] = async (temporalId, lost) => {
    tells += 1;
    if (tells > 3) await hear(temporalId, lost);
  };
  await follow(away, deaf, noClaims);
  expect(tells).toBeGreaterThanOrEqual(6);
});

it('tells what ran on a machine that left the configuration', async () => {
  await connection.sql`update machines set state = 'removed'`;
  await follow(away, hear, noClaims);
  expect(await claims()).toBe(0);
});

it('takes a machine that answers but can not be used for one out of reach', async () => {
  const broken: Partial<Machine> = {
    probe: () => Promise.reject(new Error('could not prepare: read-only file system')),
  };
  await follow(broken, hear, noClaims);
  const [row] = await connection.sql`select state, last_error from machines`;
  expect(row).toEqual({ state: 'lost', last_error: 'could not prepare: read-only file system' });
});

it('goes on, and says so once, when a run that is left over can not be removed', async () => {
  let removals = 0;
  const run = { deployment: 'test', jobId: 999_999, attempt: 1, node: 0 };
  const watch: Partial<MachineWatch> = {
    ended: new Promise(() => {}),
    list: () => Promise.resolve([{ run, stdoutBytes: 0, stderrBytes: 0, tasks: [] }]),
    remove: () => Promise.reject(new Error(`could not remove it (look ${(removals += 1) > 0 ? 'again' : ''})`)),
    waitForChange: () => new Promise((resolve) => setTimeout(resolve, 10)),
    close: () => undefined,
  };
  const machine: Partial<Machine> = {
    probe: () => Promise.resolve({ runtimes: {} } as Awaited<ReturnType<Machine['probe']>>),
    watch: () => Promise.resolve(watch as MachineWatch),
  };
  const { said } = await follow(machine, hear, () => Promise.resolve(removals >= 5 ? true : undefined));
  expect(said.filter((line) => line.includes('could not remove it'))).toHaveLength(1);
  expect(await connection.sql`select state from machines`).toEqual([{ state: 'ready' }]);
});

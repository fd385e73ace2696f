import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { job, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;

beforeAll(async () => {
  api = await startApi();
  anna = await api.as('anna', 'lab', 'vo');
  const annabel = await api.as('annabel', 'lab');
  const ben = await api.as('ben', 'laboratory', 'la');
  await used(anna, '2024-02-28T23:59:59Z', { cpus: 4 }, [3600, 7200]);
  await used(anna, '2024-02-29T00:00:00Z', { cpus: 2 }, [1800, 3600], [900, 1800]);
  await used(anna, '2024-02-29T23:59:59Z', { cpus: 1, nodes: 3 }, [0, 3600]);
  await used(anna, '2024-03-01T00:00:00Z', { cpus: 1 }, [3600, 3600]);
  // Did not get as far as a task.
  await used(anna, '2024-02-29T12:00:00Z', { cpus: 8 });
  await used(annabel, '2024-02-29T12:00:00Z', { cpus: 1 }, [360, 3600]);
  await used(ben, '2024-02-29T12:00:00Z', { cpus: 1 }, [3600, 3600]);
});
afterAll(() => api.close());

/** A job of that moment whose tasks took so many seconds of CPU time and of wall time. */
async function used(
  client: Client,
  at: string,
  provisionedResources: { cpus: number; nodes?: number },
  ...tasks: [cpu: number, wall: number][]
): Promise<number> {
  const { id } = (await client.post('/jobs', job())).json as { id: number };
  const execution = {
    provisionedResources,
    tasks: tasks.map(([cpuTimeUsage, wallTimeUsage]) => ({ cpuTimeUsage, wallTimeUsage })),
  };
  await api.connection.sql`
    update jobs set created_at = ${at}::timestamptz, execution = ${JSON.stringify(execution)}::jsonb where id = ${id}`;
  return id;
}

const day = 'start=2024-02-29&end=2024-02-29';
const ofAnna = { cpuTime: 0.75, wallTime: 6, numberOfJobs: 2 };
const ofAnnabel = { cpuTime: 0.1, wallTime: 1, numberOfJobs: 1 };
const usage = async (client: Client, query: string): Promise<unknown> => {
  const { status, json } = await client.get(`/accounting?${query}`);
  expect(status).toBe(200);
  return (json as { usage: unknown }).usage;
};

describe('usage', () => {
  test('is told in hours of one CPU, by the day of submission, both days included', async () => {
    expect(await usage(anna, day)).toEqual({ users: { anna: ofAnna }, groups: {} });
    expect(await usage(anna, 'start=2024-02-28&end=2024-03-01')).toEqual({
      users: { anna: { cpuTime: 0.75 + 1 + 1, wallTime: 6 + 8 + 1, numberOfJobs: 4 } },
      groups: {},
    });
    expect(await usage(anna, 'start=0001-01-01&end=9999-12-31')).toMatchObject({
      users: { anna: { numberOfJobs: 4 } },
    });
  });

  test('of others is shown where they are in the same group, and of nobody else', async () => {
    expect(await usage(anna, `${day}&show_all_users=true`)).toEqual({
      users: { anna: ofAnna, annabel: ofAnnabel },
      groups: {},
    });
    expect(await usage(await api.as('ben', 'la'), `${day}&show_all_users=true`)).toEqual({
      users: { ben: { cpuTime: 1, wallTime: 1, numberOfJobs: 1 } },
      groups: {},
    });
    const none = { users: {}, groups: {} };
    expect(await usage(await api.as('loner'), `${day}&show_all_users=true&by_group=true`)).toEqual(none);
    expect(await usage(await api.as('ann', 'l', 'lab/'), `${day}&show_all_users=true&by_group=true`)).toEqual(none);
  });

  test('of groups is of all their members', async () => {
    const lab = { cpuTime: 0.85, wallTime: 7, numberOfJobs: 3 };
    expect(await usage(anna, `${day}&by_group=true`)).toEqual({ users: {}, groups: { lab, vo: ofAnna } });
    expect(await usage(anna, `${day}&by_group=true&show_all_users=true`)).toEqual({
      users: { anna: ofAnna, annabel: ofAnnabel },
      groups: { lab, vo: ofAnna },
    });
  });

  test('does not count again what a rerun kept', async () => {
    const cara = await api.as('cara');
    const first = await used(cara, '2024-02-29T12:00:00Z', { cpus: 1 }, [3600, 3600]);
    const kept = await used(cara, '2024-02-29T13:00:00Z', { cpus: 1 }, [3600, 3600]);
    await api.connection.sql`update jobs set kept_from = ${first} where id = ${kept}`;
    expect(await usage(cara, day)).toMatchObject({ users: { cara: { numberOfJobs: 1 } } });
  });

  test.each([
    ['end=2024-01-01', 'Start date must be provided'],
    ['start=&end=2024-01-01', 'Start date must be provided'],
    ['start=2024-01-01', 'End date must be provided'],
    ['start=2024-02-30&end=2024-03-01', 'Start date must be a day as YYYY-MM-DD, not "2024-02-30"'],
    ['start=2024-03-02&end=2024-03-01', 'Start date must not be after the end date: 2024-03-02 is after 2024-03-01'],
    ['start=yesterday&end=2024-03-01', 'Start date must be a day as YYYY-MM-DD, not "yesterday"'],
    ['start=2024-01-01&end=0000-01-01', 'End date must be a day as YYYY-MM-DD, not "0000-01-01"'],
    ['start=2024-01-01&end=%2B275760-09-13', 'End date must be a day as YYYY-MM-DD, not "+275760-09-13"'],
  ])('%s is a 400', async (query, error) => {
    expect(await anna.get(`/accounting?${query}`)).toMatchObject({ status: 400, json: { error } });
  });
});

describe('resources', () => {
  const machine = (name: string, state: string, cpus: number, free: number) => api.connection.sql`
    insert into machines (site, region, name, state, cpus, memory, disk, free_cpus, free_memory, free_disk)
    values ('site-a', 'north', ${name}, ${state}, ${cpus}, 64999999999, 100000000000, ${free}, ${free * 1e9}, 500)`;

  test('are the machines that are ready, those with most free first', async () => {
    expect((await anna.get('/resources')).json).toEqual({ existing: [] });
    await machine('small', 'ready', 4, 1);
    await machine('owes', 'ready', 4, -2);
    await machine('large', 'ready', 16, 9);
    const confinement = { ownMounts: true, udockerNamespaces: false };
    const networks = { singularity: { mode: 'host', reason: 'pasta is not installed' } };
    await api.connection.sql`
      update machines set facts = ${JSON.stringify({ confinement, networks })}::json where name = 'large'`;
    for (const state of ['starting', 'unreachable', 'lost', 'removed']) await machine(state, state, 32, 32);
    const { json } = await anna.get('/resources');
    const entry = (cpus: number, free: number) => ({
      capacity: { cpus, memory: 64, disk: 100 },
      free: { cpus: free, memory: free, disk: 0 },
      site: 'site-a',
      region: 'north',
    });
    const large = { ...entry(16, 9), network: 'host', networkReason: 'pasta is not installed', confinement };
    expect(json).toEqual({ existing: [large, entry(4, 1), entry(4, 0)] });
  });
});

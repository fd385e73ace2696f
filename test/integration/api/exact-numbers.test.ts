/** Numbers on the wire: what was sent is what is answered, kept, cloned and run, digit for digit. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findJob } from '../../../db/execution.ts';
import { parameterText } from '../../../domain/parameters.ts';
import { finish, job, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
beforeAll(async () => {
  api = await startApi({ secretsKeys: ['a key for tests that is long enough'] });
  anna = await api.as('anna');
});
afterAll(() => api.close());

const env =
  '{"SEED":9223372036854775807,"NEXT":9007199254740993,"BIG":340282366920938463463374607431768211455,' +
  '"VERSION":2.0,"TOL":1e-07,"HUGE":1e16,"ZERO":-0.0,"FLAG":true,"COUNT":3,"X":0.1,"TEXT":"1.0"}';
const texts = {
  SEED: '9223372036854775807',
  NEXT: '9007199254740993',
  BIG: '340282366920938463463374607431768211455',
  VERSION: '2.0',
  TOL: '1e-07',
  HUGE: '1e+16',
  ZERO: '-0.0',
  FLAG: 'True',
  COUNT: '3',
  X: '0.1',
  TEXT: '1.0',
};
const task = { image: 'busybox', runtime: 'singularity', cmd: 'env', env: 'ENV' };
const withEnv = (document: object) => JSON.stringify(document).replaceAll('"ENV"', env);

async function submitted(path: string, body: string, headers: Record<string, string> = {}): Promise<number> {
  const answer = await anna.post(path, body, headers);
  expect(answer.text).toMatch(/^\{"id":\d+\}$/);
  return answer.json.id as number;
}
/** What runs. */
const runs = async (id: number) => (await findJob(api.connection.db, id))!;
const envOf = async (id: number) => (await runs(id)).description.tasks[0]!.env;

describe('a job', () => {
  const document = job({
    tasks: [{ ...task, imagePullCredential: { username: 'u', token: 'hush' } }],
    resources: { cpus: 1, memory: 'MEMORY', disk: 10 },
  });
  const body = withEnv(document).replace('"MEMORY"', '2.0');

  test('shows its numbers as they were sent, in every view, and runs with their texts', async () => {
    const id = await submitted('/jobs', body);
    expect(await envOf(id)).toEqual(texts);
    for (const path of [`/jobs/${id}`, `/jobs?id=${id}&detail=true`, `/jobs?id=${id}`, '/jobs?num=1']) {
      const { text } = await anna.get(path);
      expect(text).toContain(`"env":${env}`);
      expect(text).toContain('"token":"***"');
    }
    expect((await anna.get(`/jobs/${id}`)).text).toContain('"memory":2.0,');
    expect((await runs(id)).description.resources.memoryGb).toBe(2);
  });

  test('has clones with the same', async () => {
    const id = await submitted('/jobs', body);
    const clone = (await anna.put(`/jobs/${id}/clone`)).json.id as number;
    expect(await envOf(clone)).toEqual(texts);
    expect((await anna.get(`/jobs/${clone}`)).text).toContain(`"env":${env}`);
  });

  test('is another one where only a digit differs', async () => {
    const seed = (value: string) =>
      JSON.stringify(job({ tasks: [{ ...task, env: { A: 'SEED' } }] })).replace('"SEED"', value);
    const key = { 'Idempotency-Key': 'seeds' };
    const id = await submitted('/jobs', seed('9007199254740993'), key);
    expect(await submitted('/jobs', seed('9007199254740993'), key)).toBe(id);
    expect((await anna.post('/jobs', seed('9007199254740992'), key)).status).toBe(409);
  });

  test.each([
    ['1e400', 'must be a string or a number'],
    ['[1.0]', 'must be a string or a number'],
    ['"\\u00001.0"', 'must not contain NUL'],
    ['01', 'not valid JSON'],
  ])('is refused with %s in its environment', async (value, message) => {
    const wrong = JSON.stringify(job({ tasks: [{ ...task, env: { A: 'VALUE', B: 'TWO' } }] }));
    const answer = await anna.post('/jobs', wrong.replace('"VALUE"', value).replace('"TWO"', '2.0'));
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(message);
  });

  test.each(['{"cpus":1.0,"memory":1.0}', '{"cpus":1e0,"memory":1,"nodes":1.0}'])(
    'has %s for its resources, as ever',
    async (resources) => {
      const id = await submitted('/jobs', JSON.stringify(job({ resources: 'R' })).replace('"R"', resources));
      expect((await runs(id)).description.resources).toMatchObject({ cpus: 1, memoryGb: 1, nodes: 1 });
    },
  );

  test('has no number where text is asked for', async () => {
    for (const member of ['name', 'labels', 'outputFiles']) {
      const value = { name: '2.0', labels: '{"start":2.0}', outputFiles: '[2.0]' }[member]!;
      const wrong = JSON.stringify(job({ [member]: 'VALUE' })).replace('"VALUE"', value);
      const plain = await anna.post('/jobs', JSON.stringify(job({ [member]: JSON.parse(value) as unknown })));
      expect(await anna.post('/jobs', wrong)).toMatchObject({ status: 400, json: plain.json as object });
    }
  });
});

describe('a workflow', () => {
  const seeds = '[9007199254740992,9007199254740993,9223372036854775807,1e-07,2.0,42,"2.0"]';
  const factory = (type: string, parameter: string) =>
    `{"name":"f","type":"${type}","jobs":["member"],"parameters":[${parameter}]}`;
  const zip = factory('zip', `{"name":"seed","values":${seeds}}`);
  const bodyWith = (factories: string, changes: object = {}) =>
    withEnv({
      name: 'w',
      jobs: [
        job({
          name: 'member',
          tasks: [{ ...task, cmd: 'run $seed', workdir: '/tmp/$seed', stdout: 'log-$seed' }],
          outputFiles: ['out-$seed'],
          ...changes,
        }),
      ],
      factories: ['FACTORIES'],
    }).replace('"FACTORIES"', factories);

  async function instances(first: number, count: number) {
    return Promise.all(Array.from({ length: count }, (_, i) => runs(first + i)));
  }

  test('has instances with the numbers that were meant, everywhere', async () => {
    const id = await submitted('/workflows', bodyWith(zip));
    const expected = ['9007199254740992', '9007199254740993', '9223372036854775807', '1e-07', '2.0', '42', '2.0'];
    const made = await instances(id + 1, 7);
    expect(made.map(({ parameters }) => parameterText(parameters!['seed']!))).toEqual(expected);
    expect(made.map(({ description }) => description.tasks[0]!.cmd)).toEqual(expected.map((seed) => `run ${seed}`));
    expect(made.map(({ description }) => description.tasks[0]!.stdout)).toEqual(expected.map((seed) => `log-${seed}`));
    expect(made[1]!.description.tasks[0]).toMatchObject({ workdir: '/tmp/9007199254740993', env: texts });

    const list = await anna.get(`/jobs?id=${id}&workflow=true&num=-1&all=true`);
    const shown = [...list.text.matchAll(/"parameters":\{"seed":([^}]*)\}/g)].map(([, value]) => value);
    expect(shown.toSorted()).toEqual([...expected.slice(0, 6), '"2.0"'].toSorted());
    expect(list.text).toContain(`"env":${env}`);
    const described = (await anna.get(`/workflows/${id}`)).text;
    expect(described).toContain(`"values":${seeds}`);
    expect(described).toContain(`"env":${env}`);
  });

  test('has clones and reruns with the same', async () => {
    const id = await submitted('/workflows', bodyWith(zip));
    const clone = (await anna.put(`/workflows/${id}/clone`)).json.id as number;
    for (let instance = 1; instance <= 7; instance += 1) await finish(api.connection, id + instance, 'failed');
    await api.connection.sql`update workflows set status = 'failed', ended_at = now() where id = ${id}`;
    const rerun = (await anna.put(`/workflows/${id}`)).json.id as number;
    const single = (await anna.put(`/jobs/${id + 3}/clone`)).json.id as number;
    const original = await instances(id + 1, 7);
    for (const again of [clone, rerun]) {
      const made = await instances(again + 1, 7);
      expect(made.map(({ description }) => description)).toMatchObject(
        original.map(({ description: { tasks, outputFiles } }) => ({ tasks, outputFiles })),
      );
      expect((await anna.get(`/workflows/${again}`)).text).toContain(`"values":${seeds}`);
    }
    expect((await runs(single)).description.tasks[0]!.cmd).toBe('run 9223372036854775807');
    expect((await anna.get(`/jobs/${single}`)).text).toContain('"parameters":{"seed":9223372036854775807}');
  });

  test('sweeps whole numbers and decimals exactly, and says so in its dry run', async () => {
    const sweep = (range: string) => factory('parametricSweep', `{"name":"seed",${range}}`);
    const parametersOf = async (range: string) => {
      const { text } = await anna.post('/workflows?dryrun', bodyWith(sweep(range)));
      return [...text.matchAll(/"parameters":\{"seed":([^}]*)\}/g)].map(([, value]) => value);
    };
    expect(await parametersOf('"start":9007199254740993,"end":9007199254740995,"step":1')).toEqual(
      ['3', '4', '5'].map((digit) => `900719925474099${digit}`),
    );
    expect(await parametersOf('"start":-1e-07,"end":1e-07,"step":1e-07')).toEqual(['-1e-07', '0', '1e-07']);
    expect(await parametersOf('"start":2460000.5,"end":2460000.500003,"number":4')).toEqual(
      ['', '001', '002', '003'].map((digits) => `2460000.5${digits && `00${digits}`}`),
    );
  });

  test('of before keeps what it has', async () => {
    const id = await submitted(
      '/workflows',
      bodyWith(factory('parameterSweep', '"P"').replace('"P"', '{"name":"seed","start":0,"end":0.3,"step":0.1}')),
    );
    const { sql } = api.connection;
    const old = [{ name: 'seed', start: 0, step: 0.1, count: 4 }];
    await sql`update workflows set is_expanded = false,
      description = jsonb_set(description, '{factories,0,parameters}', ${JSON.stringify(old)}::jsonb) where id = ${id}`;
    const clone = (await anna.put(`/workflows/${id}/clone`)).json.id as number;
    const made = await instances(clone + 1, 4);
    expect(made.map(({ parameters }) => parameters)).toEqual([0, 0.1, 0.2, 0.3].map((seed) => ({ seed })));
  });

  test('warns of names that are no parameters, in the dry run and where it is described', async () => {
    const body = bodyWith(zip, { outputDirs: ['$run-$seed'] });
    const warning = 'job "member": $run in outputDirs[0] is no parameter of the factory, and stays as it is';
    expect((await anna.post('/workflows?dryrun', body)).json.warnings).toEqual([warning]);
    const id = await submitted('/workflows', body);
    expect((await anna.get(`/workflows/${id}`)).json[0].warnings).toEqual([warning]);
    const [shown] = (await anna.get(`/jobs/${id + 1}`)).json;
    expect(shown.warnings).toEqual([warning.slice('job "member": '.length)]);
    expect((await anna.get(`/jobs?id=${id}&workflow=true`)).json[0]).not.toHaveProperty('warnings');
    // What is printed is submitted again.
    const { text } = await anna.get(`/workflows/${id}`);
    const { status: _status, id: _id, events: _events, progress: _progress, ...printed } = JSON.parse(text)[0];
    expect((await anna.post('/workflows', printed)).status).toBe(201);
    const fine = await anna.post('/workflows?dryrun', bodyWith(zip));
    expect(fine.json).not.toHaveProperty('warnings');
  });

  test.each([
    [{ tasks: [{ ...task, env: {}, stdout: '$seed' }] }, 'stdout'],
    [{ tasks: [{ ...task, env: {}, stdout: 'logs/$seed/' }] }, undefined],
    [{ tasks: [{ ...task, env: {} }], outputFiles: ['$seed'] }, 'outputs'],
  ])('is refused where a value leads out of scratch: %j', async (changes, what) => {
    const factories = factory('zip', '{"name":"seed","values":["a","../../b"]}');
    const answer = await anna.post('/workflows', bodyWith(factories, changes));
    expect(answer.status).toBe(400);
    if (what) {
      const sentence = `${what} of a job must be in the scratch directory (/home/user): "../../b" of instance 1 is not`;
      expect(answer.json.error).toBe(`${sentence} (job "member")`);
    }
  });
});

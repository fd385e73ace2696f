/** Nothing of one user is seen, named or changed by another, however they ask; and no question breaks the server. */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { endCall } from '../../../db/job-calls.ts';
import { uploadKey } from '../../../storage/keys.ts';
import { clientOf, job, signingKey, startApi, type Answer, type Client, type TestApi } from './api.ts';

const secret = 'kept-by-the-victim';
const victim = 'anna';
let api: TestApi;
let jobId: number;
let workflowId: number;
const strangers: [who: string, client: () => Client][] = [
  ['whose name begins with the victim’s', () => longer],
  ['whose name the victim’s begins with', () => shorter],
  ['with the victim’s name as a group', () => namesake],
  ['in groups around the victim’s', () => around],
  ['whose name and group look like the victim’s', () => alike],
  ['whose name and group are written larger', () => larger],
  ['that is a job', () => inside],
];
let longer: Client;
let shorter: Client;
let namesake: Client;
let around: Client;
let alike: Client;
let larger: Client;
let inside: Client;

beforeAll(async () => {
  api = await startApi();
  const anna = await api.as(victim, 'lab/inner');
  jobId = (await anna.post('/jobs', job({ name: secret, outputFiles: [secret] }))).json.id as number;
  workflowId = (await anna.post('/workflows', { name: secret, jobs: [job({ name: 'a' })] })).json.id as number;
  const { sql, db } = api.connection;
  await sql`
    update jobs set status = 'running', attempt = 1, started_at = now(), execution = '{"tasks":[{"wallTimeUsage":1}]}'
    where id = ${jobId}`;
  await sql`
    insert into job_logs (job_id, attempt, node, stream, byte_offset, byte_length, bytes)
    values (${jobId}, 1, 0, 'stdout', 0, ${secret.length}, ${Buffer.from(secret)})`;
  await sql`insert into job_points (job_id, measurement, field, value) values (${jobId}, ${secret}, 'f', '1')`;
  await anna.request('POST', '/kv/deep/key', { body: secret });
  const put = (key: string) => api.store.folder.write(key, Readable.from([Buffer.from(secret)]), {});
  await put(uploadKey.own(victim, `${secret}.txt`));
  await put(uploadKey.group({ group: 'lab/inner', name: `${secret}.txt` }));
  const [call] = await sql`
    insert into job_calls (job_id, attempt, request)
    values (${jobId}, 1, ${JSON.stringify({ kind: 'snapshot', path: 'a' })}::jsonb) returning id`;
  await endCall(db, call!['id'] as string, { kind: 'uploaded', sizeBytes: 1 });

  longer = await api.as(`${victim}2`);
  shorter = await api.as(victim.slice(0, -1));
  namesake = await api.as('mallory', victim, `users/${victim}`, `../users/${victim}`, `${victim}/deep`, 'deep');
  around = await api.as('trudy', 'lab', 'lab/inn', 'lab/inner/deeper', 'l', 'lab/', '%', '*');
  // With a Cyrillic a, and in full width.
  alike = await api.as('\u0430nna', 'l\u0430b/inner', '\uff4c\uff41\uff42/inner', 'lab\uff0finner');
  larger = await api.as('Anna', 'LAB/INNER', 'Lab/inner');
  const other = (await longer.post('/jobs', job())).json.id as number;
  await sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${other}`;
  const sign = jobTokenSigner(signingKey);
  const token = await sign({ username: `${victim}2`, groups: [victim], job: other, attempt: 1 }, 60);
  inside = clientOf(api.app, { Authorization: `Bearer ${token}` });
});
afterAll(() => api.close());

/** Every row that is the victim's, as text. */
async function belongings(): Promise<string> {
  const { sql } = api.connection;
  const objects: string[] = [];
  for await (const { key } of api.store.list('uploads/')) if (key.includes(secret)) objects.push(key);
  return JSON.stringify([
    await sql`select * from jobs where owner = ${victim} order by id`,
    await sql`select * from workflows where owner = ${victim} order by id`,
    await sql`select * from key_values where owner = ${victim} order by key`,
    await sql`select * from job_points where job_id = ${jobId}`,
    await sql`select * from job_calls where job_id = ${jobId}`,
    objects,
  ]);
}

/** What could name something of the victim's, where a part of a path is expected. */
const names = [
  victim,
  `${victim}/deep/key`,
  `../${victim}/deep/key`,
  `..%2F${victim}%2Fdeep%2Fkey`,
  `%2e%2e%2f${victim}%2fdeep%2fkey`,
  `/${victim}/deep/key`,
  `//deep//key`,
  'deep/key',
  'deep%2Fkey',
  'deep%00key',
  'deep/key%0A',
  'deep\\key',
  '%5C..%5C',
  '.',
  '..',
  '%2e',
  '*',
  '%25',
  '_',
  'lab/inner',
  'lab/inner/',
  'lab//inner',
  'lab%2Finner',
  'lab/./inner',
  'lab\uff0finner',
  'lab%c0%afinner',
  'lab%252Finner',
  'lab;/inner',
  `%252e%252e%252fusers%252f${victim}%252f${secret}.txt`,
  `\u0430nna/deep/key`,
  `\uff0e\uff0e/users/${victim}/${secret}.txt`,
  `lab/inner/${secret}.txt`,
  `lab/inner/deeper/../${secret}.txt`,
  `users/${victim}/${secret}.txt`,
  `..%2Fusers%2F${victim}%2F${secret}.txt`,
  `${secret}.txt`,
  '%F0%9F%98%80',
  '%ED%A0%80',
  '%',
  '%zz',
  'x'.repeat(5000),
  '\u{1F600}'.repeat(300),
];

function questions(): [method: string, path: string, body?: string][] {
  const own = [`/jobs/${jobId}`, `/workflows/${workflowId}`];
  const queries = ['', '?detail', '?all', '?completed=true&num=-1', `?name=${secret}`, '?list=true&values'];
  return [
    ...['/jobs', '/workflows', '/kv', '/data', '/resources'].flatMap((path) =>
      queries.map((query): [string, string] => ['GET', path + query]),
    ),
    ['GET', `/jobs?id=${jobId}&detail`],
    ['GET', `/jobs?id=${workflowId}&workflow=true&all`],
    ['GET', `/accounting?start=2000-01-01&end=2999-01-01&by_group=true&show_all_users=true`],
    ['DELETE', `/jobs?id=${jobId}`],
    ['DELETE', `/workflows?id=${workflowId}`],
    ...own.flatMap((path): [string, string][] => [
      ['GET', path],
      ['DELETE', path],
      ['PUT', `${path}/clone`],
      ['PUT', `${path}/remove`],
      ['GET', `${path}/stdout`],
      ['GET', `${path}/a/stdout`],
    ]),
    ['PUT', `/workflows/${workflowId}`],
    ['GET', `/workflows/${workflowId}/graph`],
    ['POST', `/jobs/${jobId}/exec?command=ls`],
    ['PUT', `/jobs/${jobId}/snapshot?path=a`],
    ['GET', `/jobs/${jobId}/snapshot`],
    ['GET', `/ts/${jobId}`],
    ...names.flatMap((name): [string, string, string?][] => [
      ['GET', `/kv/${name}`],
      ['GET', `/kv/${name}?list=true&values`],
      ['POST', `/kv/${name}`, 'changed'],
      ['POST', `/kv/${name}?prev=${secret}`, 'changed'],
      ['DELETE', `/kv/${name}`],
      ['DELETE', `/kv/${name}?prefix`],
      ['GET', `/data/${name}`],
      ['DELETE', `/data/${name}`],
      ['POST', `/data/upload?name=${name}`],
      ['POST', '/data/output', JSON.stringify({ name: decoded(name) })],
      ['POST', '/jobs', JSON.stringify(job({ artifacts: [{ url: decoded(name) }] }))],
      ['POST', '/jobs', JSON.stringify(job({ tasks: [{ image: `${decoded(name)}.sif`, runtime: 'singularity' }] }))],
      ['PUT', `/jobs/${jobId}/snapshot?path=${name}`],
      ['POST', `/jobs/${jobId}/exec?command=cat,${name}`],
    ]),
  ];
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

describe.each(strangers)('somebody %s', (_who, client) => {
  test('sees and changes nothing of the victim, and nothing breaks', async () => {
    const before = await belongings();
    const seen: string[] = [];
    for (const [method, path, body] of questions()) {
      const init = body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } };
      const answer: Answer = await client().request(method, path, init);
      const asked = `${method} ${path.slice(0, 200)} ${body?.slice(0, 200) ?? ''}`;
      if (answer.status >= 500) seen.push(`${asked} gave ${answer.status}`);
      // A URL to upload, or a sentence, may repeat what was asked for.
      const isEcho = decoded(asked).includes(secret);
      if (answer.text.includes(secret) && !isEcho) seen.push(`${asked} told ${answer.text}`);
      if (answer.json?.url && String(answer.json.url).includes(`users/${victim}/`))
        seen.push(`${asked} opened an upload`);
    }
    expect(seen).toEqual([]);
    expect(await belongings()).toBe(before);
  });
});

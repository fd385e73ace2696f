import { expect, it } from 'vitest';
import type { JobDetail, JobStatus } from '../../client/types.ts';
import { follow } from './follow.ts';

const job = (status: JobStatus): JobDetail => ({ id: 1, name: '', status, tasks: [], events: { createTime: 1 } });

it('a job is told by each change of its state, and its output is told once and whole', async () => {
  const states: JobStatus[] = ['pending', 'pending', 'running', 'running', 'completed'];
  const written = Buffer.from('grüße\nende\n');
  // Cut inside a character, as a server that counts bytes may.
  const visible = [0, 0, 3, 8, written.length];
  let asked = -1;
  const told: string[] = [];
  let output = '';
  const last = await follow(
    {
      describe: () => Promise.resolve(job(states[(asked += 1)] ?? 'completed')),
      stdout: (_id, range) => Promise.resolve(written.subarray(range?.offsetBytes ?? 0, visible[asked])),
    },
    1,
    { onStatus: (status) => told.push(status), onOutput: (text) => (output += text) },
    { signal: new AbortController().signal, withinSeconds: 30 },
  );
  expect(last.status).toBe('completed');
  expect(told).toEqual(['pending', 'running', 'completed']);
  expect(output).toBe('grüße\nende\n');
});

/** Workflows for the tests of the API, and the states that execution would bring them into. */
import { expect } from 'vitest';
import type { Connection } from '../../../db/connection.ts';
import { job, type Client } from './api.ts';

export const named = (name: string, changes: Record<string, unknown> = {}) => job({ name, ...changes });

/** A sweep `point` of four over `x` and `tag`, and `merge` after it. */
export function scan(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'scan',
    jobs: [
      named('point', {
        tasks: [{ image: 'busybox', runtime: 'singularity', cmd: 'echo $x' }],
        outputFiles: ['out-$x.txt'],
        outputDirs: ['run/$tag'],
      }),
      named('merge'),
    ],
    factories: [
      {
        name: 'f',
        type: 'zip',
        jobs: ['point'],
        parameters: [
          { name: 'x', values: [0.5, -2, 3, 1e-7] },
          { name: 'tag', values: ['a b', 'x-y', '03', 'ü'] },
        ],
      },
    ],
    dependencies: { point: ['merge'] },
    ...changes,
  };
}

export async function createWorkflow(client: Client, changes: Record<string, unknown> = {}): Promise<number> {
  const answer = await client.post('/workflows', scan(changes));
  expect(answer).toMatchObject({ status: 201, json: { id: expect.any(Number) } });
  return answer.json.id as number;
}

/** Ends a workflow and all its jobs: those of the steps named fail, the others succeed. */
export async function finishWorkflow(
  { sql }: Connection,
  id: number,
  status: 'completed' | 'failed' | 'deleted' = 'completed',
  failing: string[] = [],
): Promise<void> {
  await sql`
    update jobs set status = 'completed', succeeded = not (steps.name = any(${failing})), started_at = now(), ended_at = now(),
      in_queue = false, attempt = 1
    from workflow_steps steps where jobs.workflow_id = ${id} and steps.workflow_id = ${id} and steps.step = jobs.step`;
  await sql`
    update workflow_steps set queued = 0, failed = case when name = any(${failing}) then count else 0 end,
      done = case when name = any(${failing}) then 0 else count end where workflow_id = ${id}`;
  await sql`
    update workflows set status = ${status}, started_at = now(), ended_at = now(), in_queue = leave_in_queue, queued = 0,
      done = sums.done, failed = sums.failed
    from (select sum(done)::int as done, sum(failed)::int as failed from workflow_steps where workflow_id = ${id}) as sums
    where id = ${id}`;
}

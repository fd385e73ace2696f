/** Parts of the bench that must not share a process with what they measure: told on stdin, answering on stdout. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { SubmitOrder, SubmitReport } from './submit-clients.ts';
import type { WorkflowOrder, WorkflowReport } from './floor/client.ts';

export function submitJobs(order: SubmitOrder): Promise<SubmitReport> {
  return runChild('submit-clients.ts', order);
}

export function runWorkflows(order: WorkflowOrder): Promise<WorkflowReport> {
  return runChild('floor/client.ts', order);
}

export function startChild(file: string) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', path], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function runChild<Report>(file: string, order: object): Promise<Report> {
  const child = startChild(file);
  const ended = once(child, 'exit');
  child.stdin.end(JSON.stringify(order));
  const said = await text(child.stdout);
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code ?? 'a signal'}`);
  return JSON.parse(said) as Report;
}

/** What an e-mail about something that ended says: plain text, as short as it is useful. */
import { progressOf } from '../domain/workflow-progress.ts';
import type { Ended, EndedJob, EndedWorkflow } from '../domain/notification.ts';
import { parameterText } from '../domain/parameters.ts';
import type { TerminalStatus } from '../domain/status.ts';

export interface EmailText {
  subject: string;
  text: string;
}

/** Of a finished job the subject is upstream's, by which people may sort (docs/wire.md 8). */
export function emailText(ended: Ended): EmailText {
  const { about, id, name, status } = ended;
  const shownName = name === '' ? '' : ` (${name.slice(0, 100)})`;
  const sentence = `Your PROMINENCE ${about} with id ${id}${shownName} ${happened[status]}`;
  const facts = [...commonFacts(ended), ...(ended.about === 'job' ? jobFacts(ended) : workflowFacts(ended))];
  const width = Math.max(...facts.map(([label]) => label.length)) + 3;
  const lines = [
    `${sentence}.`,
    '',
    ...facts.map(([label, value]) => `${`${label}:`.padEnd(width)}${value}`),
    '',
    ...(ended.about === 'job' ? jobCommands(ended) : workflowCommands(ended)),
  ];
  return { subject: sentence, text: `${lines.join('\n')}\n` };
}

const happened: Record<TerminalStatus, string> = {
  completed: 'has finished',
  failed: 'has failed',
  deleted: 'was deleted',
  killed: 'was killed',
};

type Fact = [label: string, value: string];

function commonFacts(ended: Ended): Fact[] {
  const { status, statusReason, statusDetail, createdAt, startedAt, endedAt } = ended;
  return [
    ['Status', status],
    ...fact('Reason', statusReason),
    ...fact('Detail', statusDetail?.slice(0, 1000)),
    ['Created', moment(createdAt)],
    ...fact('Started', startedAt && moment(startedAt)),
    ['Ended', moment(endedAt)],
    ...fact('Wall time', startedAt && duration((endedAt.getTime() - startedAt.getTime()) / 1000)),
  ];
}

function jobFacts({ workflowId, parameters, execution }: EndedJob): Fact[] {
  const { tasks, site, maxMemoryUsageKB, retries } = execution;
  const cpuSeconds = tasks.reduce((sum, { cpuTimeUsage = 0 }) => sum + cpuTimeUsage, 0);
  const codes = tasks.map(({ exitCode }) => exitCode ?? 'none');
  const values = Object.entries(parameters ?? {}).map(([name, value]) => `${name}=${parameterText(value)}`);
  return [
    ...fact('Workflow', workflowId === null ? null : String(workflowId)),
    ...fact('Parameters', values.join(', ')),
    ...fact('Exit code of each task', codes.join(', ')),
    ...fact('CPU time', cpuSeconds > 0 ? duration(cpuSeconds) : null),
    ...fact('Memory', maxMemoryUsageKB ? `${Math.ceil(maxMemoryUsageKB / 1024)} MB` : null),
    ...fact('Retries', retries ? String(retries) : null),
    ...fact('Site', site),
  ];
}

function workflowFacts({ counts }: EndedWorkflow): Fact[] {
  const { done, failed, total, deleted } = progressOf({ ...counts, queued: 0 });
  return [
    ['Jobs', String(total)],
    ['Succeeded', String(done)],
    ['Failed', String(failed)],
    deleted === undefined ? ['Not run', String(counts.skipped)] : ['Deleted', String(deleted)],
  ];
}

function jobCommands({ id, execution, hasOutputs }: EndedJob): string[] {
  return [
    ...(execution.tasks.length > 0 ? [`Its output:   prominence stdout ${id}`] : []),
    ...(hasOutputs ? [`Its files:    prominence download ${id}`] : []),
    `All about it: prominence describe ${id}`,
  ];
}

function workflowCommands({ id, status }: EndedWorkflow): string[] {
  return [
    `Its jobs:     prominence list jobs ${id} --all`,
    ...(status === 'failed' ? [`Run again what failed: prominence rerun ${id}`] : []),
    `All about it: prominence describe workflow ${id}`,
  ];
}

function fact(label: string, value: string | null | undefined): Fact[] {
  return value ? [[label, value]] : [];
}

function moment(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Days+hours:minutes:seconds. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${Math.floor(whole / 86_400)}+${two((whole % 86_400) / 3600)}:${two((whole % 3600) / 60)}:${two(whole % 60)}`;
}

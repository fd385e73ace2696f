import { expect, it } from 'vitest';
import { parseJobDescription } from '../descriptions/job.ts';
import { DescriptionError } from './description-error.ts';
import { taskLaunch } from './launch.ts';

const facts = {
  jobId: 1,
  taskIndex: 0,
  retry: 0,
  walltimeSeconds: 1,
  killGraceSeconds: 1,
  size: { cpus: 1, memory: 1e9, disk: 1e9 },
  apiUrl: 'http://127.0.0.1:1/v1',
  token: 't'.repeat(4000),
  imageKey: 'k',
  fileSha256: 'f',
  logBytesPerStream: 1,
  instance: {},
};

function launchOf(changes: object) {
  const parsed = parseJobDescription({
    resources: { cpus: 1, memory: 1, disk: 1 },
    tasks: [{ image: 'busybox', runtime: 'singularity' }],
  });
  if (parsed.kind === 'invalid') throw new Error('invalid');
  const [task] = parsed.description.tasks;
  return () => taskLaunch({ ...parsed.description, tasks: [{ ...task!, ...changes }] }, facts);
}

it('says what is wrong with a description that can not be started, and that nothing else is', () => {
  const unsplit = launchOf({ cmd: "/bin/echo region=5'-UTR end" });
  expect(unsplit).toThrow(DescriptionError);
  expect(unsplit).toThrow("cmd ends inside a quotation or after a backslash: /bin/echo region=5'-UTR end");
  const tooLong = launchOf({ env: { A: 'x'.repeat(140_000) } });
  expect(tooLong).toThrow(DescriptionError);
  expect(tooLong).toThrow('environment variable A is too long');
  expect(
    launchOf({ env: Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`V${n}`, 'x'.repeat(960)])) }),
  ).not.toThrow();
});

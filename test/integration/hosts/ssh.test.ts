import { afterAll, describe, expect, it } from 'vitest';
import { bridgeAddress, canRunTestbed, testbed } from '../../ground/testbed.ts';
import { describeArchives } from './archive-suite.ts';
import { describeCalls } from './call-suite.ts';
import { describeImages } from './image-suite.ts';
import { describeOutput } from './output-suite.ts';
import { describeStaging } from './staging-suite.ts';
import { describeMounts } from './mount-suite.ts';
import { describeTasks } from './task-suite.ts';
import { sshTransport } from './transports.ts';

afterAll(() => testbed('down'));

describe.runIf(canRunTestbed)('over ssh', () => {
  describeTasks('a host behind ssh', sshTransport);
  describeOutput('a host behind ssh', sshTransport);
  describeStaging('a host behind ssh', sshTransport);
  describeArchives('a host behind ssh', sshTransport);
  describeCalls('a host behind ssh', sshTransport);
  describeImages('a host behind ssh', bridgeAddress, sshTransport);
  describeMounts('a host behind ssh', bridgeAddress, sshTransport);
});

describe.runIf(canRunTestbed)('a host without udocker', () => {
  it('says so, and why an image for it can not be had', async () => {
    const transport = await sshTransport();
    try {
      expect((await transport.machine.probe()).runtimes).toEqual({ singularity: expect.any(String) as string });
      const source = { kind: 'download', url: transport.files.url('x.tar'), archive: true } as const;
      const pulled = transport.machine.pullImage({ runtime: 'udocker', imageKey: 'none', source });
      await expect(pulled).rejects.toMatchObject({ code: 'invalid', message: 'this machine has no udocker' });
    } finally {
      await transport.close();
    }
  });
});

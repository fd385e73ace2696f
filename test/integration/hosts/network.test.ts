import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { getuid } from 'node:process';
import { describe, expect, it } from 'vitest';
import { describeNetwork } from './network-suite.ts';
import { localTransport } from './transports.ts';

describe.runIf(getuid?.() === 0)('on this machine', () => {
  describeNetwork('apptainer', 'singularity', (network) => localTransport({ network }));
  describeNetwork('udocker', 'udocker', (network) => localTransport({ network }));

  describe('a machine that can make no such networks', () => {
    const programs = `/var/tmp/prominence-test-no-pasta-${process.pid}`;
    mkdirSync(programs, { recursive: true });
    writeFileSync(`${programs}/pasta`, '#!/bin/sh\necho "not today" >&2\nexit 1\n');
    chmodSync(`${programs}/pasta`, 0o755);

    it('says why, and gives jobs its own network where the site lets it', async () => {
      const transport = await localTransport({ network: { mode: 'auto', reachable: [] }, programs: [programs] });
      const { networks, runtimes } = await transport.machine.probe();
      expect(networks?.singularity).toMatchObject({ mode: 'host', reason: expect.stringContaining('not today') });
      expect(runtimes.singularity).toBeDefined();
      await transport.close();
    });

    it.each(['isolated', 'none'] as const)('runs no jobs of a site that wants %s, and says why', async (mode) => {
      const transport = await localTransport({ network: { mode, reachable: [] }, programs: [programs] });
      const { networks, runtimes, unableToRun } = await transport.machine.probe();
      expect({ networks, runtimes }).toEqual({ networks: undefined, runtimes: {} });
      expect(unableToRun?.singularity).toMatch(/network.*not today/);
      await transport.close();
    });
  });
});

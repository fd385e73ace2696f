import { getuid } from 'node:process';
import { describe } from 'vitest';
import { describeNetwork } from './network-suite.ts';
import { engineTransport } from './transports.ts';

describe.runIf(getuid?.() === 0)('on this machine', () => {
  describeNetwork('podman', 'singularity', (network) => engineTransport('podman', { network }));
});

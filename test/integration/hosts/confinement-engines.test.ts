import { describeConfinement } from './confinement-suite.ts';
import { hinderedTransport } from './transports.ts';

describeConfinement('podman', {
  runtime: 'singularity',
  bindsBesides: true,
  hasMemoryInShm: true,
  open: () => hinderedTransport('podman'),
});
describeConfinement('docker', {
  runtime: 'singularity',
  bindsBesides: false,
  hasMemoryInShm: true,
  open: () => hinderedTransport('docker'),
});

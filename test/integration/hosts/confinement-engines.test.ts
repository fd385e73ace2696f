import { describeConfinement } from './confinement-suite.ts';
import { hinderedTransport } from './transports.ts';

describeConfinement('podman', {
  runtime: 'singularity',
  bindsBesides: true,
  holdsProcesses: true,
  holdsOpenFiles: true,
  hasMemoryInShm: true,
  open: () => hinderedTransport('podman'),
});
describeConfinement('docker', {
  runtime: 'singularity',
  bindsBesides: false,
  holdsProcesses: false,
  holdsOpenFiles: false,
  hasMemoryInShm: true,
  open: () => hinderedTransport('docker'),
});

import { describeConfinement } from './confinement-suite.ts';
import { hinderedTransport } from './transports.ts';

const open = () => hinderedTransport('apptainer');

describeConfinement('apptainer', {
  runtime: 'singularity',
  bindsBesides: true,
  holdsProcesses: true,
  holdsOpenFiles: true,
  hasMemoryInShm: true,
  open,
});
describeConfinement('udocker', {
  runtime: 'udocker',
  bindsBesides: true,
  holdsProcesses: true,
  holdsOpenFiles: true,
  hasMemoryInShm: false,
  open,
});

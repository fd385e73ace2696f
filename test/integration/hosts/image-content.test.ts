import { describeImageContent } from './image-content-suite.ts';
import { engineTransport, localTransport } from './transports.ts';

describeImageContent('apptainer', 'singularity', localTransport);
describeImageContent('udocker', 'udocker', localTransport);
describeImageContent('podman', 'singularity', () => engineTransport('podman'));
describeImageContent('docker', 'singularity', () => engineTransport('docker'));

import { describeArchives } from './archive-suite.ts';
import { describeCalls } from './call-suite.ts';
import { describeImages } from './image-suite.ts';
import { describeOutput } from './output-suite.ts';
import { describeStaging } from './staging-suite.ts';
import { describeTasks } from './task-suite.ts';
import { localTransport } from './transports.ts';

describeTasks('this machine', localTransport);
describeOutput('this machine', localTransport);
describeStaging('this machine', localTransport);
describeArchives('this machine', localTransport);
describeCalls('this machine', localTransport);
describeImages('this machine', '127.0.0.1', localTransport);

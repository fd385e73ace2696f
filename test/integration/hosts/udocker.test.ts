import { localTransport } from './transports.ts';
import { describeUdocker } from './udocker-suite.ts';

describeUdocker('this machine', '127.0.0.1', localTransport);

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { describeOneData, describeMounts } from './mount-suite.ts';
import { localTransport, localTransportAt } from './transports.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync('/var/tmp/prominence-onedata-');
  chmodSync(home, 0o755);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

describeMounts('this machine', '127.0.0.1', localTransport, { isLocal: true });
describeOneData(
  (programs) => localTransportAt(join(home, 'work'), { programs: [programs] }),
  () => home,
);

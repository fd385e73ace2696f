/**
 * Conformance: the client that users of upstream PROMINENCE have, unmodified, against a running stack. What is asserted
 * are the client's own texts and exit codes. What it needs of a server: docs/wire.md 11.
 */
import { afterAll, beforeAll, describe } from 'vitest';
import { changeTests } from './change-suite.ts';
import { createTests } from './create-suite.ts';
import { dataTests } from './data-suite.ts';
import { describeTests } from './describe-suite.ts';
import { downloadTests } from './download-suite.ts';
import { eoscTests } from './eosc-suite.ts';
import { errorTests } from './error-suite.ts';
import { execTests } from './exec-suite.ts';
import { prepareGround, type Ground } from './ground.ts';
import { insideTests } from './inside-suite.ts';
import { kvTests } from './kv-suite.ts';
import { libraryTests } from './library-suite.ts';
import { libraryWorkflowTests } from './library-workflow-suite.ts';
import { listTests } from './list-suite.ts';
import { otherClientTests } from './other-clients-suite.ts';
import { outputTests } from './output-suite.ts';
import { runTests } from './run-suite.ts';
import { usageTests } from './usage-suite.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await prepareGround();
});
afterAll(() => ground?.close());

const get = (): Ground => ground;

// Fills the machine, so nothing may run beside it.
describe('list', () => listTests(get));

describe.concurrent('create', () => createTests(get));
describe.concurrent('run', () => runTests(get));
describe.concurrent('describe', () => describeTests(get));
describe.concurrent('stdout and stderr', () => outputTests(get));
describe.concurrent('download', () => downloadTests(get));
describe.concurrent('upload, ls and rm', () => dataTests(get));
describe.concurrent('delete, remove and clone', () => changeTests(get));
describe.concurrent('kv', () => kvTests(get));
describe.concurrent('usage and resources', () => usageTests(get));
describe.concurrent('inside a job', () => insideTests(get));
describe.concurrent('exec and snapshot', () => execTests(get));
describe.concurrent('the EOSC client', () => eoscTests(get));
describe.concurrent('what goes wrong', () => errorTests(get));
describe.concurrent('the Python library', () => libraryTests(get));
describe.concurrent('workflows of the Python library', () => libraryWorkflowTests(get));
describe.concurrent('other clients', () => otherClientTests(get));

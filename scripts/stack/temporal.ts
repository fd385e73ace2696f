/**
 * The Temporal dev server of the stack, with the settings that make it fast, and its search attributes. Its commits reach
 * the disk late (`sqlitePragmas`): a killed server loses nothing, a power cut loses the last moments. Therefore the first start
 * after the machine itself was started sends again what is open (`power-cut.ts`).
 */
import { Connection } from '@temporalio/client';
import { taskQueues } from '../../domain/queues.ts';
import { searchAttributes } from '../../temporal/search-attributes.ts';
import type { Home } from './home.ts';
import type { ChildSpec } from './supervised-process.ts';

const namespace = 'default';

/**
 * The dev server has one history shard and polls its transfer queue 20 times a second: every dispatch would wait about
 * 45 ms. A higher rate, and activities handed out with the workflow task that asked for them, take that away.
 */
const dynamicConfig = {
  'system.enableActivityEagerExecution': true,
  'history.transferProcessorMaxPollRPS': 1000,
  'limit.maxIDLength': 255,
};

/**
 * Commits go to a log that is brought to the disk at its checkpoints only, which saves a third of the server's work. Whatever
 * kills the server, nothing is lost: the log is in the kernel's hands. What a power cut takes is the last commits before
 * it; `power-cut.ts` tells the server again what our database knows.
 */
const sqlitePragmas = ['journal_mode=WAL', 'synchronous=NORMAL'];

/** Temporal's `TaskQueueType` and `IndexedValueType` as they are on the wire. */
const taskQueueType = { workflow: 1, activity: 2 } as const;
const indexedValueType = { TEXT: 1, KEYWORD: 2, INT: 3, DOUBLE: 4, BOOL: 5, DATETIME: 6, KEYWORD_LIST: 7 } as const;

/** Those that can be chosen; its history, matching and worker services choose theirs at each start. */
export interface TemporalPorts {
  port: number;
  httpPort: number;
  metricsPort: number;
  uiPort: number;
}

export function temporalChild(options: {
  home: Home;
  program: string;
  ports: TemporalPorts;
  /** Which the web UI asks to decode what it shows. */
  codecUrl: string;
  onStarted: (pid: number) => void;
}): ChildSpec {
  const { home, program, ports, codecUrl, onStarted } = options;
  const { port, httpPort, metricsPort, uiPort } = ports;
  const settings = Object.entries(dynamicConfig).flatMap(([key, value]) => [
    '--dynamic-config-value',
    `${key}=${value}`,
  ]);
  return {
    name: 'temporal',
    command: program,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
      ...['--http-port', String(httpPort), '--metrics-port', String(metricsPort)],
      ...['--ui-codec-endpoint', codecUrl],
      ...['--log-level', 'warn', '--db-filename', home.temporalFile],
      ...sqlitePragmas.flatMap((pragma) => ['--sqlite-pragma', pragma]),
      ...settings,
    ],
    // A user's own Temporal profile must not change this server.
    env: { PATH: process.env['PATH'], HOME: home.path },
    cwd: home.path,
    logFile: home.log('temporal'),
    pidFile: home.pidFile('temporal'),
    onStarted,
    stopSignal: 'SIGTERM',
    stopGraceSeconds: 20,
    isReady: () =>
      withConnection(`127.0.0.1:${port}`, async (connection) => {
        await connection.workflowService.describeNamespace({ namespace });
        return true;
      }),
    readyWithinSeconds: 60,
  };
}

/** Attributes given at the server's start reach only a new data file, so they are added to what is there. Idempotent. */
export async function ensureSearchAttributes(address: string): Promise<void> {
  await withConnection(address, async ({ operatorService }) => {
    const existing = await operatorService.listSearchAttributes({ namespace });
    const missing = Object.values(searchAttributes).filter(({ name }) => !(name in (existing.customAttributes ?? {})));
    if (missing.length === 0) return;
    await operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, indexedValueType[type]])),
    });
  });
}

/** Whether somebody asks for work on every task queue: from then on jobs move. */
export async function hasWorkers(address: string): Promise<boolean> {
  return withConnection(address, async ({ workflowService }) => {
    const asked = [
      { name: taskQueues.workflows, type: taskQueueType.workflow },
      { name: taskQueues.hosts, type: taskQueueType.activity },
      { name: taskQueues.calls, type: taskQueueType.activity },
      { name: taskQueues.transfers, type: taskQueueType.activity },
      { name: taskQueues.machines, type: taskQueueType.activity },
    ];
    const answers = await Promise.all(
      asked.map(({ name, type }) =>
        workflowService.describeTaskQueue({ namespace, taskQueue: { name }, taskQueueType: type }),
      ),
    );
    return answers.every((answer) => (answer.pollers ?? []).length > 0);
  });
}

async function withConnection<T>(address: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: '2s' });
  try {
    return await connection.withDeadline(Date.now() + 5000, () => use(connection));
  } finally {
    await connection.close();
  }
}

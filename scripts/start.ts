/** `npm start`: the embedded stack in the foreground until Ctrl-C or SIGTERM. */
import { once } from 'node:events';
import { setUp } from './components/setup.ts';
import { thisMachine, type Machine } from './machine.ts';
import { stopRequest } from './stop-request.ts';
import { ChildFailed } from './stack/supervised-process.ts';
import { StackRefused, startStack, type Stack } from './stack/stack.ts';

const defaultPort = 8080;

async function main(machine: Machine, stop: AbortSignal): Promise<void> {
  const { missing } = await setUp(machine, { quiet: true, say: (line) => console.log(line) });
  if (missing.length > 0) {
    process.exitCode = 1;
    return;
  }
  const startedAt = Date.now();
  console.log(`Starting the stack on ${machine.home} ...`);
  const databaseUrl = machine.env['DATABASE_URL'];
  const stack = await startStack({
    port: portFrom(machine.env),
    ...(databaseUrl ? { databaseUrl } : {}),
    log: (message) => console.log(message),
  });
  console.log(welcome(stack, machine, (Date.now() - startedAt) / 1000));
  // A stop may have been asked for while the parts were starting: then it happens now.
  if (!stop.aborted) await once(stop, 'abort');
  console.log('Stopping; jobs that run go on, and are found again at the next start ...');
  await stack.stop();
  console.log('Stopped.');
}

function portFrom(env: NodeJS.ProcessEnv): number {
  const text = env['PROMINENCE_PORT'] || String(defaultPort);
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new StackRefused(`PROMINENCE_PORT is "${text}": it must be a port number`);
}

function welcome(stack: Stack, machine: Machine, seconds: number): string {
  const home = machine.env['PROMINENCE_HOME'] ? `PROMINENCE_HOME=${machine.env['PROMINENCE_HOME']} ` : '';
  return [
    `Ready after ${seconds.toFixed(1)} s.`,
    '',
    `  API            ${stack.apiUrl}/v1`,
    `  Temporal       ${stack.temporalAddress}, web UI ${stack.temporalUiUrl} (encrypted; ${stack.apiUrl}/codec/session opens it)`,
    `                 ${stack.temporalWall}`,
    `  Configuration  ${stack.configFile}`,
    `  State, logs    ${stack.home}`,
    ...(stack.mailFolder === undefined
      ? []
      : [`  E-mail         is kept in ${stack.mailFolder}, as there is no notifications.smtp in the configuration`]),
    '',
    'A token, and a first look at your jobs, from another terminal in this folder:',
    '',
    `  export PROMINENCE_URL=${stack.apiUrl}/v1`,
    `  export PROMINENCE_TOKEN=$(${home}npx prominence token --user ${machine.env['USER'] ?? 'me'})`,
    '  curl -H "Authorization: Bearer $PROMINENCE_TOKEN" $PROMINENCE_URL/jobs',
    '',
    ...(machine.env['PROMINENCE_CONFIG']
      ? ['PROMINENCE_CONFIG is not looked at here: this stack reads the file above.', '']
      : []),
    'Ctrl-C stops it.',
  ].join('\n');
}

try {
  const machine = thisMachine();
  await main(machine, stopRequest(machine.env));
} catch (error) {
  if (!(error instanceof StackRefused || error instanceof ChildFailed)) throw error;
  console.error(`Error: ${error.message}`);
  process.exitCode = 1;
}
process.exit();

/** How the project's own processes, the API and the worker, are run in the stack. */
import type { Home } from './home.ts';
import type { ChildSpec } from './supervised-process.ts';

export interface NodeChildOptions {
  name: 'api' | 'worker';
  main: string;
  /** Where tsx and the packages are resolved from. */
  repository: string;
  home: Home;
  env: NodeJS.ProcessEnv;
  isReady: () => Promise<boolean>;
}

export function nodeChild(options: NodeChildOptions): ChildSpec {
  const { name, main, repository, home, env, isReady } = options;
  return {
    name,
    command: process.execPath,
    args: ['--import', 'tsx', main],
    env,
    cwd: repository,
    logFile: home.log(name),
    pidFile: home.pidFile(name),
    stopSignal: 'SIGTERM',
    stopGraceSeconds: 30,
    isReady,
    readyWithinSeconds: 60,
  };
}

/** Whether the API serves and reaches its database. */
export async function isHealthy(apiUrl: string): Promise<boolean> {
  const response = await fetch(`${apiUrl}/health`, { signal: AbortSignal.timeout(3000) });
  await response.body?.cancel();
  return response.status === 204;
}

/** A stack that another process runs on a home: where it answers, and tokens for it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { issueToken } from '../../api/auth/tokens.ts';
import { loadConfig } from '../../config/load.ts';
import { openHome, readPorts } from './home.ts';
import { isHealthy } from './node-child.ts';
import { readLive } from './pid-file.ts';
import type { Stack } from './stack.ts';

export type RunningStack = Pick<Stack, 'home' | 'apiUrl' | 'temporalUiUrl' | 'configFile' | 'token'>;

/** Undefined when none runs there, or its API does not answer (it may be starting or stopping). */
export async function findRunningStack(path: string): Promise<RunningStack | undefined> {
  if (!existsSync(join(path, 'state.json'))) return undefined;
  const home = openHome(path);
  if (!readLive(home.lockFile)) return undefined;
  const ports = readPorts(home);
  const apiUrl = `http://127.0.0.1:${ports.api}`;
  const isUp = await isHealthy(apiUrl).catch(() => false);
  if (!isUp) return undefined;
  const { auth } = loadConfig({ file: home.configFile, env: {} });
  return {
    home: path,
    apiUrl,
    temporalUiUrl: `http://127.0.0.1:${ports.temporalUi}`,
    configFile: home.configFile,
    token: (username, groups = [], expiresSeconds = 86_400) =>
      issueToken(auth.signingKey, { username, groups, expiresSeconds }),
  };
}

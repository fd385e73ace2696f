/** Which configuration the commands are about. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError, type Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';

/**
 * A home that is named stands for its stack, which reads no other configuration either, and nothing of the environment.
 * @throws ConfigError saying how to get one, when there is none yet
 */
export function configuration(env: NodeJS.ProcessEnv): Config {
  const home = env['PROMINENCE_HOME'];
  const named = home ? undefined : env['PROMINENCE_CONFIG'];
  const file = named || join(resolve(home || '.prominence'), 'prominence.yaml');
  if (existsSync(file)) return loadConfig({ file, env: named ? env : {} });
  throw new ConfigError([
    `there is no configuration at ${file}: start the stack once (npm start), or set PROMINENCE_HOME or PROMINENCE_CONFIG`,
  ]);
}

/** What set-up and the embedded stack need to know of the machine and the environment; read here once, passed down. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Machine {
  env: NodeJS.ProcessEnv;
  isRoot: boolean;
  /** The project's folder: installed parts never go there. */
  repository: string;
  /** Where obtained parts are put. */
  cache: string;
  /** Where obtained parts are looked for: an ordinary user also uses what root installed for all, unless told otherwise. */
  caches: string[];
  /** The embedded stack's state. */
  home: string;
}

/** The cache when this process is root: jobs run as another account, which must be able to enter it. */
const sharedCache = '/var/cache/prominence';

export function thisMachine(): Machine {
  const env = process.env;
  const isRoot = process.getuid?.() === 0;
  const cache = cacheFolder(env, isRoot, homedir());
  return {
    env,
    isRoot,
    repository: fileURLToPath(new URL('..', import.meta.url)),
    cache,
    caches:
      env['PROMINENCE_CACHE'] || cache === sharedCache || !existsSync(sharedCache) ? [cache] : [cache, sharedCache],
    home: resolve(env['PROMINENCE_HOME'] || '.prominence'),
  };
}

export function cacheFolder(env: NodeJS.ProcessEnv, isRoot: boolean, userHome: string): string {
  if (env['PROMINENCE_CACHE']) return resolve(env['PROMINENCE_CACHE']);
  if (isRoot) return sharedCache;
  return join(env['XDG_CACHE_HOME'] || join(userHome, '.cache'), 'prominence');
}

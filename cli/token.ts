/** `prominence token`: a token for the embedded stack's API, signed with the key in its configuration. */
import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { issueToken } from '../api/auth/tokens.ts';
import { ConfigError, type Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { parseDuration } from './duration.ts';

interface TokenOptions {
  user: string;
  groups?: string;
  email?: string;
  expires: string;
}

export function addTokenCommand(program: Command): void {
  program
    .command('token')
    .description('print a token for the API of this installation (whoever can read its configuration may)')
    .requiredOption('--user <name>', 'whom the token is for')
    .option('--groups <a,b>', 'groups of that user, separated by commas')
    .option('--email <address>', "the user's address")
    .option('--expires <duration>', 'how long it is good: 90s, 30m, 12h, 7d', '1d')
    .action(async (options: TokenOptions) => {
      console.log(await makeToken(options, process.env));
    });
}

async function makeToken(options: TokenOptions, env: NodeJS.ProcessEnv): Promise<string> {
  if (options.user.trim() === '') throw new ConfigError(['--user must name a user']);
  const expiresSeconds = parseDuration(options.expires);
  const groups = (options.groups ?? '').split(',').filter((group) => group !== '');
  const { auth } = configuration(env);
  return issueToken(auth.signingKey, {
    username: options.user,
    groups,
    ...(options.email === undefined ? {} : { email: options.email }),
    expiresSeconds,
  });
}

/**
 * A home that is named stands for its stack, which reads no other configuration either, and nothing of the environment.
 * @throws ConfigError saying how to get one, when there is none yet
 */
function configuration(env: NodeJS.ProcessEnv): Config {
  const home = env['PROMINENCE_HOME'];
  const named = home ? undefined : env['PROMINENCE_CONFIG'];
  const file = named || join(resolve(home || '.prominence'), 'prominence.yaml');
  if (existsSync(file)) return loadConfig({ file, env: named ? env : {} });
  throw new ConfigError([
    `there is no configuration at ${file}: start the stack once (npm start), or set PROMINENCE_HOME or PROMINENCE_CONFIG`,
  ]);
}

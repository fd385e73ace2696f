/** `prominence token`: a token for the embedded stack's API, signed with the key in its configuration. */
import type { Command } from 'commander';
import { issueToken } from '../api/auth/tokens.ts';
import { ConfigError } from '../config/config.ts';
import { configuration } from './configuration.ts';
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

/**
 * The configuration file that the stack's API and worker read. What the stack decides (addresses, ports) is written at
 * every start; everything else in the file is kept, so that a user can add sites or issuers to it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type * as v from 'valibot';
import { stringify } from 'yaml';
import type { configSchema } from '../../config/config.ts';
import { variables } from '../../config/environment.ts';
import { readConfigFile } from '../../config/file.ts';
import { loadConfig } from '../../config/load.ts';
import { writeWhole, type Home } from './home.ts';

export type Settings = Partial<v.InferInput<typeof configSchema>>;

export interface Addresses {
  apiPort: number;
  databaseUrl: string;
  temporalAddress: string;
  temporalUiUrl: string;
}

/**
 * @param settings replace whole sections of the file, except the keys the stack decides
 * @throws ConfigError naming file and key when what is in the file can't be used: nothing need be started to find out
 */
export function writeConfiguration(home: Home, addresses: Addresses, settings: Settings = {}): Settings {
  const existing = existsSync(home.configFile)
    ? (readConfigFile(home.configFile) as Settings)
    : firstConfiguration(home);
  const configuration = withMail(home, withAddresses({ ...existing, ...settings }, addresses, existing));
  writeWhole(
    home.configFile,
    `# Written by the embedded stack; addresses and ports are set at each start.\n${stringify(configuration)}`,
  );
  loadConfig({ file: home.configFile, env: {} });
  return configuration;
}

/**
 * Merges what the stack decides into the file's content. Keys that are there stay: tokens given out must go on working,
 * and what was encrypted must be readable.
 */
export function withAddresses(content: Settings, addresses: Addresses, { auth, secrets }: Settings): Settings {
  return {
    ...content,
    api: { ...content.api, port: addresses.apiPort },
    database: { ...content.database, url: addresses.databaseUrl },
    temporal: { ...content.temporal, address: addresses.temporalAddress, uiOrigin: addresses.temporalUiUrl },
    auth: { signingKey: auth?.signingKey ?? newKey(), operatorGroups: ['operators'], ...content.auth },
    secrets: { keys: secrets?.keys ?? [newKey()], ...content.secrets },
  };
}

/** Without a server for e-mail, it is kept where the user of a stack of one's own finds it. */
function withMail(home: Home, content: Settings): Settings {
  const { notifications } = content;
  if (notifications?.smtp || notifications?.mailDirectory) return content;
  return { ...content, notifications: { ...notifications, mailDirectory: home.mail } };
}

function firstConfiguration(home: Home): Settings {
  return {
    auth: { signingKey: newKey() },
    secrets: { keys: [newKey()] },
    storage: { kind: 'local', directory: home.objects },
    sites: [{ type: 'local', name: 'local', workDirectory: home.reachableFolder('site') }],
  };
}

function newKey(): string {
  return randomBytes(32).toString('base64url');
}

/** The environment for the API and the worker: the file decides, so variables that would override it are left out. */
export function environmentFor(
  home: Home,
  env: NodeJS.ProcessEnv,
  programFolders: readonly string[],
): NodeJS.ProcessEnv {
  const overriding = new Set(variables.flatMap(({ name }) => [name, `${name}_FILE`]));
  const kept = Object.entries(env).filter(([name]) => !overriding.has(name));
  return {
    ...Object.fromEntries(kept),
    PATH: [...programFolders, env['PATH'] ?? ''].filter(Boolean).join(':'),
    PROMINENCE_CONFIG: home.configFile,
  };
}

/**
 * Reads the configuration once: one YAML file under environment variables.
 * A problem is told by its key, and never with the value of a secret.
 */
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { configSchema, type Config, type SiteConfig } from './config.ts';
import { overlayEnvironment, type Environment } from './environment.ts';
import { readConfigFile } from './file.ts';
import { ConfigError, problemLines } from './problems.ts';

/**
 * @param options.file the YAML file; default `PROMINENCE_CONFIG`; without either the environment must hold it all
 * @throws ConfigError with every problem found, one a line, each line starting with the key (or the file and line)
 */
export function loadConfig(options: { file?: string; env: Environment }): Config {
  const file = options.file ?? (options.env['PROMINENCE_CONFIG'] || undefined);
  const content = file === undefined ? {} : readConfigFile(file);
  const { value, sources, problems } = overlayEnvironment(content, options.env);
  const parsed = v.safeParse(configSchema, value);
  problems.push(...problemLines(configSchema, value, parsed.issues ?? [], sources));
  if (!parsed.success || problems.length > 0) {
    if (file === undefined) problems.push('PROMINENCE_CONFIG: not set, so no configuration file was read');
    throw new ConfigError(problems);
  }
  return withAbsolutePaths(parsed.output, file === undefined ? '.' : dirname(file));
}

/** A path in the file means the same whatever folder a process is started in: it starts from the file's own folder. */
function withAbsolutePaths(config: Config, base: string): Config {
  return {
    ...config,
    storage:
      config.storage.kind === 'local'
        ? { ...config.storage, directory: resolve(base, config.storage.directory) }
        : config.storage,
    temporal: { ...config.temporal, ...(config.temporal.tls ? { tls: absoluteFiles(config.temporal.tls, base) } : {}) },
    sites: config.sites.map((site): SiteConfig => {
      switch (site.type) {
        case 'local':
          return site.workDirectory === undefined
            ? site
            : { ...site, workDirectory: resolve(base, site.workDirectory) };
        case 'ssh':
          return {
            ...site,
            hosts: site.hosts.map((host) => ({ ...host, privateKeyFile: resolve(base, host.privateKeyFile) })),
          };
      }
    }),
  };
}

function absoluteFiles(tls: NonNullable<Config['temporal']['tls']>, base: string): typeof tls {
  const { serverName, ...files } = tls;
  const absolute = Object.entries(files).flatMap(([key, file]) =>
    file === undefined ? [] : [[key, resolve(base, file)]],
  );
  return { ...(serverName === undefined ? {} : { serverName }), ...Object.fromEntries(absolute) } as typeof tls;
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, configSchema } from './config.ts';
import { variables } from './environment.ts';
import { loadConfig } from './load.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prominence-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const minimal = `
database: { url: postgres://u@h/d }
auth: { signingKey: 0123456789012345678901234567890123456789 }
storage: { kind: local, directory: objects }
sites: [{ type: local, name: here }]
`;

function file(content: string): string {
  const path = join(folder, 'prominence.yaml');
  writeFileSync(path, content.replaceAll('signingKey: 0', 'signingKey: k0'));
  return path;
}

function problemsOf(content: string, env: Record<string, string | undefined> = {}): readonly string[] {
  try {
    loadConfig({ file: file(content), env });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toBe((error as ConfigError).problems.join('\n'));
    return (error as ConfigError).problems;
  }
  throw new Error('the configuration was accepted');
}

describe('a configuration file', () => {
  test('with the required keys only gets the defaults', () => {
    const config = loadConfig({ file: file(minimal), env: {} });
    expect(config.api.port).toBe(8080);
    expect(config.worker.roles).toEqual(['workflows', 'hosts', 'scheduler', 'outbox']);
    expect(config.api.publicUrl).toBe('http://127.0.0.1:8080');
    expect(config.sites[0]!.runtimes).toEqual({ singularity: 'apptainer', udocker: 'udocker' });
  });

  test('may be named by PROMINENCE_CONFIG', () => {
    expect(loadConfig({ env: { PROMINENCE_CONFIG: file(minimal) } }).sites[0]!.name).toBe('here');
  });

  test('has sections with all keys commented out, which mean the defaults', () => {
    expect(loadConfig({ file: file(`${minimal}api:\n  # port: 1\nlog:\n`), env: {} }).api.port).toBe(8080);
  });

  test('has paths relative to itself', () => {
    const tls = '{ caFile: ca.crt, certFile: ./ours/c.crt, keyFile: /abs/c.key, serverName: temporal }';
    const config = loadConfig({ file: file(`${minimal}temporal: { tls: ${tls} }`), env: {} });
    expect(config.storage).toEqual({ kind: 'local', directory: join(folder, 'objects') });
    expect(config.temporal.tls).toEqual({
      caFile: join(folder, 'ca.crt'),
      certFile: join(folder, 'ours/c.crt'),
      keyFile: '/abs/c.key',
      serverName: 'temporal',
    });
  });
});

describe('what is wrong is told by key', () => {
  test('a login at an issuer whose tokens are not accepted', () => {
    expect(problemsOf(`${minimal}login: { issuer: https://a.example }`)).toEqual([
      'login.issuer: https://a.example is not one of auth.issuers',
    ]);
  });

  test('an issuer whose tokens of other services would count here', () => {
    const issuer = (more: string) =>
      minimal.replace('auth: {', `auth: { issuers: [{ issuer: https://a.example${more} }],`);
    for (const missing of ['', ", audience: ''"]) {
      expect(problemsOf(issuer(missing))).toEqual([
        expect.stringMatching(
          /^auth\.issuers\[0\]\.audience: is required: what the `aud` .* "any" takes them/,
        ) as string,
      ]);
    }
    const audience = (given: string) =>
      loadConfig({ file: file(issuer(`, audience: ${given}`)), env: {} }).auth.issuers[0]!.audience;
    expect([audience('any'), audience('prominence')]).toEqual(['any', 'prominence']);
  });

  test('half a certificate for Temporal', () => {
    expect(problemsOf(`${minimal}temporal: { tls: { certFile: client.crt } }`)).toEqual([
      'temporal.tls: certFile and keyFile come together or not at all',
    ]);
  });

  test('two issuers whose users could not be told apart', () => {
    const issuers = (...prefixes: (string | undefined)[]) =>
      minimal.replace(
        'auth: {',
        `auth: { issuers: [${prefixes.map((prefix, i) => `{ issuer: https://i${i}.example, audience: any${prefix ? `, ownerPrefix: '${prefix}'` : ''} }`).join(', ')}],`,
      );
    const twin = (index: number, of: number) =>
      expect.stringMatching(
        `^auth\\.issuers\\[${index}\\]\\.ownerPrefix: is that of auth\\.issuers\\[${of}\\] too: give each`,
      );
    expect(problemsOf(issuers(undefined, undefined))).toEqual([twin(1, 0)]);
    expect(problemsOf(issuers('a:', undefined, 'a:', undefined))).toEqual([twin(2, 0), twin(3, 1)]);
    for (const told of [issuers(undefined), issuers(undefined, 'b:'), issuers('a:', 'b:', undefined)]) {
      expect(() => loadConfig({ file: file(told), env: {} })).not.toThrow();
    }
  });

  test('all at once', () => {
    const problems = problemsOf(`
api: { port: 99999, publicUrl: ftp://x }
database: { poolSize: 0 }
auth: { signingKey: short }
storage: { kind: tape }
sites:
  - { type: local, name: here, cpus: many }
  - { type: ssh, name: here there, hosts: [{ name: a, address: '', user: u, privateKeyFile: k, cpus: 1, memoryGb: 1, diskGb: 1, hostKey: AAAA }] }
log: { level: loud }
`);
    expect(problems).toEqual([
      'api.port: must be 0 to 65535, not 99999',
      'api.publicUrl: must be a URL starting with http:// or https://, not "ftp://x"',
      'database.url: is required',
      'database.poolSize: must be at least 1, not 0',
      'auth.signingKey: must be at least 32 characters',
      'storage.kind: must be one of local, s3, not "tape"',
      'sites[0].cpus: must be a number, not "many"',
      'sites[1].name: must be letters, digits, - and _, not "here there"',
      'sites[1].hosts[0].address: must not be empty, not ""',
      'sites[1].hosts[0].hostKey: must be a public key as in known_hosts: `ssh-ed25519 AAAA...`, not "AAAA"',
      'log.level: must be one of debug, info, warn, error, not "loud"',
    ]);
  });

  test('an unknown key, with the name that was probably meant, or those that are known', () => {
    const problems = problemsOf(`${minimal}api: { pubicUrl: http://x, prot: 1 }\nlogg: {}\nworker: { zzzzzz: 1 }\n`);
    expect(problems).toEqual([
      'api.pubicUrl: is not a known key; did you mean publicUrl?',
      'api.prot: is not a known key; did you mean port?',
      'logg: is not a known key; did you mean log?',
      'worker.zzzzzz: is not a known key; known here: roles, maxCachedWorkflows, concurrentHostActivities, concurrentCalls, concurrentTransfers',
    ]);
  });

  test('an unknown key deep in a list of variants, and one every object inherits', () => {
    const problems = problemsOf(
      minimal.replace('name: here }', 'name: here, work_directory: /x, constructor: 1, toString: 2 }'),
    );
    expect(problems).toHaveLength(3);
    expect(problems[0]).toBe('sites[0].work_directory: is not a known key; did you mean workDirectory?');
  });

  test('a program that can not be what jobs call by a name', () => {
    const runtimes = 'runtimes: { singularity: udocker, udocker: apptainer, docker: docker }';
    expect(problemsOf(minimal.replace('name: here }', `name: here, ${runtimes} }`))).toEqual([
      'sites[0].runtimes.docker: is not a known key; did you mean udocker?',
      'sites[0].runtimes.singularity: must be one of apptainer, podman, docker, none, not "udocker"',
      'sites[0].runtimes.udocker: must be one of udocker, podman, docker, none, not "apptainer"',
    ]);
  });

  test('a workflow of more jobs than any may have', () => {
    const allowing = (jobs: number) => `${minimal}execution: { maximumJobsPerWorkflow: ${jobs} }\n`;
    expect(problemsOf(allowing(1_000_001))).toEqual([
      'execution.maximumJobsPerWorkflow: must be at most 1000000, not 1000001',
    ]);
    expect(loadConfig({ file: file(allowing(1_000_000)), env: {} }).execution.maximumJobsPerWorkflow).toBe(1_000_000);
  });

  test('two sites, or two hosts of a site, of one name', () => {
    const host =
      '{ name: a, address: x, user: u, privateKeyFile: k, cpus: 1, memoryGb: 1, diskGb: 1, hostKey: ssh-rsa AAAA }';
    expect(
      problemsOf(minimal.replace(/sites:.*/, `sites: [{ type: local, name: x }, { type: local, name: x }]`)),
    ).toEqual(['sites[1].name: x is the name of another site too']);
    expect(
      problemsOf(minimal.replace(/sites:.*/, `sites: [{ type: ssh, name: x, hosts: [${host}, ${host}] }]`)),
    ).toEqual(['sites[0].hosts[1].name: a is the name of another host too']);
  });

  test('a secret is never shown', () => {
    const message = problemsOf(
      minimal.replace('postgres://u@h/d', 'mysql://u:hunter2@h/d').replace(/auth:.*/, 'auth: { signingKey: tooshort }'),
    ).join('\n');
    expect(message).toContain('database.url: must start with postgres://');
    expect(message).not.toContain('hunter2');
    expect(message).not.toContain('tooshort');
  });

  test('a mistake in the YAML, with line and column', () => {
    expect(problemsOf('api:\n  port: 1\n  port: 2\n')).toEqual([
      expect.stringMatching(/prominence\.yaml:3:3: Map keys must be unique/),
    ]);
    expect(problemsOf('api: [1, 2\nlog: {}\n')[0]).toMatch(/^\S+prominence\.yaml:\d+:\d+: \S/);
  });

  test('a file that is no mapping, or is not there', () => {
    expect(problemsOf('- 1\n')[0]).toMatch(/:1:1: must be a mapping/);
    expect(() => loadConfig({ file: '/nowhere/prominence.yaml', env: {} })).toThrow(
      /^\/nowhere\/prominence\.yaml: there is no such file$/,
    );
  });

  test('no file at all', () => {
    expect(() => loadConfig({ env: {} })).toThrow(/sites: is required[^]*PROMINENCE_CONFIG: not set/);
  });
});

describe('environment variables', () => {
  test('win over the file, and empty ones count as not set', () => {
    const config = loadConfig({
      file: file(`${minimal}temporal: { address: in-file:1, namespace: in-file }\n`),
      env: {
        TEMPORAL_ADDRESS: 'in-env:2',
        TEMPORAL_NAMESPACE: '',
        PROMINENCE_PORT: '0',
        PROMINENCE_ROLES: 'hosts, outbox',
      },
    });
    expect(config.temporal).toEqual({ address: 'in-env:2', namespace: 'in-file', acceptUnencrypted: false });
    expect(config.api.port).toBe(0);
    expect(config.worker.roles).toEqual(['hosts', 'outbox']);
  });

  test('are named in the message when they are what is wrong', () => {
    expect(problemsOf(minimal, { PROMINENCE_PORT: 'http', PROMINENCE_ROLES: 'hosts,cook' })).toEqual([
      'api.port (PROMINENCE_PORT): must be a number, not "http"',
      'worker.roles[1] (PROMINENCE_ROLES): must be one of workflows, hosts, scheduler, outbox, not "cook"',
    ]);
  });

  test('S3_BUCKET makes the storage S3; the other S3 variables alone change nothing', () => {
    const s3 = { S3_REGION: 'mars', S3_ENDPOINT: 'http://s3:1', S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 's' };
    expect(loadConfig({ file: file(minimal), env: s3 }).storage.kind).toBe('local');
    expect(loadConfig({ file: file(minimal), env: { ...s3, S3_BUCKET: 'b' } }).storage).toEqual({
      kind: 's3',
      bucket: 'b',
      region: 'mars',
      endpoint: 'http://s3:1',
      accessKeyId: 'a',
      secretAccessKey: 's',
      forcePathStyle: true,
    });
  });

  test('secrets may come from files, without the newline at the end', () => {
    const secret = join(folder, 'key');
    writeFileSync(secret, 'x'.repeat(40) + '\n');
    const config = loadConfig({ file: file(minimal), env: { PROMINENCE_SIGNING_KEY_FILE: secret } });
    expect(config.auth.signingKey).toBe('x'.repeat(40));
  });

  test('secrets may be a list in a variable or file, and are not shown either', () => {
    const keys = ['a'.repeat(40), 'b'.repeat(40)];
    const list = join(folder, 'keys');
    writeFileSync(list, keys.join('\n') + '\n');
    for (const env of [{ PROMINENCE_SECRETS_KEY: keys.join(', ') }, { PROMINENCE_SECRETS_KEY_FILE: list }]) {
      expect(loadConfig({ file: file(minimal), env }).secrets.keys).toEqual(keys);
    }
    expect(problemsOf(minimal, { PROMINENCE_SECRETS_KEY: 'too-short' })).toEqual([
      'secrets.keys[0] (PROMINENCE_SECRETS_KEY): must be at least 32 characters',
    ]);
  });

  test('a secret that is given twice, or whose file is missing, is a problem', () => {
    expect(problemsOf(minimal, { DATABASE_URL: 'postgres://x', DATABASE_URL_FILE: '/x' })).toEqual([
      'database.url: DATABASE_URL and DATABASE_URL_FILE are both set; unset one',
    ]);
    expect(problemsOf(minimal, { DATABASE_URL_FILE: '/nowhere/url' })[0]).toMatch(
      /^database\.url: DATABASE_URL_FILE names \/nowhere\/url, which can't be read: ENOENT/,
    );
  });

  test('may hold everything but the sites', () => {
    expect(() =>
      loadConfig({
        file: file('sites: [{ type: local, name: here }]'),
        env: {
          DATABASE_URL: 'postgres://x',
          PROMINENCE_SIGNING_KEY: 'k'.repeat(32),
          S3_BUCKET: 'b',
          S3_ACCESS_KEY_ID: 'a',
          S3_SECRET_ACCESS_KEY: 's',
        },
      }),
    ).not.toThrow();
  });
});

describe('notifications', () => {
  const withSmtp = (more: string) => `${minimal}notifications: { smtp: { host: h, from: p@x.org${more} } }\n`;

  test('send no e-mail and call only public addresses unless configured', () => {
    expect(loadConfig({ file: file(minimal), env: {} }).notifications).toEqual({
      webhooks: { allowPrivateAddresses: false },
    });
  });

  test.each([
    ['', 587],
    [', security: tls', 465],
    [', security: none', 25],
    [', security: none, port: 1025', 1025],
  ])('go by the usual port: %s', (more, port) => {
    expect(loadConfig({ file: file(withSmtp(more)), env: {} }).notifications.smtp).toMatchObject({ port });
  });

  test('are told what is wrong with them, without secrets', () => {
    expect(problemsOf(withSmtp(', user: me'))).toEqual([
      'notifications.smtp: user and password come together or not at all',
    ]);
    expect(
      problemsOf(`${minimal}notifications: { smtp: { from: nobody }, webhooks: { signingKey: hunter2 } }`),
    ).toEqual([
      'notifications.smtp.host: is required',
      'notifications.smtp.from: must be an e-mail address, not "nobody"',
      'notifications.webhooks.signingKey: must be at least 24 characters',
    ]);
  });

  test('take their secrets from the environment; a password without a server to use it at is left alone', () => {
    const env = { PROMINENCE_SMTP_PASSWORD: 'pw', PROMINENCE_WEBHOOK_KEY: 'k'.repeat(24) };
    expect(loadConfig({ file: file(withSmtp(', user: me')), env }).notifications).toMatchObject({
      smtp: { user: 'me', password: 'pw' },
      webhooks: { signingKey: 'k'.repeat(24) },
    });
    expect(loadConfig({ file: file(minimal), env }).notifications.smtp).toBeUndefined();
  });
});

describe('prominence.example.yaml', () => {
  const path = fileURLToPath(new URL('../prominence.example.yaml', import.meta.url));
  const text = readFileSync(path, 'utf8');
  const key = 'k'.repeat(32);
  const env = { PROMINENCE_SIGNING_KEY: key, PROMINENCE_SECRETS_KEY: key, PROMINENCE_WEBHOOK_KEY: key };

  test('does not work with the keys that everybody can read in it', () => {
    const problem = /^(auth.signingKey|secrets.keys\[0\]|notifications.webhooks.signingKey): is the example's/;
    expect(problemsOf(text)).toEqual([1, 2, 3].map(() => expect.stringMatching(problem) as string));
  });

  test('is a valid configuration, with the S3 alternative too', () => {
    expect(loadConfig({ file: path, env }).storage.kind).toBe('local');
    expect(loadConfig({ file: file(withS3(text)), env }).storage.kind).toBe('s3');
  });

  test('shows every key of the schema', () => {
    const shown = new Set([...text.matchAll(/^[ #-]*([A-Za-z0-9]+):/gm)].map((match) => match[1]));
    expect([...keysOf(configSchema)].filter((key) => !shown.has(key))).toEqual([]);
  });

  test('gives the defaults as its values, but where it says otherwise', () => {
    const example = loadConfig({ file: path, env });
    const defaults = loadConfig({ file: file(minimal), env: {} });
    for (const section of ['deployment', 'log'] as const) {
      expect(example[section]).toEqual(defaults[section]);
    }
    expect(example.execution).toEqual({
      ...defaults.execution,
      insecureRegistries: expect.any(Array),
      privateHosts: expect.any(Array),
      imageDirectories: ['/cvmfs'],
    });
    expect(example.temporal).toEqual({
      ...defaults.temporal,
      uiOrigin: expect.any(String),
      apiKey: expect.any(String),
      tls: expect.any(Object),
    });
    expect(example.worker).toEqual(defaults.worker);
    expect(example.api).toEqual(defaults.api);
    expect(example.notifications.webhooks).toEqual({
      ...defaults.notifications.webhooks,
      signingKey: expect.any(String),
    });
    const { host, from } = example.notifications.smtp!;
    const smtp = loadConfig({
      file: file(`${minimal}notifications: { smtp: { host: ${host}, from: ${from} } }`),
      env: {},
    });
    expect(example.notifications.smtp).toEqual({
      ...smtp.notifications.smtp,
      user: expect.any(String),
      password: expect.any(String),
    });
  });

  test('names every environment variable', () => {
    for (const variable of variables) expect(text).toContain(variable.name + (variable.secret ? ' *' : ''));
  });

  /** The commented S3 block instead of the folder. */
  function withS3(content: string): string {
    const [before, rest] = content.split('\nstorage:\n') as [string, string];
    const [, after] = rest.split('# ... or any S3 store:\n') as [string, string];
    return `${before}\n${after.replace(/^# (?=storage:| )/gm, '')}`;
  }
});

/** The names of all keys, at any depth. */
function keysOf(schema: object, found = new Set<string>()): Set<string> {
  const node = schema as { entries?: Record<string, object>; item?: object; wrapped?: object; options?: object[] };
  for (const [key, below] of Object.entries(node.entries ?? {})) {
    found.add(key);
    keysOf(below, found);
  }
  for (const below of [node.item, node.wrapped, ...(node.options ?? [])]) {
    if (typeof below === 'object') keysOf(below, found);
  }
  return found;
}

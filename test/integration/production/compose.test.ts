import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { searchAttributes } from '../../../temporal/search-attributes.ts';
import { composeText, readCompose, repository } from './compose-file.ts';

const required = {
  POSTGRES_PASSWORD: 'the-password',
  PROMINENCE_DATABASE_PASSWORD: 'our-password',
  TEMPORAL_DATABASE_PASSWORD: 'password-of-temporal',
  PROMINENCE_SIGNING_KEY: 'the-signing-key',
  PROMINENCE_SECRETS_KEY: 'the-secrets-key',
  PROMINENCE_PUBLIC_URL: 'https://jobs.example.org',
  PROMINENCE_ETC: '/etc/prominence',
  PROMINENCE_HOST_KEYS: '/etc/prominence-keys',
};
const compose = readCompose(required);
const services = Object.entries(compose.services);
const oneShots = ['database-roles', 'temporal-certificates', 'temporal-schema', 'temporal-namespace'];
/** Those that hold Temporal's certificate for clients. */
const temporalClients = ['temporal-namespace', 'temporal-ui', 'worker-workflows', 'worker-hosts'];

describe('docker-compose.yml', () => {
  test('is what the Compose Specification allows', () => {
    const schema = JSON.parse(
      readFileSync(new URL('./compose-spec/compose-spec.json', import.meta.url), 'utf8'),
    ) as object;
    const validate = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
    validate(parse(composeText(), { merge: true }));
    expect(validate.errors ?? []).toEqual([]);
    validate(JSON.parse(JSON.stringify(compose)));
    expect(validate.errors ?? []).toEqual([]);
    expect(validate({ services: { api: { imagee: 'x' } } })).toBe(false);
  });

  test('names every version', () => {
    for (const [name, { image }] of services) expect(`${name} ${image}`).toMatch(/ [\w/-]+:\d+\.\d+(\.\d+)?$/);
    expect(compose.services['temporal']!.image.split(':')[1]).toBe(
      compose.services['temporal-schema']!.image.split(':')[1],
    );
  });

  test.each(Object.keys(required))('asks for %s when it is not given, or empty', (name) => {
    expect(() => readCompose({ ...required, [name]: '' })).toThrow(new RegExp(`${name} is missing a value: \\w+`));
  });

  test('holds no secret', () => {
    const raw = parse(composeText(), { merge: true }) as typeof compose;
    for (const [name, { environment }] of Object.entries(raw.services)) {
      for (const [key, value] of Object.entries(environment ?? {})) {
        if (/PASSWORD|PWD|SECRET|KEY$|DATABASE_URL/.test(key) && !value.startsWith('/tls/'))
          expect(`${name} ${key}=${value}`).toMatch(/\$\{\w+:[?-]/);
      }
    }
    expect(composeText()).not.toMatch(/:-[^}]*(secret|password)/i);
  });

  test('checks the health of everything that goes on running, and starts it again', () => {
    for (const [name, service] of services) {
      if (oneShots.includes(name)) {
        expect(service.restart, name).toBe('on-failure');
        expect(service.healthcheck, name).toBeUndefined();
      } else {
        expect(service.restart, name).toBe('unless-stopped');
        expect(service.healthcheck?.test[0], name).toBe('CMD');
      }
    }
  });

  test('waits for what a service needs, in the way that service can be waited for', () => {
    for (const [name, { depends_on }] of services) {
      for (const [needed, { condition }] of Object.entries(depends_on ?? {})) {
        expect(Object.keys(compose.services), name).toContain(needed);
        const expected = oneShots.includes(needed) ? 'service_completed_successfully' : 'service_healthy';
        expect(condition, `${name} on ${needed}`).toBe(expected);
      }
    }
    expect(Object.keys(compose.services['api']!.depends_on!)).toEqual(['postgres', 'database-roles']);
  });

  test('has a worker for every role, and gives all of ours the same settings otherwise', () => {
    const workers = ['worker-workflows', 'worker-hosts'].map((name) => compose.services[name]!.environment!);
    const roles = workers.flatMap((environment) => environment['PROMINENCE_ROLES']!.split(','));
    expect(roles.sort()).toEqual(['hosts', 'outbox', 'scheduler', 'workflows']);
    const {
      PROMINENCE_HOST: _,
      PROMINENCE_PORT: __,
      PROMINENCE_LOGIN_CLIENT_SECRET: ___,
      ...common
    } = compose.services['api']!.environment!;
    for (const worker of workers) expect(worker).toMatchObject(common);
    const more = (worker: Record<string, string>) => Object.keys(worker).filter((name) => !(name in common));
    for (const worker of workers)
      expect(more(worker).every((name) => /^(TEMPORAL_|PROMINENCE_ROLES$)/.test(name))).toBe(true);
  });

  test('gives no container what its program does not need', () => {
    for (const [name, service] of services) {
      expect(service.cap_drop, name).toEqual(['ALL']);
      expect([service.cap_add, service.privileged], name).toEqual([undefined, undefined]);
      expect(service.security_opt, name).toEqual(['no-new-privileges:true']);
      expect(service.read_only, name).toBe(true);
    }
  });

  test('keeps keys of machines, of Temporal and of the database from the container that is exposed', () => {
    const holders = (what: string) =>
      services.filter(([, each]) => JSON.stringify(each).includes(what)).map(([n]) => n);
    expect(holders('/etc/prominence-keys')).toEqual(['worker-hosts']);
    expect(holders('the-password')).toEqual(['postgres', 'database-roles']);
    expect(holders('our-password').sort()).toEqual(['api', 'database-roles', 'worker-hosts', 'worker-workflows']);
    expect(holders('password-of-temporal')).toEqual(['database-roles', 'temporal-schema', 'temporal']);
    expect(holders('temporal-ca:')).toEqual(['temporal-certificates']);
    expect(holders('temporal-server:')).toEqual(['temporal-certificates', 'temporal']);
    expect(holders('temporal-client:').sort()).toEqual(['temporal-certificates', ...temporalClients].sort());
    expect(compose.services['api']!.volumes).toEqual([
      '/etc/prominence:/etc/prominence:ro',
      'objects:/var/lib/prominence/objects',
    ]);
  });

  test('lets only its clients be in one network with Temporal, and only Temporal reach its database', () => {
    const members = (network: string) =>
      services.filter(([, { networks }]) => networks?.includes(network)).map(([n]) => n);
    expect(members('temporal').sort()).toEqual(['temporal', ...temporalClients].sort());
    expect(members('temporal-database')).toEqual(['postgres', 'temporal-schema', 'temporal']);
    expect(members('database')).toEqual(['postgres', 'database-roles', 'api', 'worker-workflows', 'worker-hosts']);
    for (const network of ['temporal', 'temporal-database', 'database'])
      expect(compose.networks[network]).toEqual({ internal: true });
    expect(compose.services['temporal-certificates']!.network_mode).toBe('none');
  });

  test('lets neither the database nor Temporal be reached from outside', () => {
    const published = services.flatMap(([name, { ports }]) => (ports ?? []).map((port) => `${name} ${port}`));
    expect(published).toEqual(['temporal-ui 127.0.0.1:8233:8080', 'api 127.0.0.1:8080:8080']);
  });

  test('makes all search attributes that the code sets', () => {
    const script = readFileSync(`${repository}/deploy/temporal-namespace.sh`, 'utf8');
    for (const attribute of Object.keys(searchAttributes)) expect(script).toContain(`add_attribute ${attribute} `);
  });

  test('is explained: deploy/README.md names every variable', () => {
    const readme = readFileSync(`${repository}/deploy/README.md`, 'utf8');
    for (const [, name] of composeText().matchAll(/\$\{(\w+):/g)) expect(readme).toContain(`\`${name}\``);
  });
});

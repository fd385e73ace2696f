import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { searchAttributes } from '../../../temporal/search-attributes.ts';
import { composeText, readCompose, repository } from './compose-file.ts';

const required = {
  POSTGRES_PASSWORD: 'the-password',
  PROMINENCE_SIGNING_KEY: 'the-signing-key',
  PROMINENCE_SECRETS_KEY: 'the-secrets-key',
  PROMINENCE_PUBLIC_URL: 'https://jobs.example.org',
  PROMINENCE_ETC: '/etc/prominence',
};
const compose = readCompose(required);
const services = Object.entries(compose.services);
const oneShots = ['temporal-schema', 'temporal-namespace'];

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
        if (/PASSWORD|PWD|SECRET|KEY|DATABASE_URL/.test(key)) expect(`${name} ${key}=${value}`).toMatch(/\$\{\w+:[?-]/);
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
    expect(Object.keys(compose.services['api']!.depends_on!)).toEqual(['postgres']);
  });

  test('has a worker for every role, and gives all of ours the same settings otherwise', () => {
    const workers = ['worker-workflows', 'worker-hosts'].map((name) => compose.services[name]!.environment!);
    const roles = workers.flatMap((environment) => environment['PROMINENCE_ROLES']!.split(','));
    expect(roles.sort()).toEqual(['hosts', 'outbox', 'scheduler', 'workflows']);
    const settings = (environment: Record<string, string>) => {
      const { PROMINENCE_ROLES: _, PROMINENCE_HOST: __, PROMINENCE_PORT: ___, ...rest } = environment;
      return rest;
    };
    for (const worker of workers) expect(settings(worker)).toEqual(settings(compose.services['api']!.environment!));
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

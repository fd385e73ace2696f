import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { environmentFor, writeConfiguration } from './configuration-file.ts';
import { openHome, type Home } from './home.ts';

const addresses = {
  apiPort: 18080,
  databaseUrl: 'postgres://x@127.0.0.1:1/x',
  temporalAddress: '127.0.0.1:2',
  temporalUiUrl: 'http://127.0.0.1:3',
};

let home: Home;
beforeEach(() => (home = openHome(mkdtempSync(join(tmpdir(), 'prominence-home-')))));
afterEach(() => rmSync(home.path, { recursive: true, force: true }));

describe("the stack's configuration file", () => {
  it('is a valid configuration that only its owner can read', () => {
    writeConfiguration(home, addresses);
    const config = loadConfig({ file: home.configFile, env: {} });
    expect(config).toMatchObject({ api: { port: 18080 }, temporal: { address: '127.0.0.1:2' } });
    expect(config.sites).toMatchObject([{ type: 'local', name: 'local' }]);
    expect(statSync(home.configFile).mode & 0o777).toBe(0o600);
  });

  it('keeps the signing key and what a user changed when it is written again', () => {
    const first = writeConfiguration(home, addresses, { execution: { killGraceSeconds: 3 } });
    const second = writeConfiguration(home, { ...addresses, apiPort: 18081 });
    expect(second.auth).toEqual(first.auth);
    expect(second.secrets).toEqual(first.secrets);
    expect(second.secrets?.keys).toEqual([expect.stringMatching(/^.{32,}$/)]);
    expect(second).toMatchObject({ api: { port: 18081 }, execution: { killGraceSeconds: 3 } });
  });

  it('decides alone: variables that would override it do not reach the processes', () => {
    const env = { DATABASE_URL: 'other', S3_BUCKET: 'b', PROMINENCE_SIGNING_KEY_FILE: 'f', PATH: '/bin', LANG: 'C' };
    expect(environmentFor(home, env, ['/opt/runtime'])).toEqual({
      LANG: 'C',
      PATH: '/opt/runtime:/bin',
      PROMINENCE_CONFIG: home.configFile,
    });
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { pickPort } from '../../../scripts/stack/ports.ts';
import { eventually } from '../../ground/rest.ts';
import { temporaryHome } from './temporary-home.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const home = temporaryHome();

interface Ended {
  code: number | null;
  output: string;
}

/** Runs one of the commands on the test's home, from the repository as a user would. */
function command(
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; onOutput?: (all: string, stop: () => void) => void } = {},
): Promise<Ended> {
  const { DATABASE_URL: _, PROMINENCE_CONFIG: __, ...inherited } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: repository,
    env: { ...inherited, PROMINENCE_HOME: home, ...options.env },
  });
  let output = '';
  const take = (text: string): void => {
    output += text;
    options.onOutput?.(output, () => child.kill('SIGTERM'));
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  return once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
}

const tsx = ['--import', 'tsx'];

/** Pids of processes whose command line, environment or folder names the home. */
function processesOf(path: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8');
      return words.includes(path);
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
}

const noProcessIsLeft = () =>
  eventually(
    () => Promise.resolve(processesOf(home).length === 0 ? true : undefined),
    () => `processes ${processesOf(home).join()} are left`,
  );

describe('prominence token', () => {
  it('says how to get a configuration when there is none yet', async () => {
    const { code, output } = await command(['bin/prominence.mjs', 'token', '--user', 'alice']);
    expect({ code, output }).toEqual({
      code: 1,
      output: `Error: there is no configuration at ${join(home, 'prominence.yaml')}: start the stack once (npm start), or set PROMINENCE_HOME or PROMINENCE_CONFIG\n`,
    });
  });
});

describe('npm run quickstart', () => {
  it('runs a real job from nothing to its output, and leaves no process behind', async () => {
    const { code, output } = await command([...tsx, 'scripts/quickstart.ts']);
    expect(output).toMatch(/Job 1 is completed/);
    expect(output).toMatch(/\| round 5: pi is about 3\.14159\d\d after 500000 terms/);
    expect(output).toMatch(/Output file pi\.txt: 3\.14159/);
    expect(code).toBe(0);
    await noProcessIsLeft();
  });

  it('deletes its job when it is told to stop, and fails', async () => {
    const { code, output } = await command([...tsx, 'scripts/quickstart.ts'], {
      onOutput: (all, stop) => {
        if (all.includes('Submitted job 2')) stop();
      },
    });
    expect(output).toMatch(/Deleting job 2/);
    expect(output).toMatch(/Interrupted\.\n$/);
    expect(code).toBe(1);
    await noProcessIsLeft();
  });
});

describe('npm start', () => {
  it('serves until SIGTERM, finds earlier jobs, and takes the tokens that the command prints', async () => {
    const token = await command(
      ['bin/prominence.mjs', 'token', '--user', 'quickstart', '--groups', 'a,b', '--expires', '2h'],
      // The stack does not look at it, so the command must not either.
      { env: { PROMINENCE_SIGNING_KEY: 'the key of another installation, long enough' } },
    );
    const { username, groups, iat = 0, exp = 0 } = decodeJwt(token.output.trim());
    expect({ username, groups, lifetime: exp - iat }).toEqual({
      username: 'quickstart',
      groups: ['a', 'b'],
      lifetime: 7200,
    });

    const port = await pickPort(undefined, new Set());
    let jobs: Promise<unknown> | undefined;
    const { code, output } = await command([...tsx, 'scripts/start.ts'], {
      env: { PROMINENCE_PORT: String(port) },
      onOutput: (all, stop) => {
        if (jobs || !all.includes('Ctrl-C stops it.')) return;
        const headers = { authorization: `Bearer ${token.output.trim()}` };
        jobs = fetch(`http://127.0.0.1:${port}/v1/jobs/1`, { headers })
          .then((response) => response.json())
          .finally(stop);
      },
    });
    expect(await jobs).toMatchObject([{ id: 1, name: 'quickstart', status: 'completed' }]);
    expect(output).toMatch(/Stopped\.\n$/);
    expect(code).toBe(0);
    await noProcessIsLeft();
  });
});

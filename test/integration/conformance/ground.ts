/** What the conformance tests share: one stack, users who each have the upstream client and an image. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Stack } from '../../../scripts/stack/stack.ts';
import { buildBusybox } from '../../ground/images.ts';
import type { Rest } from '../../ground/rest.ts';
import { runningStack, type RunningStack } from '../../ground/running-stack.ts';
import { findUpstreamClient, UpstreamClient, type ClientResult } from '../../ground/upstream-client.ts';
import { startFileServer, type FileServer } from '../hosts/file-server.ts';

export interface Ground {
  stack: Stack;
  /** A web server that is not ours, as a job or a user meets one. */
  web: FileServer;
  /** Somebody nobody else is; their lists hold what the test put there. Has `busybox.tar`. */
  newUser(name: string, groups?: string[]): Promise<User>;
  close(): Promise<void>;
}

export interface User {
  client: UpstreamClient;
  /** The client of the EOSC service, as this user. */
  eosc: UpstreamClient;
  rest: Rest;
}

/** Fixed, so that tests can fill the machine, and enough for many small jobs at a time. */
export const siteCpus = 16;

/** @throws when the client was not set up, or the stack does not start */
export async function prepareGround(): Promise<Ground> {
  const programs = await findUpstreamClient();
  const eoscPrograms = await findUpstreamClient('EOSC client');
  const folder = mkdtempSync(join(tmpdir(), 'prominence-conformance-'));
  chmodSync(folder, 0o755);
  try {
    const running = await runningStack({
      sites: [
        {
          type: 'local',
          name: 'local',
          cpus: siteCpus,
          memoryGb: 64,
          diskGb: 1000,
          workDirectory: join(folder, 'site'),
        },
      ],
      execution: { killGraceSeconds: 2 },
    });
    const web = await startFileServer('127.0.0.1');
    return ground({ running, web, folder, programs, eoscPrograms });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

interface Parts {
  running: RunningStack;
  web: FileServer;
  folder: string;
  programs: string;
  eoscPrograms: string;
}

function ground({ running, web, folder, programs, eoscPrograms }: Parts): Ground {
  const { stack } = running;
  return {
    stack,
    web,
    async newUser(name, groups = []) {
      const rest = await running.as(name, groups);
      await rest.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
      const own = join(folder, 'users', name);
      mkdirSync(own, { recursive: true });
      const token = await stack.token(name, groups);
      const client = new UpstreamClient({ url: `${stack.apiUrl}/prominence/v1`, token, folder: own }, programs);
      const eosc = new UpstreamClient({ url: `${stack.apiUrl}/api/v1`, token, folder: own }, eoscPrograms);
      return { client, eosc, rest };
    },
    async close() {
      await web.close();
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What the client answers when all went well. */
export const success = (stdout: string): ClientResult => ({ exitCode: 0, stdout, stderr: '' });

/** What the client answers when the service, or itself, refused. */
export const refusal = (message: string): ClientResult => ({ exitCode: 1, stdout: `Error: ${message}\n`, stderr: '' });

/** The id in the client's exact sentence. */
export function createdId(result: ClientResult): number {
  const id = Number(/^Job created with id (\d+)\n$/.exec(result.stdout)?.[1]);
  expect(result).toEqual(success(`Job created with id ${id}\n`));
  return id;
}

/** Without the signature that URLs of stores have. */
export const plainUrl = (web: FileServer, path: string): string => web.url(path).replace(/\?.*$/, '');

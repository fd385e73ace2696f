import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { claim, forget, readLive, record } from './pid-file.ts';
import { identify } from './process-identity.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'prominence-pid-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a live process holds its file, and a second claim is told who', () => {
  const file = join(folder, 'stack.json');
  expect(claim(file)).toBeUndefined();
  expect(claim(file)?.pid).toBe(process.pid);
  forget(file);
  expect(claim(file)).toBeUndefined();
});

it('a file of a process that ended, or whose pid another has now, is taken over', () => {
  const file = join(folder, 'stack.json');
  const ended = spawnSync('true').pid;
  writeFileSync(file, JSON.stringify({ pid: ended, startTicks: 1, bootId: 'x' }));
  expect(claim(file)).toBeUndefined();
  writeFileSync(file, JSON.stringify({ ...identify(process.pid), startTicks: 1 }));
  expect(claim(file)).toBeUndefined();
  expect(readdirSync(folder)).toEqual(['stack.json']);
});

it('a file cut off by a crash names nobody', () => {
  const file = join(folder, 'api.json');
  writeFileSync(file, '{"pid": 1');
  expect(readLive(file)).toBeUndefined();
  record(file, process.pid);
  expect(readLive(file)?.pid).toBe(process.pid);
  forget(file);
  expect(existsSync(file)).toBe(false);
});

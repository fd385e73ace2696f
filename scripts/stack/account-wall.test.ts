import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { thisMachine } from '../machine.ts';
import { buildAccountWall } from './account-wall.ts';
import { openHome, type Home } from './home.ts';
import { listeningPorts } from './listening-ports.ts';

let home: Home;
beforeAll(() => void (home = openHome(mkdtempSync(join(tmpdir(), 'prominence-home-')))));
afterAll(() => rmSync(home.path, { recursive: true, force: true }));

describe('the wall around Temporal', () => {
  it('says that there is none where only root could build it', async () => {
    const machine = thisMachine();
    const said = async (more: Partial<typeof machine>) =>
      (await buildAccountWall({ ...machine, ...more }, home, [1])).said;
    expect(await said({ isRoot: false })).toMatch(/every program that reaches 127\.0\.0\.1 here \(only root can/);
  });
});

describe('the ports a process listens on', () => {
  it('are what it says itself, and none of one that is gone', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(listeningPorts(process.pid)).toContain((server.address() as AddressInfo).port);
    server.close();
    expect(listeningPorts(4_194_305)).toEqual([]);
  });
});

/** Jobs on hosts behind ssh: each a network namespace with its own address, users, file system view and sshd. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countEffects, type Effects } from '../../ground/effects.ts';
import { buildBusybox } from '../../ground/images.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { bridgeAddress, onNode, startNodes, testbed, type TestNode } from '../../ground/testbed.ts';
import { startFileServer, type FileServer } from '../hosts/file-server.ts';

/** Longer than a cut of 20 s and the connection after it take on a busy machine. */
const lostAfterSeconds = 45;
const credentials = { username: 'puller', password: 's3cret' };

let nodes: TestNode[];
let open: TestRegistry;
let locked: TestRegistry;
let effects: Effects;
let gates: FileServer;
let running: RunningStack;
let image: string;
let lockedImage: string;

beforeAll(async () => {
  nodes = await startNodes(2);
  open = await startRegistry({ address: bridgeAddress });
  locked = await startRegistry({ address: bridgeAddress, credentials });
  effects = await countEffects(bridgeAddress);
  gates = await startFileServer(bridgeAddress);
  const busybox = await buildBusybox();
  image = await open.push(busybox, 'test/busybox');
  lockedImage = await locked.push(busybox, 'private/busybox');
  running = await runningStack({
    api: { host: bridgeAddress },
    execution: { machineLostAfterSeconds: lostAfterSeconds, insecureRegistries: [open.host, locked.host] },
    sites: [
      {
        type: 'ssh',
        name: 'lab',
        hosts: nodes.map(({ name, address, user, privateKeyFile, hostKey }) => ({
          name,
          address,
          user,
          privateKeyFile,
          hostKey,
          cpus: 2,
          memoryGb: 4,
          diskGb: 10,
        })),
      },
    ],
  });
});
afterAll(async () => {
  await running?.stop();
  await Promise.all([open?.stop(), locked?.stop()]);
  effects?.close();
  await gates?.close();
  await testbed('down');
});

const named = (name: string, line: string, more: Record<string, unknown> = {}) =>
  shellJob('', {
    tasks: [{ image: name, runtime: 'singularity', cmd: `/bin/sh -c '${line}'` }],
    ...more,
  });

/** Begins once, and speaks again when it has waited. */
const talkative = (name: string, wait: string) =>
  named(image, `echo begin; ${effects.line(name)} > effect.txt; ${wait}; echo end`, {
    outputFiles: ['effect.txt'],
  });

function nodeOf(name: string): TestNode {
  return nodes.find((node) => node.name === name)!;
}

describe('a job on a host behind ssh', () => {
  it('has its image pulled by name from a registry and its output delivered', async () => {
    const id = await running.rest.submit(named(image, 'hostname; echo made > out.txt', { outputFiles: ['out.txt'] }));
    const job = await running.rest.ended(id, 120);
    expect(job).toMatchObject({
      status: 'completed',
      execution: {
        site: 'lab',
        tasks: [
          { exitCode: 0, imagePullStatus: 'completed', imageDigest: expect.stringMatching(/^sha256:/) as string },
        ],
      },
    });
    expect(await running.rest.output(id)).toMatch(/^node[12]\n$/);
    expect(await (await fetch(job.outputFiles![0]!.url)).text()).toBe('made\n');
  });

  it('gets an image that needs a password with the right one only', async () => {
    const task = (token: string) => ({
      tasks: [
        {
          image: lockedImage,
          runtime: 'singularity',
          cmd: 'echo opened',
          imagePullCredential: { username: credentials.username, token },
        },
      ],
    });
    const right = await running.rest.submit(shellJob('', task(credentials.password)));
    expect(await running.rest.ended(right, 120)).toMatchObject({ status: 'completed' });
    expect(await running.rest.output(right)).toBe('opened\n');
    // After the right one: what it left in the cache must not open the door for others.
    const wrong = await running.rest.submit(shellJob('', task('guessed')));
    const refused = await running.rest.ended(wrong, 120);
    expect(refused).toMatchObject({ status: 'failed', statusReason: 'Container image pull failed' });
    expect(JSON.stringify(refused)).not.toContain('guessed');
  });

  it('goes on when the ssh connection is cut for 20 seconds', async () => {
    const id = await running.rest.submit(talkative('cut', 'sleep 40'));
    await eventually(
      () => Promise.resolve(effects.count('cut') === 1 ? true : undefined),
      () => 'it did not begin',
      60,
    );
    const cut = nodes.map((node) => node.name);
    for (const name of cut) await testbed('link', 'down', name);
    await pause(20_000);
    for (const name of cut) await testbed('link', 'up', name);
    const job = await running.rest.ended(id, 120);
    expect(job).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    expect(job.execution.attempts ?? []).toHaveLength(0);
    expect(effects.count('cut')).toBe(1);
    expect(await running.rest.output(id)).toBe('begin\nend\n');
    expect(await (await fetch(job.outputFiles![0]!.url)).text()).toBe('heard\n');
  });

  it('runs again elsewhere when its host loses power, and says so', async () => {
    const gate = gates.url('power').replace(/\?.*/, '');
    const untilOpen = `until wget -q -O /dev/null ${gate} 2>/dev/null; do sleep 0.5; done`;
    const id = await running.rest.submit(talkative('power', untilOpen));
    await eventually(
      () => Promise.resolve(effects.count('power') === 1 ? true : undefined),
      () => 'it did not begin',
      60,
    );
    const first = await placeOf(id);
    await testbed('kill', first);
    await eventually(
      () => Promise.resolve(effects.count('power') === 2 ? true : undefined),
      () => 'it was not started again',
      lostAfterSeconds + 150,
    );
    gates.files.set('power', Buffer.from('open'));
    const job = await running.rest.ended(id, 150);
    expect(job).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    expect(job.execution.attempts).toMatchObject([
      { attempt: 1, machine: first, outcome: 'machineLost' },
      { attempt: 2, outcome: 'finished' },
    ]);
    expect(await running.rest.output(id)).toBe('begin\nend\n');

    // When the host is back, what the lost attempt left there goes away, and the host takes jobs again.
    await testbed('start', first);
    await eventually(
      () => Promise.resolve(runsOn(nodeOf(first)) === '' ? true : undefined),
      () => 'the lost run is still on its host',
      180,
    );
  }, 600_000);
});

/** Also those that are still being removed. */
function runsOn(node: TestNode): string {
  return onNode(
    node,
    'sh',
    '-c',
    'cd /home/batch/.prominence && ls -A runs removed 2>/dev/null | grep -v : || :',
  ).trim();
}

/** The machine a running job is on. */
async function placeOf(id: number): Promise<string> {
  for (const node of nodes) {
    if (runsOn(node).includes(`-${id}.`)) return node.name;
  }
  throw new Error(`job ${id} is on no node`);
}

/** The connection to a host behind ssh: its key, its loss, its channels. */
import { utils } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MachineWatch, PulledImage } from '../../../hosts/machine.ts';
import { canRunTestbed, startNodes, testbed, type TestNode } from '../../ground/testbed.ts';
import { deployment, ended, launchOf, nap, newRun, observe, output, pullBusybox, resultOf, sh, until } from './runs.ts';
import { sshHost, sshTransport, type Transport } from './transports.ts';

describe.runIf(canRunTestbed)('an ssh connection', () => {
  let node: TestNode;
  let transport: Transport;
  let image: PulledImage;
  beforeAll(async () => {
    // Some tests wait until a connection is given up: after three times as long.
    transport = await sshTransport({ keepaliveSeconds: 5 });
    [node] = (await startNodes(1)) as [TestNode];
    image = await pullBusybox(transport);
  });
  afterAll(async () => {
    await testbed('link', 'up', 'node1');
    await transport?.close();
  });

  it('is refused when the host has another key than the configured one', async () => {
    const { public: other } = utils.generateKeyPairSync('ed25519');
    const host = sshHost(node, { hostKey: other });
    await expect(host.run('true')).rejects.toMatchObject({ name: 'HostError', code: 'hostKeyMismatch' });
    await host.close();
  });

  it('is refused by the host when our key is another', async () => {
    const { private: privateKey } = utils.generateKeyPairSync('ed25519');
    const host = sshHost(node, { privateKey });
    await expect(host.run('true')).rejects.toMatchObject({ name: 'HostError', code: 'authentication' });
    await host.close();
  });

  it('passes scripts, arguments and input as they are', async () => {
    const host = sshHost(node);
    const args = ['a b', "it's", '$HOME', '`id`', '', '\n', '*', '!x'];
    const result = await host.run('printf "<%s>" "$@"; cat; echo bad >&2; exit 3', {
      args,
      stdin: Buffer.from([0, 255]),
    });
    expect(result.exitCode).toBe(3);
    expect(result.stdout).toEqual(
      Buffer.concat([Buffer.from(args.map((arg) => `<${arg}>`).join('')), Buffer.from([0, 255])]),
    );
    expect(result.stderr.toString()).toBe('bad\n');
    await host.close();
  });

  it('carries more scripts at once than sshd allows on one connection', async () => {
    const host = sshHost(node);
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, index) => host.run('sleep 0.2; echo "$1"', { args: [String(index)] })),
    );
    expect(results.map(({ stdout }) => Number(stdout.toString()))).toEqual(
      Array.from({ length: 40 }, (_, index) => index),
    );
    await host.close();
  });

  it('ends a script that takes too long or is no longer wanted, also over there', async () => {
    const host = sshHost(node);
    const isThere = async (digit: string) => {
      const { stdout } = await host.run(
        `grep -l -a -e '^[s]leep.${nap}${digit}' /proc/[0-9]*/cmdline 2>/dev/null || :`,
      );
      return stdout.length > 0;
    };
    // Only what has begun over there can be ended there.
    await expect(host.run(`sleep ${nap}1`, { timeoutSeconds: 8 })).rejects.toMatchObject({ code: 'timeout' });
    const abort = new AbortController();
    const aborted = expect(host.run(`sleep ${nap}2`, { signal: abort.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    await until(() => isThere('2'), 'the script runs');
    abort.abort();
    await aborted;
    await until(async () => !(await isThere('[12]')), 'the scripts ended');
    await host.close();
  });

  it('is given up when the cable is pulled, and made again when it is plugged in; tasks go on meanwhile', async () => {
    const run = newRun();
    const { machine } = transport;
    let watch: MachineWatch = await machine.watch(deployment);
    await machine.startTask(run, launchOf(image, sh('echo one; sleep 8; echo two')));
    await until(async () => (await output(watch, run)) === 'one\n', 'the task runs');
    const hanging = transport.host.run('sleep 100');
    hanging.catch(() => {});
    await testbed('link', 'down', 'node1');
    await watch.ended;
    await expect(watch.list()).rejects.toMatchObject({ code: 'unreachable' });
    await expect(hanging).rejects.toMatchObject({ code: 'unreachable' });
    await testbed('link', 'up', 'node1');
    watch = await machine.watch(deployment);
    expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0, cause: 'exited' });
    expect(await output(watch, run)).toBe('one\ntwo\n');
    watch.close();
  });

  it('finds a task lost after the host lost its power', async () => {
    const run = newRun();
    const { machine } = transport;
    const watch = await machine.watch(deployment);
    await machine.startTask(run, launchOf(image, sh('echo on; sleep 100')));
    await until(async () => (await output(watch, run)) === 'on\n', 'the task runs');
    await testbed('kill', 'node1');
    await watch.ended;
    await testbed('start', 'node1');
    const next = await machine.watch(deployment);
    expect(next.bootId).not.toBe(watch.bootId);
    expect(await ended(next, run)).toMatchObject({ state: 'lost', detail: 'the machine restarted' });
    await next.remove([run]);
    expect(await observe(next, run)).toBeUndefined();
    next.close();
  });
});

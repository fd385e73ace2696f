/** The connection to a host behind ssh: its key, its loss, its channels. */
import { utils } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host, HostError, Lasting } from '../../../hosts/host.ts';
import type { MachineWatch, PulledImage } from '../../../hosts/machine.ts';
import { canRunTestbed, startNodes, testbed, type TestNode } from '../../ground/testbed.ts';
import { deployment, ended, launchOf, nap, newRun, observe, output, pullBusybox, resultOf, sh, until } from './runs.ts';
import { sshHost, sshTransport, type Transport } from './transports.ts';

/** A script to be run many times, and all of them ended at once. */
function abortable(host: Host, script: string) {
  const aborts: AbortController[] = [];
  const run = (lasts?: Lasting) => {
    const abort = new AbortController();
    aborts.push(abort);
    const options = { signal: abort.signal, ...(lasts ? { lasts } : {}) };
    return host.run(script, options).catch((error: HostError) => error.code);
  };
  return { run, abort: () => aborts.forEach((each) => each.abort()) };
}

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
    await testbed('down');
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

  it('keeps places for what is short, and for the watch, however many transfers there are', async () => {
    const host = sshHost(node);
    const { run, abort } = abortable(host, 'sleep 4821');
    const count = async () => {
      const { stdout } = await host.run("grep -l -a -e '^[s]leep.4821' /proc/[0-9]*/cmdline 2>/dev/null | wc -l", {
        timeoutSeconds: 20,
      });
      return Number(stdout.toString());
    };
    try {
      const transfers = Array.from({ length: 40 }, () => run('hours'));
      await until(async () => (await count()) >= 8, 'many of them go on at once');
      const calls = Array.from({ length: 40 }, () => run('minutes'));
      await until(async () => (await count()) >= 12, 'what users ask for has places too');
      const watch = await host.open('echo watching; cat');
      const short = Array.from({ length: 6 }, (_, index) =>
        host.run('sleep 0.2; echo "$1"', { args: [String(index)], timeoutSeconds: 20 }),
      );
      expect((await Promise.all(short)).map(({ stdout }) => Number(stdout.toString()))).toEqual([0, 1, 2, 3, 4, 5]);
      watch.close();
      abort();
      expect(new Set(await Promise.all([...transfers, ...calls]))).toEqual(new Set(['aborted']));
      await until(async () => (await count()) === 0, 'all of them are ended');
    } finally {
      abort();
      await host.close();
    }
  });

  it('counts the wait for a place: what is not wanted any more then is never begun', async () => {
    const host = sshHost(node);
    const { run, abort } = abortable(host, 'sleep 4822');
    const filling = Array.from({ length: 40 }, () => run());
    try {
      const began = Date.now();
      const script = 'touch began-4823';
      await expect(host.run(script, { timeoutSeconds: 0.5 })).rejects.toMatchObject({ code: 'timeout' });
      const own = new AbortController();
      const waiting = [host.run(script, { signal: own.signal }), host.open(script, { signal: own.signal })];
      setTimeout(() => own.abort(), 300);
      await Promise.all(waiting.map((each) => expect(each).rejects.toMatchObject({ code: 'aborted' })));
      expect(Date.now() - began).toBeLessThan(10_000);
      abort();
      await Promise.all(filling);
      expect((await host.run('ls | grep began-4823; rm -f began-4823')).stdout.toString()).toBe('');
    } finally {
      abort();
      await host.close();
    }
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

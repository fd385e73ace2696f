/**
 * What must hold after any job, however it ended: it is in its documented state, nothing it delivered is lost, and on the
 * machine is no process, mount, file, shared memory or secret of it. The jobs run as an account of their own, so that
 * whatever belongs to it is theirs. A new kind of job is one row of the table.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findApptainer } from '../../../scripts/components/apptainer.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { startCuttingRegistry, type CuttingRegistry } from '../../ground/cutting-registry.ts';
import { newGate } from '../../ground/gates.ts';
import { startHoldingProxy, type HoldingProxy } from '../../ground/holding-proxy.ts';
import { buildBusybox, buildSifWithApp, variantOf } from '../../ground/images.ts';
import { makeJobAccount, type JobAccount } from '../../ground/job-account.ts';
import { expectNothingLeft, type Place } from '../../ground/leftovers.ts';
import { processesWith } from '../../ground/processes.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { eventually, type DescribedJob, type Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';
import { startS3, type S3Server } from '../../ground/s3.ts';
import { startWebdav, type WebdavServer } from '../../ground/webdav.ts';
import { tarball } from '../conformance/tarball.ts';

const secrets = {
  environment: 'known-to-the-job-only',
  password: 'the-password-of-the-registry',
};
/** Of each stream of a job. */
const keptBytes = 33_554_432;
const credentials = { username: 'puller', password: secrets.password };
const small = `/var/tmp/prominence-leftovers-small-${process.pid}`;

/** Where the jobs run, and what they run against. */
interface Ground {
  running: RunningStack;
  rest: Rest;
  s3: S3Server;
  /** Between the machine and the store. */
  store: HoldingProxy;
  registry: TestRegistry;
  /** Between the machine and the registry. */
  slowRegistry: HoldingProxy;
  cutting: CuttingRegistry;
  webdav: WebdavServer;
  place: Place;
}

let ground: Ground;
let account: JobAccount;
let folder: string;
/** Begun first, for no walltime is shorter than a minute. */
let walltimeJobs: number[];

async function prepare(): Promise<Ground> {
  const s3 = await startS3();
  const store = await startHoldingProxy(new URL(s3.endpoint).host);
  const registry = await startRegistry({ address: '127.0.0.1', credentials });
  const slowRegistry = await startHoldingProxy(registry.host);
  const cutting = await startCuttingRegistry(registry.host);
  const webdav = await startWebdav();
  const { endpoint, accessKeyId, secretAccessKey } = s3;
  const site = { type: 'local' as const, account: account.name, cpus: 64, memoryGb: 64 };
  const workDirectories = [join(folder, 'site'), join(small, 'site')];
  const running = await runningStack({
    storage: {
      ...{ kind: 's3', endpoint, publicEndpoint: `http://${store.host}` },
      ...{ accessKeyId, secretAccessKey, bucket: 'prominence' },
    },
    sites: [
      { ...site, name: 'local', diskGb: 1000, workDirectory: workDirectories[0]! },
      { ...site, name: 'small', diskGb: 1, workDirectory: workDirectories[1]! },
    ],
    execution: {
      killGraceSeconds: 1,
      insecureRegistries: [registry.host, slowRegistry.host, cutting.host, '127.0.0.1:1'],
      logBytesPerStream: keptBytes,
      storagePatienceSeconds: 15,
    },
  });
  const place = { account, workDirectories, secrets: [...Object.values(secrets), secretAccessKey, webdav.password] };
  return { running, rest: running.rest, s3, store, registry, slowRegistry, cutting, webdav, place };
}

describe.runIf(getuid?.() === 0)('after any job', () => {
  beforeAll(async () => {
    account = makeJobAccount('left');
    folder = mkdtempSync(join(tmpdir(), 'prominence-leftovers-'));
    chmodSync(folder, 0o755);
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m,mode=755', 'tmpfs', small]);
    ground = await prepare();
    const { rest, registry } = ground;
    const busybox = await buildBusybox();
    for (const name of ['plain', 'deleted', 'refused', 'cut', 'held']) {
      await registry.push(await variantOf(busybox, folder), `private/${name}`);
    }
    await rest.upload('held.txt', Buffer.from('never told'));
    await rest.upload('data.tgz', tarball({ 'data/a.txt': 'from the archive\n' }));
    await rest.upload('b.gz', gzipSync('b\n'));
    await rest.upload('broken.tgz', Buffer.from('no archive'));
    walltimeJobs = await Promise.all([
      walltimeJob([shellTask(endless, { env })]),
      walltimeJob([shellTask(endless, { env, runtime: 'udocker' })]),
      walltimeJob([shellTask('sleep 5308', { type: 'sidecar' }), shellTask('echo x > kept; sleep 5309')]),
    ]);
  });
  afterAll(async () => {
    await ground?.running.stop();
    await ground?.cutting.close();
    await ground?.slowRegistry.close();
    await ground?.registry.stop();
    await ground?.store.close();
    await ground?.s3.stop();
    await ground?.webdav.stop();
    execFileSync('umount', ['-l', small]);
    rmSync(small, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
    account?.remove();
  });

  // At once, for each waits most of the time; what is left is looked for when the last has ended.
  describe.concurrent('of any kind', () => {
    it.each(Object.entries(kinds))('%s', async (_kind, run) => {
      await run(ground);
    });
  });

  describe('of those that meet a fault', () => {
    it.each(Object.entries(disruptions))('%s', async (_kind, run) => {
      await run(ground);
    });
  });

  it('the walltime, with containers that ignore TERM, and sidecars', async () => {
    for (const id of walltimeJobs) {
      const killed = await ground.rest.ended(id, 150);
      expect(killed).toMatchObject({
        status: 'killed',
        statusReason: 'Walltime limit exceeded',
        execution: { tasks: [{ error: 'WallTimeLimitExceeded' }] },
      });
      expect(await text(killed.outputFiles![0]!.url)).toBe('x\n');
    }
  });

  it('nothing of it is left on its machine', () => expectNothingLeft(ground.place));
});

const residentBytes = (child: { pid: number | undefined } | undefined): number =>
  1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child?.pid}/status`, 'utf8'))?.[1]);

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return bytes;
}

const isRunning = (words: string) => processesWith(words).length > 0;

/** Of a job's first task: what it wrote down where it was started tells it from those of other tests' jobs with that id. */
function killSupervisor({ place }: Ground, id: number): void {
  const started = place.workDirectories.map((folder) => join(folder, `runs/p-${id}.1.0/tasks/0/started`));
  const [pid] = readFileSync(
    started.find((file) => existsSync(file))!,
    'utf8',
  ).split(' ');
  process.kill(Number(pid), 'SIGKILL');
}

async function sha256(url: string): Promise<string> {
  const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
  return createHash('sha256').update(bytes).digest('hex');
}

const env = { SECRET: secrets.environment };
const job = (line: string, more: Record<string, unknown> = {}) =>
  shellJob('', { tasks: [shellTask(line, { env })], ...more });
/** As daemons are made: two forks and a session of its own, with closed streams or the task's. */
const daemons = '(setsid sleep 5301 &) ; (sh -c "setsid sleep 5302 </dev/null >/dev/null 2>&1 & exit 0")';
const litter = 'echo x | tee /tmp/x /var/tmp/x /dev/shm/x >/dev/null';

const ended = async ({ rest }: Ground, description: Record<string, unknown>, seconds = 120): Promise<DescribedJob> =>
  rest.ended(await rest.submit(description), seconds);

const text = async (url: string) => (await fetch(url)).text();

const endless = `trap "" TERM; ${daemons}; echo x > kept; while :; do sleep 5304; done`;

function walltimeJob(tasks: Record<string, unknown>[]): Promise<number> {
  const resources = { nodes: 1, cpus: 1, memory: 1, disk: 1, walltime: 1 };
  return ground.rest.submit(job('', { resources, tasks, outputFiles: ['kept'] }));
}

const says = (rest: Rest, id: number, words: string) =>
  eventually(
    async () => ((await rest.output(id)).includes(words) ? true : undefined),
    () => `job ${id} never said ${words}`,
  );

async function deleted({ rest }: Ground, id: number): Promise<void> {
  await rest.request('DELETE', `/jobs/${id}`);
  expect(await rest.ended(id, 120)).toMatchObject({ status: 'deleted', statusReason: 'Job deleted by user' });
}

const privateImage = (host: string, name: string, more: Record<string, unknown> = {}) => ({
  image: `${host}/private/${name}`,
  runtime: 'singularity',
  cmd: 'echo pulled',
  imagePullCredential: { username: credentials.username, token: credentials.password },
  ...more,
});

const kinds: Record<string, (ground: Ground) => Promise<void>> = {
  async 'a job that completes, with daemons and files everywhere'(on) {
    const { rest } = on;
    const done = await ended(on, job(`${daemons}; ${litter}; mkdir -p d/e; chmod 0 d; echo done`));
    expect(done).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    expect(await rest.output(done.id)).toBe('done\n');
  },

  async 'a job that fails in its second task'(on) {
    const tasks = [shellTask(`${daemons}; exit 0`, { env }), shellTask(`${daemons}; exit 3`), shellTask('echo never')];
    expect(await ended(on, job('', { tasks }))).toMatchObject({
      status: 'completed',
      execution: { tasks: [{ exitCode: 0 }, { exitCode: 3 }] },
    });
  },

  async 'a job that is repeated'(on) {
    const line = `${daemons}; [ -e n ] && exit 0; touch n; exit 1`;
    const policies = { maximumRetries: 1, maximumTaskRetries: 1 };
    expect(await ended(on, job(line, { policies }))).toMatchObject({
      execution: { tasks: [{ exitCode: 0, retries: 1 }] },
    });
    const never = await ended(on, job(`${daemons}; exit 1`, { policies: { maximumRetries: 1 } }));
    expect(never.execution).toMatchObject({ retries: 1, tasks: [{ exitCode: 1 }] });
  },

  async udocker(on) {
    const { rest } = on;
    const task = (line: string) => shellTask(line, { runtime: 'udocker', env });
    const done = await ended(
      on,
      job('', { tasks: [task(`${litter}; ${daemons}; echo one`), task('cat /dev/shm/x; readlink /proc/self/ns/ipc')] }),
    );
    expect(done).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }, { exitCode: 0 }] } });
    expect(await rest.output(done.id)).toMatch(/^one\nx\nipc:\[\d+\]\n$/);
    // What would outlive the task there does so in a namespace that does not.
    expect(await rest.output(done.id)).not.toContain(readlinkSync('/proc/self/ns/ipc'));
  },

  async 'storage of its own, that is deleted while it writes to it, or whose server vanishes'(on) {
    const { rest, webdav } = on;
    const mounting = (server: WebdavServer, line: string) => {
      const { url, username, password } = server;
      const storage = { type: 'webdav', mountpoint: '/data', webdav: { url, username, password } };
      return job(line, { storage });
    };
    const done = await ended(on, mounting(webdav, `${daemons}; echo kept | tee /data/result`));
    expect(done).toMatchObject({ status: 'completed' });
    expect(readFileSync(join(webdav.folder, 'result'), 'utf8')).toBe('kept\n');

    const writing = 'echo up; while :; do date >>/data/writing; sleep 0.05; done';
    const id = await rest.submit(mounting(webdav, writing));
    await says(rest, id, 'up');
    await deleted(on, id);
    expect(readFileSync(join(webdav.folder, 'result'), 'utf8')).toBe('kept\n');

    const vanishing = await startWebdav();
    const vanished = newGate(rest);
    try {
      const lost = await rest.submit(mounting(vanishing, `exec 3>/data/lost; echo up; ${vanished.line}; echo x >&3`));
      await says(rest, lost, 'up');
      await vanishing.kill();
      await vanished.open();
      expect(await rest.ended(lost, 150)).toMatchObject({
        status: 'failed',
        statusReason: 'Unable to stageout output to object storage',
      });
    } finally {
      await vanishing.stop();
    }
  },

  async 'sidecars that do not want to end'(on) {
    const sidecar = shellTask(`trap "" TERM; ${daemons}; while :; do sleep 5303; done`, { type: 'sidecar', env });
    const done = await ended(on, job('', { tasks: [sidecar, shellTask('echo x > out')], outputFiles: ['out'] }));
    expect(done).toMatchObject({ status: 'completed' });
    expect(await text(done.outputFiles![0]!.url)).toBe('x\n');
  },

  async 'inputs, artifacts, archives and outputs'(on) {
    const { rest } = on;
    const done = await ended(
      on,
      job('cat in.txt data/a.txt b > all; mkdir -p out/deep; cp all out/deep; echo told', {
        inputs: [{ filename: 'in.txt', content: Buffer.from('in\n').toString('base64') }],
        artifacts: [{ url: 'data.tgz', mountpoint: 'data:/mnt' }, { url: 'b.gz' }],
        outputFiles: ['all'],
        outputDirs: ['out'],
      }),
    );
    expect(done).toMatchObject({ status: 'completed' });
    expect(await rest.output(done.id)).toBe('told\n');
    expect(await text(done.outputFiles![0]!.url)).toBe('in\nfrom the archive\nb\n');
    expect(done.outputDirs![0]!.size).toBeGreaterThan(50);
  },

  async 'artifacts that can not be had or not be unpacked'(on) {
    const [broken, missing] = await Promise.all([
      ended(on, job('true', { artifacts: [{ url: 'broken.tgz' }] })),
      ended(on, job('true', { artifacts: [{ url: 'http://127.0.0.1:1/x' }] })),
    ]);
    expect(broken).toMatchObject({ status: 'failed', statusReason: 'Artifact uncompress failed' });
    expect(missing).toMatchObject({ status: 'failed', statusReason: 'Artifact download failed' });
  },

  async 'outputs that are not there'(on) {
    const lost = await ended(on, job('echo x > here', { outputFiles: ['here', 'nowhere'], outputDirs: ['no'] }));
    expect(lost).toMatchObject({ status: 'failed', statusReason: 'Stageout failed due to no such file or directory' });
    expect(await text(lost.outputFiles![0]!.url)).toBe('x\n');
  },

  async 'an image from a registry with a password'(on) {
    const { registry } = on;
    const tasks = ['singularity', 'udocker'].map((runtime) => privateImage(registry.host, 'plain', { runtime, env }));
    expect(await ended(on, job('', { tasks }))).toMatchObject({
      status: 'completed',
      execution: { tasks: [{ exitCode: 0 }, { exitCode: 0 }] },
    });
  },

  async 'an image that is refused, cut short, or nowhere'(on) {
    const { registry, cutting } = on;
    cutting.cuts = true;
    const imagePullCredential = { username: 'puller', token: 'wrong' };
    const tasks = [
      privateImage(registry.host, 'refused', { imagePullCredential }),
      privateImage(cutting.host, 'cut'),
      privateImage(cutting.host, 'cut', { runtime: 'udocker' }),
      { image: '127.0.0.1:1/none', runtime: 'singularity', cmd: 'true' },
    ];
    const all = await Promise.all(tasks.map((task) => ended(on, job('', { tasks: [task] }), 120)));
    for (const each of all) {
      expect(each).toMatchObject({ status: 'failed', statusReason: 'Container image pull failed' });
    }
  },

  async 'an app'(on) {
    const sif = join(folder, 'app.sif');
    await buildSifWithApp(findApptainer(thisMachine())!.path, await buildBusybox(), sif);
    await on.rest.upload('app.sif', readFileSync(sif));
    const tasks = [{ image: 'app.sif', runtime: 'singularity', app: 'greet', cmd: 'you', env }];
    expect(await ended(on, job('', { tasks }))).toMatchObject({ status: 'completed' });
  },

  async 'too much memory'(on) {
    const line = `${daemons}; dd if=/dev/zero of=/dev/null bs=1500M`;
    const killed = await ended(on, job(line));
    expect(killed).toMatchObject({ status: 'killed', statusReason: 'Job used too much memory' });
  },

  async 'more output than is kept, of any bytes'(on) {
    const line = 'head -c 200000000 /dev/zero | tr "\\0" "\\377"; echo told >&2; echo x > out';
    const { api, worker } = on.running.stack.children;
    const before = [api, worker].map(residentBytes);
    const done = await ended(on, job(line, { outputFiles: ['out'] }));
    expect(done).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    const notice = `\n[prominence: stdout was cut here, after ${keptBytes} bytes]\n`;
    expect(await on.rest.output(done.id, 'stdout', keptBytes)).toBe(notice);
    expect(await on.rest.output(done.id, 'stderr')).toBe('told\n');
    // Read by several at once, and slowly: neither process holds the whole of it. Other jobs grow them as well.
    const readers = Array.from({ length: 10 }, () => on.rest.request('GET', `/jobs/${done.id}/stdout`));
    const bytes = await Promise.all(readers.map(async (answer) => bytesOf((await answer).body!)));
    expect(bytes).toEqual(bytes.map(() => keptBytes + notice.length));
    const growth = [api, worker].map((child, index) => residentBytes(child) - before[index]!);
    expect(Math.max(...growth)).toBeLessThan(6 * keptBytes);
    expect(await text(done.outputFiles![0]!.url)).toBe('x\n');
  },

  async 'a full disk'(on) {
    const policies = { placement: { requirements: { sites: ['small'] } } };
    const full = await ended(
      on,
      job('echo before; dd if=/dev/zero of=big bs=1M; echo after > late; exit 6', { policies }),
    );
    expect(full).toMatchObject({ status: 'completed', execution: { site: 'small', tasks: [{ exitCode: 6 }] } });
    expect(await on.rest.output(full.id)).toBe('before\n');
    const packed = await ended(on, job('mkdir d; cat /dev/urandom > d/big', { policies, outputDirs: ['d'] }));
    expect(packed).toMatchObject({
      status: 'failed',
      statusReason: 'Stageout failed due to tarball creation failed',
    });
    const next = await ended(on, job('echo room again > out', { policies, outputFiles: ['out'] }));
    expect(await text(next.outputFiles![0]!.url)).toBe('room again\n');
  },

  async 'a supervisor that was killed'(on) {
    const supervised = newGate(on.rest);
    const id = await on.rest.submit(job(`${daemons}; echo up; ${supervised.line}; echo again > out`));
    await says(on.rest, id, 'up');
    killSupervisor(on, id);
    await supervised.open();
    expect(await on.rest.ended(id, 120)).toMatchObject({
      status: 'completed',
      execution: {
        tasks: [{ exitCode: 0 }],
        attempts: [
          { attempt: 1, outcome: 'taskLost' },
          { attempt: 2, outcome: 'finished' },
        ],
      },
    });
  },

  async 'a deletion while it runs, with commands beside it'(on) {
    const { rest, store } = on;
    const id = await rest.submit(job(`trap "" TERM; ${daemons}; ${litter}; echo up; sleep 5305`));
    await says(rest, id, 'up');
    const exec = (line: string) => rest.request('POST', `/jobs/${id}/exec`, { command: ['sh', '-c', line] });
    expect(await (await exec(`${daemons}; ${litter}; echo inside`)).text()).toBe('inside\n');
    expect((await rest.request('PUT', `/jobs/${id}/snapshot?path=.`)).status).toBe(200);
    const silent = exec('trap "" TERM; sleep 5306').then((answer) => answer.text());
    store.hold(/^PUT .*\/snapshots\//);
    const snapshot = rest.request('PUT', `/jobs/${id}/snapshot?path=.`);
    await store.held(/\/snapshots\//);
    await deleted(on, id);
    await silent;
    expect((await snapshot).status).toBe(400);
  },

  async 'a deletion while its image is pulled'(on) {
    const { slowRegistry, rest } = on;
    slowRegistry.hold(/\/private\/deleted\/blobs\//);
    const ids = await Promise.all(
      ['singularity', 'udocker'].map((runtime) =>
        rest.submit(job('', { tasks: [privateImage(slowRegistry.host, 'deleted', { runtime })] })),
      ),
    );
    await slowRegistry.held(/\/private\/deleted\/blobs\//);
    await Promise.all(ids.map((id) => deleted(on, id)));
  },

  async 'a deletion while it is staged in, or out'(on) {
    const { store, rest } = on;
    store.hold(/\/held\.txt\?/);
    store.hold(/\/deleted-output\?/);
    const staging = await rest.submit(job('true', { artifacts: [{ url: 'held.txt' }] }));
    const delivering = await rest.submit(job('echo x > deleted-output', { outputFiles: ['deleted-output'] }));
    await store.held(/\/held\.txt\?/);
    await store.held(/\/deleted-output\?/);
    await Promise.all([deleted(on, staging), deleted(on, delivering)]);
  },
};

/** What kills parts of the service, and so can't go on beside others. */
const disruptions: Record<string, (ground: Ground) => Promise<void>> = {
  async 'a worker that is killed while jobs are at every step'(on) {
    const { store, slowRegistry, rest, running } = on;
    await rest.upload('worker.txt', Buffer.from('staged\n'));
    const letGo = [
      store.hold(/\/worker\.txt\?/),
      store.hold(/\/worker-output\?/),
      slowRegistry.hold(/\/private\/held\/blobs\//),
    ];
    store.hold(/\/worker-deleted\?/);
    const pulling = await rest.submit(job('', { tasks: [privateImage(slowRegistry.host, 'held')] }));
    const staging = await rest.submit(job('cat worker.txt', { artifacts: [{ url: 'worker.txt' }] }));
    const output = 'worker-output';
    const delivering = await rest.submit(job(`${daemons}; echo whole > ${output}`, { outputFiles: [output] }));
    const unwanted = await rest.submit(job('echo x > worker-deleted', { outputFiles: ['worker-deleted'] }));
    const killed = newGate(rest);
    const busy = await rest.submit(job(`${daemons}; echo up; ${killed.line}; echo down`));
    await Promise.all([
      store.held(/\/worker\.txt\?/),
      store.held(/\/worker-output\?/),
      store.held(/\/worker-deleted\?/),
      slowRegistry.held(/\/private\/held\//),
      says(rest, busy, 'up'),
    ]);
    const command = { command: ['sh', '-c', 'trap "" TERM; sleep 5307'] };
    const exec = rest.request('POST', `/jobs/${busy}/exec`, command).then((answer) => answer.text());
    await eventually(
      () => Promise.resolve(isRunning('sleep 5307') ? true : undefined),
      () => 'the command did not begin',
    );
    process.kill(running.stack.children.worker!.pid!, 'SIGKILL');
    // What is held stays so: only what asks anew gets an answer, and one output is never let through.
    for (const release of letGo) release();
    await killed.open();
    for (const id of [pulling, staging, delivering, busy]) {
      expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    }
    await deleted(on, unwanted);
    await exec;
    expect(await rest.output(staging)).toBe('staged\n');
    expect(await rest.output(busy)).toBe('up\ndown\n');
    expect(await text((await rest.describe(delivering)).outputFiles![0]!.url)).toBe('whole\n');
  },

  async 'a store that goes down while outputs are on their way, and comes back'(on) {
    const { store, s3, rest } = on;
    await rest.upload('later.txt', Buffer.from('later\n'));
    store.hold(/^PUT .*\/second\?/);
    store.hold(/^GET .*\/later\.txt\?/);
    const outputs = { outputFiles: ['first', 'second'], outputDirs: ['d'] };
    const line = 'for each in first second; do head -c 3000000 /dev/urandom > $each; done; mkdir d; cp second d';
    const id = await rest.submit(job(`${line}; sha256sum first second`, outputs));
    const later = await rest.submit(job('cat later.txt', { artifacts: [{ url: 'later.txt' }] }));
    await Promise.all([store.held(/\/second\?/), store.held(/\/later\.txt\?/)]);
    await s3.goDown();
    store.cut();
    // The machine makes three attempts by itself; it is told to make more. What was delivered is delivered again.
    const asked = (name: RegExp) => store.unanswered.filter((each) => name.test(each)).length;
    await eventually(
      () => Promise.resolve(asked(/^PUT .*\/first\?/) > 0 && asked(/^GET .*\/later/) > 2 ? true : undefined),
      () => `the store was asked ${store.unanswered.join(' ')}`,
    );
    for (const each of [id, later]) expect(await rest.describe(each)).toMatchObject({ status: 'running' });
    await s3.comeBack();
    await rest.ended(later);
    expect(await rest.output(later)).toBe('later\n');
    const done = await rest.ended(id);
    expect(done).toMatchObject({ status: 'completed' });
    const sums = await Promise.all(done.outputFiles!.map(async ({ url, name }) => `${await sha256(url)}  ${name}\n`));
    expect(sums.join('')).toBe(await rest.output(id));
    expect(done.outputDirs![0]!.size).toBeGreaterThan(3_000_000);
  },
};

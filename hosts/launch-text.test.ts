import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { launchText } from './launch-text.ts';
import type { TaskLaunch } from './machine.ts';

const launch: TaskLaunch = {
  launchNumber: 0,
  prepare: { inputs: [] },
  imageKey: 'k',
  fileSha256: 'f',
  runtime: 'singularity',
  argv: ['echo', "it's", '$X'],
  env: { A: 'line\n$B', HOME: '/elsewhere', 'no-name': 'x' },
  binds: [{ source: 'my data', target: '/data,1' }],
  walltimeSeconds: 1,
  memoryBytes: 1,
  killGraceSeconds: 1,
  outputBytes: 1,
};

/** Runs the text with the functions of supervise.sh replaced by ones that tell what they were given. */
function evaluate(text: string): string {
  const stubs = `newline='\n'; held() { inside="/real/$2"; }; image_environment() { :; }
    restoring() { restoring="$spoiled/$spoiled_by_shells"; [ "$restoring" != / ]; }
    contained() { prefix=P_; variables; printf "<%s>" "$@"; printf "%s" "$P_A"; }`;
  return execFileSync('sh', ['-c', `run=runs/r image=i.sif\n${stubs}\n${text}`], { cwd: '/' }).toString();
}

it('hands the runtime words and environment as they are', () => {
  expect(evaluate(launchText(launch, 'apptainer'))).toBe(
    `<exec><--pwd></home/user><--mount><type=bind,"src=/real/my data","dst=/data,1"><//runs/r/i.sif><echo><it's><$X>line\n$B`,
  );
  expect(launchText(launch, 'apptainer')).not.toContain('elsewhere');
  expect(launchText(launch, 'apptainer')).not.toContain('no-name');
});

it('gives variables that a shell would spoil another name until they are in the container', () => {
  const env = { A: 'a', key: 'k', UID: '7', PATH: '/bin' };
  const text = launchText({ ...launch, binds: [], env }, 'apptainer');
  expect(text).toContain(
    `export "${'$'}{prefix}"PROMINENCE_ENV_key='k'\nexport "${'$'}{prefix}"PROMINENCE_ENV_UID='7'`,
  );
  expect(evaluate(text)).toBe("<exec><--pwd></home/user><//runs/r/i.sif></bin/sh><-c><key/UID><sh><echo><it's><$X>a");
  const { argv: _, ...withoutCommand } = launch;
  const start = (changes: object) =>
    evaluate(launchText({ ...withoutCommand, binds: [], env, ...changes }, 'apptainer'));
  expect(start({})).toContain('<-c><key/UID><sh></.singularity.d/runscript>a');
  expect(start({ app: 'x', argv: ['w'] })).toContain('<-c><key/UID><sh></scif/apps/x/scif/runscript><w>a');
});

it('is a text of few lines, and exports nothing before the runtime is all that is left to start', () => {
  const lines = 'x\n'.repeat(60_000);
  for (const program of ['apptainer', 'udocker', 'podman', 'docker'] as const) {
    const text = launchText({ ...launch, argv: [lines], env: { A: lines, B: '' }, workdir: 'a\nb' }, program);
    expect(text.split('\n').length).toBeLessThan(30);
    const [before, after = ''] = text.split('\n}\n');
    expect(before).toMatch(/variables\(\) \{/);
    expect(after).not.toContain('export');
  }
});

it('asks for the entry point when there is no command', () => {
  const { argv: _, ...withoutCommand } = launch;
  expect(evaluate(launchText({ ...withoutCommand, binds: [] }, 'apptainer'))).toMatch(/^<run>/);
});

it('runs an app of the image with the words of the command', () => {
  expect(evaluate(launchText({ ...launch, app: 'my app', binds: [] }, 'apptainer'))).toMatch(
    /^<run><--pwd><\/home\/user><--app><my app><\/\/runs\/r\/i\.sif><echo>/,
  );
});

it('says the same to udocker, in its own words', () => {
  const stubs =
    'inside() { inside="/real/$1"; }; unpacked() { :; }; contained_udocker() { prefix=P_; variables; printf "<%s>" "$@"; printf "%s" "$P_A$P_HOME"; }; newline="\n"';
  const say = (changes: Partial<TaskLaunch>) =>
    execFileSync('sh', [
      '-c',
      `${stubs}\n${launchText({ ...launch, runtime: 'udocker', ...changes }, 'udocker')}`,
    ]).toString();
  expect(say({})).toBe(
    `<--workdir=/home/user><--volume=/real/my data:/data,1><--entrypoint=><--><echo><it's><$X>line\n$B/home/user`,
  );
  const { argv: _, ...withoutCommand } = launch;
  expect(
    execFileSync('sh', [
      '-c',
      `${stubs}\n${launchText({ ...withoutCommand, runtime: 'udocker', binds: [] }, 'udocker')}`,
    ]).toString(),
  ).toContain('<--workdir=/home/user><-->');
  expect(() => say({ binds: [{ source: 'a:b', target: '/x' }] })).toThrow('cannot bind');
});

it('says the same to podman and docker, which know no apps', () => {
  const stubs =
    'held() { inside="/real/$2"; }; alone() { inside="/real/$2"; }; engine_for() { tag="$1/image"; }; contained_by_engine() { prefix=P_; variables; printf "<%s>" "$@"; printf "%s" "$P_A"; }; newline="\n"';
  const say = (changes: Partial<TaskLaunch>, program: 'podman' | 'docker' = 'podman') =>
    execFileSync('sh', ['-c', `${stubs}\n${launchText({ ...launch, ...changes }, program)}`]).toString();
  const bind = '<--volume=/real/my data:/data,1>';
  expect(say({})).toBe(
    `<--workdir=/home/user><--read-only>${bind}<--entrypoint=><podman/image><echo><it's><$X>line\n$B`,
  );
  expect(say({ runtime: 'udocker' }, 'docker')).toBe(
    `<--workdir=/home/user>${bind}<--entrypoint=><docker/image><echo><it's><$X>line\n$B`,
  );
  expect(say({ argv: [], binds: [] })).toContain('<--entrypoint=><podman/image>line');
  expect(() => say({ app: 'my app' })).toThrow('apps of images are not known to podman');
  const stored = { from: 'mount' as const, source: '.', target: '/data' };
  expect(() => say({ binds: [stored] })).toThrow('cannot bind . at /data');
  expect(() => say({ binds: [{ source: 'a:b', target: '/x' }] })).toThrow('cannot bind');
});

it('binds a folder of the storage that is mounted, as the user who mounted it', () => {
  const binds = [{ from: 'mount' as const, source: "my 'space", target: '/data' }];
  const stub = 'held() { inside="/mounted/$1/$2"; }';
  expect(evaluate(`${stub}\n${launchText({ ...launch, binds }, 'apptainer')}`)).toContain(
    `<--mount><type=bind,"src=/mounted/mount/my 'space","dst=/data"><--userns>`,
  );
  const gone = 'held() { return 1; }';
  expect(() => evaluate(`${gone}\n${launchText({ ...launch, binds }, 'apptainer')}`)).toThrow(
    'the storage is not mounted',
  );
});

it('refuses a folder with a colon in its name, also where only a link leads there', () => {
  const stubs = 'unpacked() { :; }; engine_for() { tag=x; }; contained_udocker() { :; }; contained_by_engine() { :; }';
  for (const program of ['udocker', 'podman', 'docker'] as const) {
    const text = launchText({ ...launch, binds: [{ source: 'link', target: '/x' }] }, program);
    expect(() =>
      execFileSync('sh', [
        '-c',
        `for each in inside held alone; do eval "$each() { inside=/real/a:/etc; }"; done; ${stubs}\n${text}`,
      ]),
    ).toThrow('cannot bind link at /x');
  }
});

it('refuses a bind that the runtime would read as something else', () => {
  const text = launchText({ ...launch, binds: [{ source: 'a","dst=/etc', target: '/x' }] }, 'apptainer');
  expect(() => evaluate(text)).toThrow('cannot bind');
});

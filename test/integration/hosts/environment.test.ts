/** What a task finds in its environment is what its description and its image say, whatever shells it passes on its way. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MachineWatch, PulledImage, TaskLaunch } from '../../../hosts/machine.ts';
import { buildBusybox, withEnvironment } from '../../ground/images.ts';
import { deployment, launchOf, newRun, output, resultOf, sh } from './runs.ts';
import { localTransport, type Transport } from './transports.ts';

/** Names that a shell or a runtime has its own use for, and values that one could read as something else. */
const odd: Record<string, string> = {
  ...Object.fromEntries(
    [
      ...['key', 'e', 'UID', 'GID', 'EUID', 'EGID', 'IFS', 'OPTIND', 'PPID', 'GROUPS', 'RANDOM', 'SECONDS', 'LINENO'],
      ...['PROMPT_COMMAND', 'PREPEND_PATH', 'APPEND_PATH', 'SING_USER_DEFINED_PATH', 'SINGULARITY_SHELL', 'BASH_ENV'],
      ...[
        'SINGULARITY_APPNAME',
        'APPTAINER_SHELL',
        'SHELLOPTS',
        'PS1',
        'PS4',
        'run',
        'image',
        'prefix',
        'words',
        'name',
      ],
      ...['SINGULARITY_NAME', 'APPTAINER_BIND', 'SINGULARITYENV_X', 'APPTAINERENV_Y', 'UDOCKERENV_Z', 'LANG', 'TERM'],
    ].map((name) => [name, `of ${name}`]),
  ),
  QUOTES: `a=b,c;d"e'f $HOME \`id\` \\n \\`,
  TEXT: 'one\n\ntwo\n',
  ESCAPED: 'a\\u000Ab',
  UNICODE: 'µ ☀ é',
  EMPTY: '',
  BLANKS: '  x  ',
};

const ofImage: Record<string, string> = {
  PLAIN: 'one two',
  EQUALS: 'a=b=c',
  NOTHING: '',
  APOS: "it's",
  JSON: '{"threads": 4, "name": "run 1"}',
  DOLLAR: '$HOME costs ${PRICE} $(date)',
  BACKQUOTE: '`date`',
  REGEX: '^\\d+\\.dat$ \\\\ \\n',
  TABBED: ' a\tb ',
  CONTROL: 'a\u0001\u001f\b\f\rb',
  LINES_OF_TEXT: 'one\n\n two\n',
  BRACKETS: '],"x":["&<>',
  SEPARATORS: '\u2028µ☀',
  UID: '1000',
  key: "the image's",
  IFS: ':',
  LAST: 'still here',
};

let transport: Transport;
let watch: MachineWatch;
let folder: string;
const images = new Map<string, PulledImage>();

beforeAll(async () => {
  transport = await localTransport();
  watch = await transport.machine.watch(deployment);
  folder = mkdtempSync(join(tmpdir(), 'prominence-environment-'));
  const busybox = await buildBusybox();
  const entries = Object.entries(ofImage).map(([name, value]) => `${name}=${value}`);
  const { archive } = await withEnvironment(busybox, folder, entries);
  for (const [name, file] of [
    ['busybox', busybox.archive],
    ['odd', archive],
  ] as const) {
    transport.files.files.set(`${name}.tar`, readFileSync(file));
    for (const runtime of ['singularity', 'udocker'] as const) {
      const source = { kind: 'download', url: transport.files.url(`${name}.tar`), archive: true } as const;
      const pulled = await transport.machine.pullImage({ runtime, imageKey: `${name}-${runtime}`, source });
      images.set(`${name} ${runtime}`, pulled);
    }
  }
});
afterAll(async () => {
  watch?.close();
  await transport?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(['singularity', 'udocker'] as const)('with %s', (runtime) => {
  const run = async (image: string, argv: string[] | undefined, changes: Partial<TaskLaunch> = {}) => {
    const ref = newRun();
    await transport.machine.startTask(ref, launchOf(images.get(`${image} ${runtime}`)!, argv, { runtime, ...changes }));
    const result = await resultOf(watch, ref);
    return { result, stdout: await output(watch, ref), stderr: await output(watch, ref, 'stderr') };
  };
  const seen = (text: string) => {
    const entries = text.split('\0').filter((entry) => entry !== '');
    return Object.fromEntries(
      entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
  };

  it('the variables of a task arrive as they are, whatever their names', async () => {
    const { result, stdout, stderr } = await run('busybox', ['/bin/env', '-0'], { env: odd });
    expect(stderr).toBe('');
    expect(result).toMatchObject({ exitCode: 0 });
    expect(seen(stdout)).toMatchObject(odd);
    expect(stdout.split('\0').filter((entry) => entry.startsWith('UID='))).toHaveLength(1);
    expect(stdout).not.toContain('PROMINENCE_ENV_');
  });

  it('the variables of an image arrive as docker gives them, and give way to those of the task', async () => {
    const { result, stdout, stderr } = await run('odd', ['env', '-0'], {
      env: { PLAIN: 'mine', UID: '7', NOTHING: 'x' },
    });
    expect(stderr).toBe('');
    expect(result).toMatchObject({ exitCode: 0 });
    expect(seen(stdout)).toMatchObject({ ...ofImage, IMAGE_NAME: 'busybox', PLAIN: 'mine', UID: '7', NOTHING: 'x' });
  });

  it('the entry point of an image has them too', async () => {
    const { result, stderr } = await run('odd', undefined, { env: { key: 'k', UID: '7' } });
    expect(stderr).toBe('');
    expect(result).toMatchObject({ exitCode: 0 });
  });

  it('as many arrive as may be asked for, and text of many lines as fast as other text', async () => {
    const env = {
      ...Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`V${n}`, 'x'.repeat(900)])),
      LONG: 'x\n'.repeat(65_000),
    };
    const began = Date.now();
    const { result, stdout, stderr } = await run('busybox', sh('env | grep -c ^V; printf %s "$LONG" | wc -c'), { env });
    expect(stderr).toBe('');
    expect(result).toMatchObject({ exitCode: 0 });
    expect(stdout.replaceAll(' ', '')).toBe('900\n130000\n');
    expect(Date.now() - began).toBeLessThan(60_000);
  });
});

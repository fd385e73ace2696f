/**
 * The shell text that turns a task into a container, read by `scripts/supervise.sh` from its stdin. It carries the
 * environment, which holds secrets: it is never a file and never an argument. Variables of the task are exported last, when
 * only the runtime is left to be started: no program of ours has them, and none fails for their number.
 */
import type { RuntimeProgram } from '../domain/machine.ts';
import type { Bind, ContainerLaunch } from './machine.ts';
import { shellQuote } from './quoting.ts';
import { keptPrefix, spoiledByApptainer, spoiledByShells } from './spoiled-names.ts';

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function launchText(launch: ContainerLaunch, program: RuntimeProgram): string {
  return `${linesFor(launch, program).join('\n')}\n`;
}

function linesFor(launch: ContainerLaunch, program: RuntimeProgram): string[] {
  switch (program) {
    case 'apptainer':
      return apptainerLines(launch);
    case 'udocker':
      return udockerLines(launch);
    case 'podman':
    case 'docker':
      return engineLines(launch, program);
  }
}

/** A shell can pass on only what it can name; HOME is the scratch folder whatever is asked for. */
export function canBeExported(name: string): boolean {
  return identifier.test(name) && name !== 'HOME';
}

function apptainerLines(launch: ContainerLaunch): string[] {
  const entries = environment(launch);
  const names = entries.map(([name]) => name);
  const lines = [
    `spoiled=${shellQuote(names.filter((name) => spoiledByApptainer.has(name)).join(' '))}`,
    `spoiled_by_shells=${shellQuote(names.filter((name) => spoiledByShells.has(name)).join(' '))}`,
    variables(entries.map(([name, value]) => [isSpoiled(name) ? `${keptPrefix}${name}` : name, value])),
  ];
  lines.push('image_environment', `set -- --pwd ${quoted(workdirOf(launch))}`);
  for (const bind of launch.binds) lines.push(apptainerBind(bind));
  // What a user's process mounted, the runtime can only see as that user.
  if (launch.binds.some(({ from }) => from === 'mount')) lines.push('set -- "$@" --userns');
  if (launch.app !== undefined) lines.push(`set -- "$@" --app ${quoted(launch.app)}`);
  // An app's own runscript is what gets the words.
  const verb = launch.argv && launch.app === undefined ? 'exec' : 'run';
  const image = '"$PWD/$run/$image"';
  lines.push(
    `if restoring; then set -- exec "$@" ${image} /bin/sh -c "$restoring" sh${verb === 'run' ? ` ${runscript(launch)}` : ''}`,
    `else set -- ${verb} "$@" ${image}; fi`,
    `contained "$@"${words(launch)}`,
  );
  return lines;
}

const isSpoiled = (name: string): boolean => spoiledByApptainer.has(name) || spoiledByShells.has(name);

/** What `run` runs. */
const runscript = ({ app }: ContainerLaunch): string =>
  app === undefined ? '/.singularity.d/runscript' : quoted(`/scif/apps/${app}/scif/runscript`);

function udockerLines(launch: ContainerLaunch): string[] {
  const lines = [variables([...environment(launch), ['HOME', '/home/user']])];
  lines.push(`set -- ${quoted(`--workdir=${workdirOf(launch)}`)}`);
  for (const bind of launch.binds) lines.push(volume(bind, looked));
  // As with the other runtime, a command stands in place of the entry point.
  if (launch.argv) lines.push('set -- "$@" --entrypoint=');
  lines.push('unpacked', `contained_udocker "$@" --${words(launch)}`);
  return lines;
}

function engineLines(launch: ContainerLaunch, program: 'podman' | 'docker'): string[] {
  if (launch.app !== undefined) return [`echo 'apps of images are not known to ${program}' >&2`, 'exit 255'];
  const lines = [variables(environment(launch))];
  lines.push(`engine_for ${program}`, `set -- ${quoted(`--workdir=${workdirOf(launch)}`)}`);
  // What jobs know of the runtime they name: with the one the image can't be written to (docs/wire.md 7.1).
  if (launch.runtime === 'singularity') lines.push('set -- "$@" --read-only');
  const found = program === 'podman' ? held : alone;
  for (const bind of launch.binds) lines.push(bind.from === 'mount' ? refusal(bind) : volume(bind, found));
  if (launch.argv) lines.push('set -- "$@" --entrypoint=');
  lines.push(`contained_by_engine "$@" "$tag"${words(launch)}`);
  return lines;
}

const workdirOf = (launch: ContainerLaunch): string => launch.workdir ?? '/home/user';
const words = (launch: ContainerLaunch): string => (launch.argv ?? []).map((word) => ` ${quoted(word)}`).join('');

type Variable = [name: string, value: string];

function environment(launch: ContainerLaunch): Variable[] {
  return Object.entries(launch.env).filter(([name]) => canBeExported(name));
}

/**
 * A function that is called when nothing but the runtime is left to be started: no other program of ours is to see these,
 * nor to fail for how many they are. `prefix` is what the runtime wants in front of their names.
 */
function variables(entries: Variable[]): string {
  // A function can't be empty.
  const lines = entries.map(([name, value]) => `export "\${prefix}"${name}=${quoted(value)}`);
  return ['variables() {', ':', ...lines, '}'].join('\n');
}

/** In one line: who reads the text takes time for each line of it, in proportion to the whole. */
const quoted = (value: string): string => shellQuote(value).replaceAll('\n', `'"$newline"'`);

function apptainerBind(bind: Bind): string {
  const { source, target } = bind;
  const refuse = refusal(bind);
  // The runtime reads a mount as CSV; a quote or a line break in it can't be expressed safely.
  if (/["\r\n\0]/.test(source + target)) return refuse;
  const destination = shellQuote(`",${`"dst=${target}"`}`);
  return `${held(bind)} || ${refuse}\nset -- "$@" --mount 'type=bind,"src='"$inside"${destination}`;
}

function volume(bind: Bind, found: (bind: Bind) => string): string {
  const { source, target } = bind;
  const refuse = refusal(bind);
  // Two paths with a colon between them, and no way to write another colon. A link may lead to a folder that has one.
  if (/[:\r\n\0]/.test(source + target)) return refuse;
  const isPlain = 'case $inside in *:*) false ;; esac';
  return `${found(bind)} && ${isPlain} || ${refuse}\nset -- "$@" "--volume=$inside"${shellQuote(`:${target}`)}`;
}

/** A path that stays the folder. */
function held(bind: Bind): string {
  const words = [bind.from ?? 'scratch', bind.source, refusalText(bind)].map(shellQuote);
  return `held ${words[0]} ${words[1]} ${shellQuote(words.join(' '))}`;
}

/** A path that is the folder while nothing else of the run goes on. */
const alone = ({ source, from = 'scratch' }: Bind): string => `alone ${from} ${shellQuote(source)}`;

/** A path that is the folder now: who opens it follows no link. */
const looked = ({ source, from }: Bind): string => `${from === 'mount' ? 'in_mount' : 'inside'} ${shellQuote(source)}`;

const refusal = (bind: Bind): string => `{ echo ${shellQuote(refusalText(bind))} >&2; exit 255; }`;

function refusalText({ source, target, from }: Bind): string {
  const what = from === 'mount' ? 'the storage is not mounted, or has no such folder:' : '';
  return `${what} cannot bind ${source} at ${target}`.trim();
}

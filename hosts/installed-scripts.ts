/**
 * The shell scripts of `hosts/scripts/` on a machine. They are installed once under a name made from their content, so
 * that a command costs no transfer, and an older release's supervisors keep the files they were started from.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { pack, type Pack } from 'tar-stream';
import { userWords } from './user-words.ts';
import type { Host, HostSession, OpenOptions, RunOptions, RunResult } from './host.ts';

export type ScriptName =
  | 'probe'
  | 'supervise'
  | 'starter'
  | 'kill'
  | 'stage-in'
  | 'unpack-stream'
  | 'pull-image'
  | 'mount'
  | 'unmount'
  | 'stage-out'
  | 'exec'
  | 'snapshot'
  | 'watch';

export interface ScriptRunner {
  run(name: ScriptName, options?: RunOptions & { stdinAgain?: () => Uint8Array }): Promise<RunResult>;
  open(name: ScriptName, args: string[], options?: Omit<OpenOptions, 'args'>): Promise<HostSession>;
  /** Put the scripts there if they are not. */
  install(): Promise<void>;
}

const directory = new URL('./scripts/', import.meta.url);
const files = readdirSync(directory)
  .filter((name) => /\.(sh|py)$/.test(name))
  .sort()
  .map((name) => ({ name, text: readFileSync(new URL(name, directory), 'utf8') }));
const release = files
  .reduce((hash, file) => hash.update(file.name).update('\0').update(file.text).update('\0'), createHash('sha256'))
  .digest('hex')
  .slice(0, 16);

const installSeconds = 120;
/** Exit code that says: the scripts are not on this machine. Used by nothing else here. */
const notInstalled = 90;

const goThere = `case $1 in /*) ;; *) cd || exit ${notInstalled} ;; esac`;
const callScript = `${goThere}
cd -P -- "$1" 2>/dev/null && [ -r "lib/$2/$3.sh" ] || exit ${notInstalled}
script=lib/$2/$3.sh
shift 3
`;
/**
 * A supervisor, and the keeper of a mount, gets a session of its own, so that no signal meant for its starter reaches it. The starter stays until
 * the answer is complete: sshd closes the stdin of a command whose first process is gone.
 */
const inOwnSession = `${callScript}exec 3<&0
answer=$(setsid sh "$script" "$@" <&3 3<&- &)
printf '%s\\n' "$answer"`;
const staying: ReadonlySet<ScriptName> = new Set(['supervise', 'mount']);
const inPlace = `${callScript}exec sh "$script" "$@"`;
/** Tells the machine that nothing was cut off: tar takes what ends between two members for whole. */
const endMember = 'end';
const installScript = `set -e
umask 022
${goThere}
mkdir -p -- "$1"
cd -P -- "$1"
mkdir -p lib
[ ! -d "lib/$2" ] || exit 0
trap 'rm -rf "lib/$2.$$"' EXIT
mkdir "lib/$2.$$"
tar -xf - -C "lib/$2.$$"
[ -e "lib/$2.$$/${endMember}" ] || { echo 'the scripts were cut short' >&2; exit 1; }
rm "lib/$2.$$/${endMember}"
mv -T "lib/$2.$$" "lib/$2" 2>/dev/null || :
`;

export function scriptsOn(host: Host, workDirectory: string): ScriptRunner {
  const install = async () => {
    const args = [workDirectory, release];
    const result = await host.run(installScript, { args, stdin: await packed(), timeoutSeconds: installSeconds });
    if (result.exitCode !== 0) {
      throw new Error(`could not prepare ${workDirectory} on ${host.label}: ${lastWords(result.stderr)}`);
    }
  };
  const wrapped = (name: ScriptName) => (staying.has(name) ? inOwnSession : inPlace);
  return {
    install,
    async run(name, options = {}) {
      const call = () =>
        host.run(wrapped(name), { ...options, args: [workDirectory, release, name, ...(options.args ?? [])] });
      const result = await call();
      if (result.exitCode !== notInstalled) return result;
      await install();
      return call();
    },
    async open(name, args, options = {}) {
      await install();
      return host.open(wrapped(name), { ...options, args: [workDirectory, release, name, ...args] });
    },
  };
}

/** The end of what a program complained about, short enough for a message. */
export function lastWords(stderr: Buffer | string, maximum = 500): string {
  const text = userWords(stderr.toString()).trim();
  return text.length <= maximum ? text : `...${text.slice(-maximum)}`;
}

async function packed(): Promise<Buffer> {
  const tar = pack();
  for (const { name, text } of [...files, { name: endMember, text: '' }]) tar.entry({ name, mode: 0o644 }, text);
  return finish(tar);
}

/** Ends a tar and gives its bytes. */
export async function finish(tar: Pack): Promise<Buffer> {
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

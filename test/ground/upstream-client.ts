/**
 * The command line client and Python library that users of upstream PROMINENCE have, unmodified, each call a process of
 * its own. It is obtained by the set-up of the tests, never kept here.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { testComponents } from '../../scripts/components/test-components.ts';
import { thisMachine } from '../../scripts/machine.ts';

export interface ClientResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface ClientProcess {
  /** What it has printed so far. */
  stdout(): string;
  ended: Promise<ClientResult>;
}

export interface ClientSettings {
  /** `<api>/<prefix>`, as users are told. */
  url: string;
  /** Undefined: the variable is not set. */
  token: string | undefined;
  /** Where it registers and logs in. Absent: nowhere. */
  oidcUrl?: string;
  /** An empty folder, for its home and its working directory. */
  folder: string;
}

/** No command of the client takes nearly as long, whatever else the machine does. */
const mostSeconds = 100;

export class UpstreamClient {
  private readonly settings: ClientSettings;
  private readonly programs: string;
  /** The client's home folder. */
  readonly home: string;
  /** Where its commands are given. */
  readonly workingDirectory: string;

  /** @throws when the client was not set up */
  constructor(settings: ClientSettings, programs: string) {
    this.settings = settings;
    this.programs = programs;
    this.home = join(settings.folder, 'home');
    this.workingDirectory = join(settings.folder, 'work');
    mkdirSync(this.home, { recursive: true });
    mkdirSync(this.workingDirectory, { recursive: true });
  }

  /** The same user and folders, but for what is given. */
  with(changes: Partial<ClientSettings>): UpstreamClient {
    return new UpstreamClient({ ...this.settings, ...changes }, this.programs);
  }

  /** `prominence <words>`. */
  run(...words: string[]): Promise<ClientResult> {
    return this.start(...words).ended;
  }

  start(...words: string[]): ClientProcess {
    return this.spawn('prominence', words, '');
  }

  /** A script that imports the library. */
  python(script: string): Promise<ClientResult> {
    return this.spawn('python3', ['-'], script).ended;
  }

  /** Lines as a user types them, with the client among the programs; the first that fails ends them. */
  shell(lines: string): Promise<ClientResult> {
    return this.spawn('/bin/bash', ['-euo', 'pipefail', '-c', lines], '').ended;
  }

  /** A file in the working directory; folders on its way are made. */
  write(name: string, content: string | Uint8Array): void {
    const file = join(this.workingDirectory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  read(name: string): Buffer {
    return readFileSync(join(this.workingDirectory, name));
  }

  private spawn(program: string, words: string[], input: string): ClientProcess {
    const { url, token, oidcUrl } = this.settings;
    const child = spawn(resolve(this.programs, program), words, {
      cwd: this.workingDirectory,
      env: {
        PATH: `${this.programs}:/usr/bin:/bin`,
        HOME: this.home,
        LANG: 'C.UTF-8',
        // A tail is read while it goes on.
        PYTHONUNBUFFERED: '1',
        PROMINENCE_URL: url,
        ...(token === undefined ? {} : { PROMINENCE_TOKEN: token }),
        ...(oidcUrl === undefined ? {} : { PROMINENCE_OIDC_URL: oidcUrl }),
      },
      stdio: 'pipe',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), mostSeconds * 1000);
    const ended = new Promise<ClientResult>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        if (code !== null) resolve({ exitCode: code, stdout, stderr });
        else reject(new Error(`${program} ${words.join(' ')} was ended by ${signal}: ${stdout}${stderr}`));
      });
    });
    return { stdout: () => stdout, ended };
  }
}

/** Folder of a client's programs. @throws when it is missing, with how to get it */
export async function findUpstreamClient(
  client: 'upstream client' | 'EOSC client' = 'upstream client',
): Promise<string> {
  const component = testComponents(thisMachine()).find(({ name }) => name === client);
  const found = await component?.find();
  if (!found) throw new Error(`the ${client} is not set up: run npm run setup -- --tests`);
  return dirname(found.path);
}

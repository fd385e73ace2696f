/**
 * The Python of this machine with the upstream library in it, as an archive that a job can bring: a folder `py` that needs
 * nothing of the image it runs in.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Of every library that the interpreter and its modules load; the loader itself comes first. */
const pack = `set -e
python=$1 stdlib=$2 site=$3 work=$4
mkdir -p "$work/py/lib" "$work/py/site"
cp -L "$python" "$work/py/python3"
library=$work/py/lib/$(basename "$stdlib")
mkdir "$library"
unneeded=
for name in site-packages dist-packages test idlelib tkinter ensurepip 'config-*' lib2to3 turtledemo; do
  unneeded="$unneeded --exclude=./$name"
done
tar -C "$stdlib" -chf - $unneeded --exclude=__pycache__ . | tar -C "$library" -xf -
cp -RL "$site/." "$work/py/site"
find "$library" "$site" -name '*.so' -exec ldd "$python" {} + 2>/dev/null |
  sed -n 's/.*=> \\(\\/[^ ]*\\) .*/\\1/p; s/^[[:space:]]*\\(\\/[^ ]*\\) (.*/\\1/p' | sort -u |
  while read -r file; do cp -L "$file" "$work/py/lib/"; done
cp -L "$work"/py/lib/ld-linux* "$work/py/loader"
tar -C "$work" -cf - py | gzip -1 >"$work/python.tgz"
`;

/** @param programs folder of the client's programs, which are a virtual environment's */
export async function packPython(programs: string): Promise<Buffer> {
  const work = mkdtempSync(join(tmpdir(), 'prominence-python-'));
  try {
    const tell =
      'import os, sys, sysconfig; print(os.path.realpath(sys.executable)); print(sysconfig.get_path("stdlib")); print(sysconfig.get_path("purelib"))';
    const { stdout } = await execute(join(programs, 'python3'), ['-c', tell]);
    writeFileSync(join(work, 'pack.sh'), pack);
    await execute('sh', [join(work, 'pack.sh'), ...stdout.trim().split('\n'), work]);
    return readFileSync(join(work, 'python.tgz'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Of a task that runs a script with it. */
export const pythonEnvironment = { PYTHONHOME: '/home/user/py', PYTHONPATH: '/home/user/py/site' };
export const pythonCommand = (script: string): string =>
  `/home/user/py/loader --library-path /home/user/py/lib /home/user/py/python3 ${script}`;

/**
 * The bench runs under a process that inherits every process orphaned below it and waits for it. So the time of the
 * supervisors, which outlive whoever started them, ends up in one account. The kernel call for that can be made from a
 * few lines of Perl, which is on every Linux machine that has a shell to speak of.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { childrenOf, readTimes, treeOf } from './cpu.ts';

export interface Reaper {
  /** Milliseconds of CPU of all orphans that ended, and of the gateway of jobs' networks, which goes on. */
  waitedFor(): number;
  /** Resolves when nothing orphaned runs any more but that gateway. @throws after the time */
  isEmpty(seconds: number): Promise<void>;
}

const underReaper = '--under-reaper';

/** The reaper this process runs under, or undefined when it has yet to be started again under one. */
export function ownReaper(args: string[]): Reaper | undefined {
  if (!args.includes(underReaper)) return undefined;
  const pid = process.ppid;
  const orphans = () => childrenOf(pid).filter((child) => child !== process.pid && !isGateway(child));
  return {
    waitedFor: () =>
      childrenOf(pid)
        .filter(isGateway)
        .reduce((sum, gateway) => sum + treeOf(gateway), readTimes(pid)?.waitedFor ?? 0),
    async isEmpty(seconds) {
      const end = Date.now() + seconds * 1000;
      while (orphans().length > 0) {
        if (Date.now() > end) throw new Error(`processes ${orphans().join(', ')} still run`);
        await pause(20);
      }
    },
  };
}

function isGateway(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/gateway.sh');
  } catch {
    // It ended meanwhile.
    return false;
  }
}

/** Numbers of the prctl call; PR_SET_CHILD_SUBREAPER is 36. */
const prctl: Partial<Record<NodeJS.Architecture, number>> = { x64: 157, arm64: 167 };
const interrupted = 4;
const script = `
my ($prctl, @command) = @ARGV;
syscall($prctl + 0, 36, 1, 0, 0, 0) == 0 or die "prctl: $!";
my $main = fork;
if (!$main) { exec @command or die "exec: $!" }
$SIG{INT} = 'IGNORE';
$SIG{TERM} = sub { kill 'TERM', $main };
for (;;) {
  my $ended = wait;
  exit($? & 127 ? 128 + ($? & 127) : $? >> 8) if $ended == $main;
  exit 1 if $ended == -1 && $! != ${interrupted};
}`;

/** Starts this program again under a reaper. @returns its exit code */
export async function againUnderReaper(args: string[]): Promise<number> {
  const call = prctl[process.arch];
  if (call === undefined) throw new Error(`the bench does not know how to account for processes on ${process.arch}`);
  const command = [process.execPath, ...process.execArgv, process.argv[1] ?? '', underReaper, ...args];
  const child = spawn('perl', ['-e', script, String(call), ...command], { stdio: 'inherit' });
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

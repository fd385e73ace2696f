/** What a process listens on, by what Linux says of its descriptors. Needs to be of its account, or root. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** TCP ports, in the process's network namespace; none of a process that is gone. */
export function listeningPorts(pid: number): number[] {
  try {
    const sockets = socketsOf(pid);
    const tables = ['tcp', 'tcp6'].map((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8'));
    const ports = tables
      .flatMap((table) => listenersIn(table))
      .flatMap(({ port, inode }) => (sockets.has(inode) ? port : []));
    return [...new Set(ports)].sort((a, b) => a - b);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function socketsOf(pid: number): Set<string> {
  const folder = `/proc/${pid}/fd`;
  const inodes = readdirSync(folder).flatMap((descriptor) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${descriptor}`))?.[1] ?? [];
    } catch (error) {
      // Closed meanwhile.
      if (isGone(error)) return [];
      throw error;
    }
  });
  return new Set(inodes);
}

/** Of the format of /proc/net/tcp: local address in hexadecimal, state 0A for listening, the inode as the tenth word. */
export function listenersIn(table: string): { port: number; inode: string }[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[3] === '0A')
    .map((words) => ({ port: parseInt(words[1]!.split(':')[1]!, 16), inode: words[9]! }));
}

const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH');

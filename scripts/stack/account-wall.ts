/**
 * The Temporal dev server has no authentication. Where this is root and has nftables, the kernel lets only our own account
 * reach its ports: a rule over the account of the socket that sends, which no program of another account can change, in
 * a container or a network namespace of its own neither. Elsewhere who starts the stack is told what does not hold.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { findOnPath } from '../command.ts';
import type { Machine } from '../machine.ts';
import type { Home } from './home.ts';
import { listeningPorts } from './listening-ports.ts';

export interface AccountWall {
  /** Whom it keeps out, or why it keeps out nobody: for people. */
  said: string;
  /** Also the ports that a process chooses itself, as soon as it listens on them. */
  follow(pid: number): void;
  remove(): Promise<void>;
}

const soonMilliseconds = 25;
const laterMilliseconds = 2000;
/** Somebody who loads a firewall anew may flush the rules of all. */
const againMilliseconds = 30_000;
/** A process that starts opens its ports within this. */
const startingMilliseconds = 20_000;

/** @param ports known beforehand: closed to others before anybody listens there */
export async function buildAccountWall(machine: Machine, home: Home, ports: readonly number[]): Promise<AccountWall> {
  const uid = process.getuid?.() ?? -1;
  const nft = findNft(machine);
  if (!machine.isRoot) return none('only root can close their ports to others');
  if (!nft) return none('nft is missing to close their ports to other accounts (Debian: apt-get install nftables)');
  const table = tableName(home);
  try {
    await load(nft, wholeTable(table, uid, ports));
  } catch (error) {
    return none(`their ports could not be closed to other accounts: ${(error as Error).message}`);
  }
  let watch: NodeJS.Timeout | undefined;
  let loading: Promise<void> = Promise.resolve();
  return {
    said: `Temporal and its web UI answer this account only (nftables, table ${table})`,
    follow(pid) {
      clearTimeout(watch);
      const startedAt = Date.now();
      let loaded = { ports: '', at: 0 };
      const look = () => {
        const all = [...new Set([...ports, ...listeningPorts(pid)])];
        if (all.join() !== loaded.ports || Date.now() - loaded.at > againMilliseconds) {
          loaded = { ports: all.join(), at: Date.now() };
          const failed = () => void (loaded.at = 0);
          loading = loading.then(() => load(nft, wholeTable(table, uid, all))).catch(failed);
        }
        watch = setTimeout(look, Date.now() - startedAt < startingMilliseconds ? soonMilliseconds : laterMilliseconds);
        watch.unref();
      };
      look();
    },
    async remove() {
      clearTimeout(watch);
      await loading;
      await load(nft, noTable(table));
    },
  };
}

const none = (why: string): AccountWall => ({
  said:
    `Temporal and its web UI answer every program that reaches 127.0.0.1 here (${why}): it can watch, cancel and end ` +
    'executions, but start and tell them nothing without secrets.keys',
  follow: () => undefined,
  remove: () => Promise.resolve(),
});

export const findNft = (machine: Machine): string | undefined =>
  findOnPath('nft', { ...machine.env, PATH: `${machine.env['PATH'] ?? ''}:/usr/sbin:/sbin` });

/** The stack's own, so that it can be replaced and removed without a look at the others. */
const tableName = (home: Home): string =>
  `prominence_${createHash('sha256').update(home.path).digest('hex').slice(0, 12)}`;

/**
 * All packets count, not only those that open a connection: one that was opened before its port was known is cut then.
 * What a stack that was killed left behind is replaced.
 */
export const wholeTable = (table: string, uid: number, ports: readonly number[]): string => `
${noTable(table)}
table inet ${table} {
  set ports { type inet_service; elements = { ${ports.join(', ')} }; }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname "lo" meta skuid != ${uid} tcp dport @ports reject with tcp reset
  }
}
`;

/** Made first, for what is not there can't be deleted. */
const noTable = (table: string): string => `table inet ${table}\ndelete table inet ${table}\n`;

/** One transaction of the kernel. @throws with what nft says */
async function load(nft: string, rules: string): Promise<void> {
  const child = spawn(nft, ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(rules);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(complaint.trim().split('\n')[0] || `nft ended with ${code}`);
}

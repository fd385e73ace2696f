/** Hosts behind ssh on this machine: `testbed.sh` in TypeScript's words. Needs root. */
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import { getuid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findRclone } from '../../scripts/components/rclone.ts';
import { thisMachine } from '../../scripts/machine.ts';

const script = fileURLToPath(new URL('./testbed.sh', import.meta.url));
const directory = '/var/cache/prominence/testbed';

/** Where the machine that runs the tests is seen by the nodes. */
export const bridgeAddress = '10.77.0.1';

export interface TestNode {
  name: string;
  address: string;
  port: number;
  user: string;
  privateKey: string;
  /** Path of the private key. */
  privateKeyFile: string;
  /** `ssh-ed25519 AAAA...` */
  hostKey: string;
}

/** Network namespaces, overlays and the base's packages are made by root only. */
export const canRunTestbed = getuid?.() === 0;

/** Commands of testbed.sh: `testbed('link', 'down', 'node1')`, `testbed('kill', 'node1')`, ... */
export async function testbed(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(script, words, { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

/** Known by each test file for itself. */
let areOurs = false;

/**
 * Bring up nodes 1 to `count`, or find them up. Takes half a minute the first time, then under a second. The first call of
 * a test file removes what others left: a run that was cut short leaves nodes with images in their caches and pulled cables.
 */
export async function startNodes(count: number): Promise<TestNode[]> {
  if (!areOurs) await testbed('down');
  areOurs = true;
  await testbed('up', String(count));
  const privateKeyFile = `${directory}/id_ed25519`;
  const privateKey = readFileSync(privateKeyFile, 'utf8');
  const known = readFileSync(`${directory}/known_hosts`, 'utf8').trim().split('\n');
  return known.slice(0, count).map((line) => {
    const [hosts = '', ...key] = line.split(' ');
    const [address = '', name = ''] = hosts.split(',');
    return { name, address, port: 22, user: 'batch', privateKey, privateKeyFile, hostKey: key.join(' ') };
  });
}

/** The program that mounts users' storage; the nodes' base has all else that it needs. */
export function giveRclone(node: TestNode): void {
  const program = findRclone(thisMachine());
  if (!program) throw new Error('rclone is not here: get it with npm run setup -- --tests');
  const there = `${directory}/shared/rclone`;
  if (!existsSync(there)) {
    copyFileSync(program.path, `${there}.${process.pid}`);
    renameSync(`${there}.${process.pid}`, there);
  }
  onNode(node, 'ln', '-sf', '/shared/rclone', '/usr/local/bin/rclone');
}

/** A command on a node as root, past ssh. */
export function onNode(node: TestNode, ...command: string[]): string {
  return execFileSync(script, ['exec', node.name, ...command], { encoding: 'utf8' });
}

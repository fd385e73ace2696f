/** System accounts the stack's parts run as when it is started by root. Made by set-up, only looked up here. */
import { readFileSync } from 'node:fs';

export interface Account {
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root. Not the account of jobs: those must not be able to reach its files. */
export const databaseAccount = 'prominence-db';
export const jobAccount = 'prominence';

export function findAccount(name: string): Account | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

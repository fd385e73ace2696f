/** An account that only one test's jobs run as: whatever belongs to it on this machine came from them. Needs root. */
import { execFileSync } from 'node:child_process';
import { findAccount } from '../../scripts/stack/account.ts';

export interface JobAccount {
  name: string;
  uid: number;
  home: string;
  /** With its home folder. */
  remove(): void;
}

export function makeJobAccount(purpose: string): JobAccount {
  const name = `prom-${purpose}-${process.pid}`;
  execFileSync('useradd', ['--user-group', '--create-home', '--skel', '/nonexistent', '--shell', '/bin/sh', name]);
  return {
    name,
    uid: findAccount(name)!.uid,
    home: `/home/${name}`,
    remove() {
      // The next account may get the same number, and would be taken for the owner of what a failed test left.
      execFileSync('sh', ['-c', 'find /tmp /var/tmp /dev/shm -user "$1" -delete 2>/dev/null || :', 'sh', name]);
      execFileSync('userdel', ['--force', '--remove', name], { stdio: 'ignore' });
    },
  };
}

/** The system accounts that PostgreSQL and jobs run as when root starts the stack: never root itself. */
import { runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import { databaseAccount, findAccount, jobAccount } from '../stack/account.ts';
import type { Component } from './component.ts';

export function accounts(machine: Machine): Component[] {
  if (!machine.isRoot) return [];
  return [
    systemAccount(jobAccount, 'run jobs without the rights of root'),
    systemAccount(databaseAccount, 'run PostgreSQL, which refuses to run as root'),
  ];
}

function systemAccount(name: string, purpose: string): Component {
  const command = ['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', name];
  return {
    name: `account ${name}`,
    purpose,
    advice: `make it with: ${command.join(' ')}`,
    find: () => Promise.resolve(findAccount(name) ? { path: name, from: '/etc/passwd' } : undefined),
    ways: [
      {
        name: 'useradd',
        takes: 'a moment',
        obstacle: () => Promise.resolve(undefined),
        async obtain() {
          await runOrThrow(command[0] ?? '', command.slice(1));
        },
      },
    ],
  };
}

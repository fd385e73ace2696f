/** rclone: mounts users' own storage, where jobs bring one. A machine without it runs all other jobs. */
import { findOnPath, run } from '../command.ts';
import type { Machine } from '../machine.ts';
import { aptInstall } from './apt.ts';
import type { Component, Found } from './component.ts';
import { findInCache, goInstall } from './go-install.ts';

/** Only where it lies; whether it works is asked by set-up. */
export function findRclone(machine: Machine): Found | undefined {
  const onPath = findOnPath('rclone', machine.env);
  if (onPath) return { path: onPath, from: 'PATH' };
  const cached = findInCache(machine, 'rclone');
  return cached ? { path: cached, from: 'cache' } : undefined;
}

export function rclone(machine: Machine): Component {
  return {
    name: 'rclone',
    purpose: "mount users' own storage (WebDAV)",
    advice: 'install rclone and fuse3 with your package manager, or rclone as https://rclone.org/install says',
    async find() {
      const found = findRclone(machine);
      return found && (await run(found.path, ['version'])).code === 0 ? found : undefined;
    },
    ways: [
      aptInstall(machine, ['rclone', 'fuse3']),
      goInstall(machine, { module: 'github.com/rclone/rclone@v1.71.2', as: 'rclone', takes: 'about 5 minutes' }),
    ],
  };
}

/** passt's `pasta`, and what is set up with it: networks of jobs' own. A machine without it gives jobs its own network. */
import { accessSync, chmodSync, constants, existsSync, statSync } from 'node:fs';
import { findOnPath } from '../command.ts';
import type { Machine } from '../machine.ts';
import { aptInstall } from './apt.ts';
import type { Component, Way } from './component.ts';

const tunnel = '/dev/net/tun';

export function passt(machine: Machine): Component {
  const env = { ...machine.env, PATH: `${machine.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  return {
    name: 'passt',
    purpose: 'keep jobs out of the network of this machine',
    advice: `install passt, iproute2 and nftables with your package manager, and let everybody open ${tunnel} (chmod 666, as udev does)`,
    find() {
      const paths = ['pasta', 'ip', 'nft'].map((program) => findOnPath(program, env));
      const [path] = paths;
      const isThere = path && paths.every(Boolean) && isOpenToAll();
      return Promise.resolve(isThere ? { path, from: 'PATH' } : undefined);
    },
    ways: [aptInstall(machine, ['passt', 'iproute2', 'nftables']), opened(machine)].map((way) => ({
      ...way,
      async obtain() {
        await way.obtain();
        // A machine without udev leaves it to root.
        if (machine.isRoot && existsSync(tunnel) && !isOpenToAll()) chmodSync(tunnel, 0o666);
      },
    })),
  };
}

function opened(machine: Machine): Way {
  return {
    name: `chmod 666 ${tunnel}`,
    takes: 'a moment',
    rootCommand: `chmod 666 ${tunnel}`,
    obstacle: () => Promise.resolve(existsSync(tunnel) ? undefined : `there is no ${tunnel}`),
    obtain: () => Promise.resolve(machine.isRoot ? undefined : accessSync(tunnel, constants.W_OK)),
  };
}

const isOpenToAll = (): boolean => existsSync(tunnel) && (statSync(tunnel).mode & 0o006) === 0o006;

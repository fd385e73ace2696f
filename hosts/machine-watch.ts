/**
 * The Node side of `scripts/watch.sh`: one command at a time over stdin, answers as lines up to a dot, and a line on
 * stderr for every task that ended.
 */
import { runToken, type RunRef } from '../domain/runs.ts';
import { HostError } from './host.ts';
import type { ScriptRunner } from './installed-scripts.ts';
import type { MachineWatch } from './machine.ts';
import { ScriptChannel } from './script-channel.ts';
import { parseList } from './watch-frames.ts';

/** The far end gives up on us after ten silent minutes. */
const pingMilliseconds = 60_000;

export async function openWatch(scripts: ScriptRunner, deployment: string, label: string): Promise<MachineWatch> {
  const session = await scripts.open('watch', [deployment]);
  const channel = new ScriptChannel(session, `the watch on ${label}`);
  const [hello] = await channel.answer();
  const bootId = hello?.startsWith('boot ') ? hello.slice(5) : undefined;
  if (bootId === undefined) {
    session.close();
    throw new HostError('unreachable', `the watch on ${label} did not start: ${hello ?? 'no answer'}`);
  }
  const keepAlive = setInterval(() => void channel.command('ping').catch(() => {}), pingMilliseconds);
  keepAlive.unref();
  const ended = session.ended.then(() => clearInterval(keepAlive));

  return {
    bootId,
    ended,
    list: async () => parseList(deployment, await channel.command('list')),
    read: async (run, stream, offset, maxBytes) => {
      if (maxBytes <= 0) return Buffer.alloc(0);
      const lines = await channel.command(`read ${runToken(run)} ${stream} ${offset} ${maxBytes}`);
      return Buffer.from(lines.join(''), 'base64');
    },
    waitForChange: (milliseconds) => channel.waitForChange(milliseconds),
    remove: async (runs: RunRef[]) => {
      const tokens = runs.map(runToken);
      const problems: string[] = [];
      for (let first = 0; first < tokens.length; first += 4) {
        problems.push(...(await channel.command(`remove ${tokens.slice(first, first + 4).join(' ')}`)));
      }
      if (problems.length > 0) throw new Error(`${problems.join('; ')} on ${label}`);
    },
    close: () => session.close(),
  };
}

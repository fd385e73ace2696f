/** The Node side of `scripts/starter.sh`: one shell per machine that starts launches, opened when it is first needed. */
import { HostError } from './host.ts';
import type { ScriptRunner } from './installed-scripts.ts';
import { ScriptChannel } from './script-channel.ts';

export interface Starter {
  /** @returns what `scripts/supervise.sh` answered. @throws HostError: then it may have been started, or not */
  start(args: string[], launchText: string, boundary: string): Promise<string>;
}

export function createStarter(scripts: ScriptRunner, label: string): Starter {
  let current: Promise<ScriptChannel> | undefined;

  const open = async () => {
    const session = await scripts.open('starter', []);
    const channel = new ScriptChannel(session, `the starter on ${label}`);
    const [hello] = await channel.answer();
    if (hello === 'ready') return channel;
    session.close();
    throw new HostError('unreachable', `the starter on ${label} did not start: ${hello ?? 'no answer'}`);
  };

  const opened = async () => {
    const before = current;
    const channel = await before?.catch(() => undefined);
    if (channel && !channel.isGone) return channel;
    // Somebody else may have opened another meanwhile.
    if (current === before) current = open();
    return current!;
  };

  return {
    async start(args, launchText, boundary) {
      const channel = await opened();
      const answer = await channel.command(`${args.join(' ')}\n${launchText}${boundary}\nend ${boundary}`);
      return answer.join('\n');
    },
  };
}

/** `prominence bar`: shuts out a user or a group at once, also where the API is down or the operator is barred. */
import type { Command } from 'commander';
import { addBar, endBarred, listBars, removeBar, type Bar } from '../db/bars.ts';
import { connect } from '../db/connection.ts';
import { notify } from '../db/outbox.ts';
import { outboxChannel } from '../db/placements.ts';
import { configuration } from './configuration.ts';

interface BarOptions {
  user?: string;
  group?: string;
  reason?: string;
  remove?: true;
}

export function addBarCommand(program: Command): void {
  program
    .command('bar')
    .description('refuse a user or a group, and end their jobs; without options: list who is barred')
    .option('--user <name>', 'the user, as jobs name the owner')
    .option('--group <name>', 'the group')
    .option('--reason <text>', 'what is told to who is barred')
    .option('--remove', 'let them in again')
    .action(async (options: BarOptions) => {
      const { database } = configuration(process.env);
      const { db, close } = connect(database.url, { poolSize: 1 });
      try {
        const bars = barsOf(options);
        if (bars.length === 0) for (const bar of await listBars(db)) console.log(lineOf(bar));
        for (const bar of bars) {
          if (!options.remove)
            await addBar(db, { ...bar, reason: options.reason ?? null, barredBy: 'the command line' });
          else if (!(await removeBar(db, bar))) throw new Error(`there is no bar of the ${bar.kind} ${bar.name}`);
        }
        if (bars.length === 0 || options.remove) return;
        const ended = await endBarred(db);
        await notify(db, outboxChannel);
        console.log(`barred; jobs and workflows that are being ended: ${ended}`);
      } finally {
        await close();
      }
    });
}

function barsOf({ user, group }: BarOptions): Pick<Bar, 'kind' | 'name'>[] {
  return [
    ...(user === undefined ? [] : [{ kind: 'owner' as const, name: user }]),
    ...(group === undefined ? [] : [{ kind: 'group' as const, name: group }]),
  ];
}

const lineOf = ({ kind, name, reason, barredBy, barredAt }: Bar): string =>
  `${kind} ${name}, since ${barredAt} by ${barredBy}${reason ? `: ${reason}` : ''}`;

/** `prominence resend`: sends Temporal again what is open, where its own database was lost. */
import type { Command } from 'commander';
import { connect } from '../db/connection.ts';
import { resendMessages } from '../db/lost-messages.ts';
import { notify } from '../db/outbox.ts';
import { outboxChannel } from '../db/placements.ts';
import { configuration } from './configuration.ts';

export function addResendCommand(program: Command): void {
  program
    .command('resend')
    .description('send Temporal every start, placement and deletion of what is open again: after its database was lost')
    .action(async () => {
      const { database } = configuration(process.env);
      const { db, close } = connect(database.url, { poolSize: 1 });
      try {
        const messages = await resendMessages(db);
        await notify(db, outboxChannel);
        console.log(`messages that are being sent again: ${messages}`);
      } finally {
        await close();
      }
    });
}

/** The `prominence` command: one file per subcommand, an error is one line and exit code 1. */
import { Command, CommanderError } from 'commander';
import { addBarCommand } from './bar.ts';
import { addResendCommand } from './resend.ts';
import { addTokenCommand } from './token.ts';

const program = new Command('prominence')
  .description('Container jobs, run durably. More commands: npm start, npm run quickstart.')
  .showHelpAfterError('(--help lists the options)')
  .exitOverride();

addTokenCommand(program);
addBarCommand(program);
addResendCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  // Commander has printed its own errors, and the help, already.
  if (!(error instanceof CommanderError))
    console.error(`Error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof CommanderError ? error.exitCode : 1;
}

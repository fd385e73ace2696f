/** Which components there are, and the set-up that makes sure of them in one go. */
import type { Machine } from '../machine.ts';
import { accounts } from './accounts.ts';
import { apptainer } from './apptainer.ts';
import { debianProgram } from './apt.ts';
import type { Component } from './component.ts';
import { ensure, type Ensured, type Say } from './ensure.ts';
import { postgresBinaries } from './postgres-binaries.ts';
import { temporalCli } from './temporal-cli.ts';
import { passt } from './passt.ts';
import { rclone } from './rclone.ts';
import { udocker } from './udocker.ts';
import { testComponents } from './test-components.ts';

export interface SetUpResult {
  /** Messages about what could not be had and is needed to run the stack. */
  missing: string[];
  /** Messages about what could not be had and only some tests need. */
  missingForTests: string[];
}

/** @param options.quiet say nothing where nothing is missing */
export async function setUp(
  machine: Machine,
  options: { forTests?: boolean; quiet?: boolean; say: Say },
): Promise<SetUpResult> {
  const { forTests = false, quiet = false, say } = options;
  const startedAt = Date.now();
  const tell = (outcome: Ensured): void => {
    if (outcome.kind === 'missing') say(`  ${outcome.message}`);
    if (outcome.kind === 'found' && !quiet)
      say(`  ${outcome.component}: ${outcome.found.path} (${outcome.found.from})`);
  };
  const ensureAll = async (components: readonly Component[]): Promise<string[]> => {
    const missing: string[] = [];
    for (const component of components) {
      const outcome = await ensure(component, { isRoot: machine.isRoot, say });
      tell(outcome);
      if (outcome.kind === 'missing') missing.push(outcome.message);
    }
    return missing;
  };
  if (!quiet) say(`Parts are looked for in the environment, on PATH and in ${machine.caches.join(' and ')}.`);
  const missing = await ensureAll(stackComponents(machine));
  // Most jobs do without: that it is missing is told, and stops nothing but tests of it.
  const missingExtras = quiet ? [] : await ensureAll([udocker(machine), passt(machine)]);
  // So is this: without it, who starts the stack as root is told who can reach Temporal.
  const nft = debianProgram(machine, 'nft', 'nftables', 'close the ports of Temporal to other accounts');
  if (!quiet && machine.isRoot) await ensureAll([nft]);
  if (!quiet && !forTests && !(await rclone(machine).find())) {
    say(
      '  rclone: not here, so this machine runs no jobs that bring storage of their own (WebDAV, B2DROP), which end with ' +
        `"No matching resources" where no other can; ${rclone(machine).advice}`,
    );
  }
  const missingForTests = forTests ? [...missingExtras, ...(await ensureAll(testComponents(machine)))] : [];
  if (!quiet) say(`Set-up took ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`);
  return { missing, missingForTests };
}

function stackComponents(machine: Machine): Component[] {
  return [
    ...accounts(machine),
    temporalCli(machine),
    postgresBinaries(machine),
    apptainer(machine),
    debianProgram(machine, 'curl', 'curl', 'fetch and deliver the files of jobs'),
  ];
}

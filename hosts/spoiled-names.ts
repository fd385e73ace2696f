/** The names of variables that don't survive a shell on their way into a container: what `scripts/spoiled-names.sh` says. */
import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('./scripts/spoiled-names.sh', import.meta.url), 'utf8');

export const spoiledByShells: ReadonlySet<string> = namesIn('names_of_shells');
/** Beside these. */
export const spoiledByApptainer: ReadonlySet<string> = namesIn('names_of_apptainer');

/** Begins the name that such a variable has on its way. */
export const keptPrefix = 'PROMINENCE_ENV_';

function namesIn(list: string): ReadonlySet<string> {
  const [, names] = new RegExp(`^${list}='\\n([^']*)\\n'$`, 'm').exec(text) ?? [];
  if (names === undefined) throw new Error(`spoiled-names.sh has no ${list}`);
  return new Set(names.split(/\s+/));
}

/**
 * Which options of `oneclient` a job may bring. The program runs on the machine, outside of any container: an option must
 * not name a file or a folder there, and not say again what we say.
 */
import { splitCommandLine } from '../domain/command-line.ts';

const ours = ['unmount', 'config', 'host', 'port', 'token', 'log-dir', 'foreground', 'debug', 'opt', 'help', 'version'];
const singleLetters = new Set(['-i', '-v']);

/** Options as words, split like a shell does; undefined when there is one that is not allowed. */
export function oneclientOptions(text: string): string[] | undefined {
  if (/[\r\n\0]/.test(text)) return undefined;
  let words: string[];
  try {
    words = splitCommandLine(text);
  } catch {
    return undefined;
  }
  return words.every(isAllowed) ? words : undefined;
}

/** Names may be shortened, so a name that is the beginning of one of ours is refused as well. */
function isAllowed(word: string): boolean {
  if (word.includes('/')) return false;
  const [, name] = /^--([a-z][a-z0-9-]*)(=.*)?$/.exec(word) ?? [];
  if (name !== undefined) return !ours.some((other) => other.startsWith(name));
  return singleLetters.has(word) || /^[^-]/.test(word);
}

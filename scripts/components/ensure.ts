/** Takes a component where it is, or obtains it the first way that works. Says what it does and how long it took. */
import type { Component, Found, Way } from './component.ts';

export type Ensured =
  | { kind: 'found'; component: string; found: Found }
  | { kind: 'obtained'; component: string; found: Found; seconds: number }
  | { kind: 'missing'; component: string; message: string };

export type Say = (line: string) => void;

export async function ensure(component: Component, options: { isRoot: boolean; say: Say }): Promise<Ensured> {
  const { isRoot, say } = options;
  const present = await component.find();
  if (present) return { kind: 'found', component: component.name, found: present };

  const failures: string[] = [];
  const rootCommands: string[] = [];
  for (const way of component.ways) {
    const obstacle = await way.obstacle();
    if (obstacle) {
      failures.push(`${way.name}: ${obstacle}`);
    } else if (way.rootCommand && !isRoot) {
      rootCommands.push(way.rootCommand);
    } else {
      const outcome = await attempt(component, way, say);
      if (outcome.kind === 'obtained') return outcome;
      failures.push(`${way.name}: ${outcome.reason}`);
    }
  }
  return { kind: 'missing', component: component.name, message: missingMessage(component, failures, rootCommands) };
}

async function attempt(
  component: Component,
  way: Way,
  say: Say,
): Promise<Extract<Ensured, { kind: 'obtained' }> | { kind: 'failed'; reason: string }> {
  const startedAt = Date.now();
  const seconds = (): number => Math.round((Date.now() - startedAt) / 100) / 10;
  say(`  ${component.name}: obtaining it by ${way.name} (${way.takes}) ...`);
  try {
    await way.obtain();
    const found = await component.find();
    if (!found) throw new Error('it was installed, but does not work');
    say(`  ${component.name}: done after ${seconds()} s (${found.path})`);
    return { kind: 'obtained', component: component.name, found, seconds: seconds() };
  } catch (error) {
    const reason = reasonOf(error);
    say(`  ${component.name}: ${way.name} did not work after ${seconds()} s: ${reason}`);
    return { kind: 'failed', reason };
  }
}

/** `fetch` keeps the telling part, such as an unknown host, in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message ? error.cause.message : error.message;
}

/** One sentence a person can act on; what was tried in brackets. */
export function missingMessage(
  component: Pick<Component, 'name' | 'purpose' | 'advice'>,
  failures: readonly string[],
  rootCommands: readonly string[],
): string {
  const tried = failures.length > 0 ? ` (tried ${failures.join('; ')})` : '';
  const ways = rootCommands.length > 0 ? `run as root: ${rootCommands.join(' or: ')}; or ` : '';
  return `${component.name}, needed to ${component.purpose}, is missing${tried}: ${ways}${component.advice}.`;
}

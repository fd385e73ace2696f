import { describe, expect, it } from 'vitest';
import type { Component, Way } from './component.ts';
import { ensure } from './ensure.ts';

/** A component that appears when one of its ways says so. */
function component(ways: (found: () => void) => Way[], isThere = false): Component {
  let isFound = isThere;
  return {
    name: 'thing',
    purpose: 'do things',
    advice: 'buy one',
    find: () => Promise.resolve(isFound ? { path: '/bin/thing', from: 'PATH' } : undefined),
    ways: ways(() => (isFound = true)),
  };
}

function way(name: string, obtain: () => void, more: Partial<Way> = {}): Way {
  return {
    name,
    takes: 'no time',
    obstacle: () => Promise.resolve(undefined),
    obtain: async () => obtain(),
    ...more,
  };
}

const quiet = { isRoot: false, say: () => undefined };

describe('making sure of a component', () => {
  it('takes it where it is and tries nothing', async () => {
    const tried: string[] = [];
    const outcome = await ensure(
      component(() => [way('download', () => tried.push('download'))], true),
      quiet,
    );
    expect(outcome).toMatchObject({ kind: 'found', found: { path: '/bin/thing' } });
    expect(tried).toEqual([]);
  });

  it('tries the ways in order until one works', async () => {
    const tried: string[] = [];
    const fails = (): void => {
      tried.push('download');
      throw new Error('no network');
    };
    const outcome = await ensure(
      component((found) => [
        way('download', fails),
        way('build', () => {
          tried.push('build');
          found();
        }),
        way('never', () => tried.push('never')),
      ]),
      quiet,
    );
    expect(outcome.kind).toBe('obtained');
    expect(tried).toEqual(['download', 'build']);
  });

  it('does not do what needs root, but names the command', async () => {
    const tried: string[] = [];
    const needsRoot = component(() => [
      way('apt', () => tried.push('apt'), { rootCommand: 'apt-get install -y thing' }),
    ]);
    const outcome = await ensure(needsRoot, quiet);
    expect(tried).toEqual([]);
    expect(outcome).toMatchObject({
      kind: 'missing',
      message: 'thing, needed to do things, is missing: run as root: apt-get install -y thing; or buy one.',
    });
  });

  it('tells why each way did not work, in one sentence', async () => {
    const hopeless = component(() => [
      way('download', () => undefined),
      way('build', () => undefined, { obstacle: () => Promise.resolve('there is no compiler') }),
    ]);
    const outcome = await ensure(hopeless, quiet);
    expect(outcome).toMatchObject({
      message:
        'thing, needed to do things, is missing (tried download: it was installed, but does not work; build: there is no compiler): buy one.',
    });
  });
});

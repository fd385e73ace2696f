import { describe, expect, it } from 'vitest';
import { identify, isAlive, parseStat, signal } from './process-identity.ts';

const fields = (state: string, startTicks: number): string =>
  `${state} 1 2 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 ${startTicks} 1000 1`;

describe('the identity of a process', () => {
  it('is read past a program name with spaces and brackets', () => {
    expect(parseStat(`42 (a) (b c) ${fields('S', 777)}`)).toEqual({ state: 'S', startTicks: 777 });
  });
  it('is alive while it runs', () => {
    const self = identify(process.pid);
    expect(self && isAlive(self)).toBe(true);
  });
  it('is not that of a later process with the same pid: nothing is signalled', () => {
    const self = identify(process.pid);
    if (!self) throw new Error('no /proc');
    const earlier = { ...self, startTicks: self.startTicks - 1 };
    expect(isAlive(earlier)).toBe(false);
    expect(signal(earlier, 'SIGKILL')).toBe(false);
    expect(isAlive({ ...self, bootId: 'another boot' })).toBe(false);
  });
});

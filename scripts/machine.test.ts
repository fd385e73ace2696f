import { describe, expect, it } from 'vitest';
import { cacheFolder } from './machine.ts';

describe('the cache folder', () => {
  it('is what PROMINENCE_CACHE says, for root too', () => {
    expect(cacheFolder({ PROMINENCE_CACHE: '/big/disk' }, true, '/root')).toBe('/big/disk');
  });
  it('is one that every account can enter, for root', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/root/.cache' }, true, '/root')).toBe('/var/cache/prominence');
  });
  it("follows a user's XDG_CACHE_HOME, else lies in ~/.cache", () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/scratch/c' }, false, '/home/a')).toBe('/scratch/c/prominence');
    expect(cacheFolder({}, false, '/home/a')).toBe('/home/a/.cache/prominence');
  });
});

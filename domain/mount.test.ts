import { describe, expect, it } from 'vitest';
import type { Storage } from './description.ts';
import { imageInMount, inMount, isUsed, pathInDefault, mountKind } from './mount.ts';

const webdav: Storage = {
  type: 'webdav',
  mountpoint: '/data',
  directory: 'project',
  isDefault: false,
  webdav: { url: 'https://x.org/', username: 'u', password: 'p' },
};
const onedata: Storage = {
  ...webdav,
  type: 'onedata',
  onedata: { provider: 'p.example.org', token: 'T' },
};

describe('the storage of a job', () => {
  it('has images below its mountpoint, and wherever else when it is the default', () => {
    expect(imageInMount('/data/images/x.sif', webdav)).toBe('images/x.sif');
    expect(imageInMount('/database/x.sif', webdav)).toBeUndefined();
    expect(imageInMount('/other/x.sif', { ...webdav, isDefault: true })).toBe('other/x.sif');
    expect(imageInMount('/x.sif', { ...webdav, mountpoint: '', isDefault: true })).toBe('x.sif');
    expect(imageInMount('/x.sif', { ...webdav, mountpoint: '' })).toBeUndefined();
    expect(imageInMount('data/x.sif', webdav)).toBeUndefined();
    expect(imageInMount('/data/x.sif', undefined)).toBeUndefined();
  });

  it('is found below its directory only where all of it is mounted', () => {
    expect(inMount(webdav, 'a/b')).toBe('a/b');
    expect(inMount(onedata, 'a/b')).toBe('project/a/b');
    expect(pathInDefault({ ...onedata, isDefault: true }, '/a')).toBe('project/a');
    expect(pathInDefault(webdav, 'a')).toBeUndefined();
    expect([webdav, onedata].map(mountKind)).toEqual(['webdav', 'onedata']);
  });

  it('is mounted when somebody sees it or it is the default', () => {
    expect(isUsed(webdav)).toBe(true);
    expect(isUsed({ ...webdav, mountpoint: '' })).toBe(false);
    expect(isUsed({ ...webdav, mountpoint: '', isDefault: true })).toBe(true);
  });
});

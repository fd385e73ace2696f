import { describe, expect, test } from 'vitest';
import type { Storage } from '../domain/description.ts';
import { parseJobDescription } from './job.ts';
import { oneclientOptions } from './oneclient-options.ts';

const details = { url: 'https://dav.example.org/files/', username: 'ann', password: 'p w"\\x' };
const webdav = { type: 'webdav', mountpoint: '/data', webdav: details };
const b2drop = { type: 'b2drop', mountpoint: '/data', b2drop: { 'app-username': 'u', 'app-password': 'p' } };
const onedata = { type: 'onedata', mountpoint: '/data', onedata: { provider: 'p.example.org', token: 'T' } };

function parsed(storage: unknown) {
  return parseJobDescription({
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
    tasks: [{ image: 'busybox', runtime: 'singularity' }],
    storage,
  });
}

function valid(storage: unknown): Storage {
  const result = parsed(storage);
  if (result.kind === 'invalid') throw new Error(result.issues[0]!.message);
  return result.description.storage!;
}

function complaints(storage: unknown): string[] {
  const result = parsed(storage);
  return result.kind === 'valid' ? [] : result.issues.map(({ message }) => message);
}

describe('the storage of a job', () => {
  test.each([webdav, b2drop, onedata])('is kept with what it needs: $type', (storage) => {
    expect(valid(storage)).toEqual({ ...storage, directory: '', isDefault: false });
  });

  test('has a mountpoint and a directory without slashes at their ends', () => {
    const given = { ...webdav, mountpoint: '/data/', directory: '/a b/c/', default: true };
    expect(valid(given)).toMatchObject({ mountpoint: '/data', directory: 'a b/c', isDefault: true });
    expect(valid({ ...webdav, mountpoint: '' }).mountpoint).toBe('');
  });

  test.each([
    [{}, ['storage type must be defined', 'a mount point must be defined']],
    [{ type: 's3', mountpoint: '/m' }, ['storage type must be either b2drop, webdav or onedata']],
    [
      { ...webdav, mountpoint: 'm', default: 1 },
      ['the mountpoint must be an absolute path', 'default must be either true or false'],
    ],
    [{ ...webdav, webdav: undefined }, ['WebDAV storage details must be an object']],
    [{ type: 'webdav', mountpoint: '/m' }, ['WebDAV storage details must be defined']],
    [
      { ...webdav, webdav: {} },
      ['WebDAV URL must be defined', 'WebDAV username must be defined', 'WebDAV password must be defined'],
    ],
    [{ type: 'b2drop', mountpoint: '/m' }, ['B2DROP storage details must be defined']],
    [{ ...b2drop, b2drop: {} }, ['B2DROP app username must be defined', 'B2DROP app password must be defined']],
    [{ type: 'onedata', mountpoint: '/m' }, ['OneData storage details must be defined']],
    [{ ...onedata, onedata: {} }, ['OneData provider must be defined', 'OneData token must be defined']],
  ])('%j is refused in the words of the wire', (storage, messages) => {
    expect(complaints(storage)).toEqual(messages);
  });

  test.each([
    '/',
    '/home',
    '/home/user/',
    '/tmp',
    '/proc',
    '/proc/1',
    '/sys/fs',
    '/dev/shm',
    '/etc',
    '/usr/bin',
    '/.singularity.d/env',
  ])('does not take the place of %s', (mountpoint) => {
    expect(complaints({ ...webdav, mountpoint })).toEqual([expect.stringContaining('must not hide')]);
  });

  test.each(['/data/../tmp', '/a//b', '/a/./b', '/a:ro', '/a","dst=/etc', '/a\nb'])(
    'is not mounted at %j',
    (mountpoint) => {
      expect(complaints({ ...webdav, mountpoint })).toEqual([expect.stringContaining('must not contain')]);
    },
  );

  test.each(['/home/user/data', '/tmp/data', '/data', '/devices', '/etc/project'])(
    'may be mounted at %s',
    (mountpoint) => {
      expect(complaints({ ...webdav, mountpoint })).toEqual([]);
    },
  );

  test.each([
    'ftp://x.org',
    'https://ann:secret@x.org/',
    'https://x.org/?a=b',
    'https://x.org/#a',
    'x.org',
    '-x',
    'https://x.org/\nuser = "root"',
    'https://x.org/ --proxy',
  ])('is at no address like %j', (url) => {
    const [first] = complaints({ ...webdav, webdav: { ...details, url } });
    expect(first).toMatch(/^WebDAV URL must/);
    expect(first).not.toContain('secret');
  });

  test.each([
    [{ ...webdav, webdav: { ...details, username: 'a:b' } }, /colon/],
    [{ ...webdav, webdav: { ...details, password: 'a\nb' } }, /line breaks/],
    [{ ...webdav, directory: 'a/../b' }, /directory/],
    [{ ...onedata, onedata: { ...onedata.onedata, provider: '-u' } }, /name of a host/],
    [{ ...onedata, onedata: { ...onedata.onedata, options: '--config x' } }, /options/],
  ])('%j brings nothing in between', (storage, message) => {
    expect(complaints(storage)).toEqual([expect.stringMatching(message)]);
  });
});

describe('options of oneclient', () => {
  test.each([
    ['', []],
    ['-i --force-proxy-io', ['-i', '--force-proxy-io']],
    ["--space 'my space' --read-buffer-max-size=10", ['--space', 'my space', '--read-buffer-max-size=10']],
  ])('are split like a shell does: %s', (text, words) => {
    expect(oneclientOptions(text)).toEqual(words);
  });

  test.each([
    '-u x',
    '--unmount=x',
    '--unm x',
    '-c x',
    '--conf=x',
    '-iu x',
    '-o allow_other',
    '--log-dir x',
    '--space /etc',
    '-t T',
    '-H h',
    '"open',
    '--',
    '-',
    'a\nb',
  ])('that name files or what is ours are refused: %j', (text) => {
    expect(oneclientOptions(text)).toBeUndefined();
  });
});

import { expect, it } from 'vitest';
import type { Storage } from '../domain/description.ts';
import { artifactSource } from './artifact-source.ts';
import { DescriptionError } from './description-error.ts';

const anna = { owner: 'anna', groups: ['lab'] };
const storage: Storage = {
  type: 'webdav',
  mountpoint: '/data',
  directory: '',
  isDefault: true,
  webdav: { url: 'https://dav.example.org/', username: 'a', password: 'b' },
};

it.each([
  ['https://example.org/a%20b.csv?x=1', { kind: 'web', filename: 'a b.csv' }],
  ['own.csv', { kind: 'uploaded', filename: 'own.csv' }],
  ['lab/shared/x.csv', { kind: 'uploaded', filename: 'x.csv' }],
  ['other/x.csv', { kind: 'unreadable', name: 'other/x.csv' }],
])('%s is %j', (url, expected) => {
  expect(artifactSource({ url }, undefined, anna)).toMatchObject(expected);
});

it('means the storage of the job where that is the default, whatever the name is, and never for a URL', () => {
  expect(artifactSource({ url: 'other/x.csv' }, storage, anna)).toEqual({
    kind: 'mounted',
    path: 'other/x.csv',
    filename: 'x.csv',
  });
  expect(artifactSource({ url: 'https://example.org/x.csv' }, storage, anna).kind).toBe('web');
  expect(artifactSource({ url: 'x.csv' }, { ...storage, isDefault: false }, anna).kind).toBe('uploaded');
});

it('is an error of the description where a URL is none', () => {
  expect(() => artifactSource({ url: 'https://exa mple.org:x/' }, undefined, anna)).toThrow(DescriptionError);
});

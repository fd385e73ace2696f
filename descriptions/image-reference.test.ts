import { expect, it, test } from 'vitest';
import { referenceProblem } from './image-reference.ts';
import { parseJobDescription } from './job.ts';

const digest = `sha256:${'0a'.repeat(32)}`;

test.each([
  'busybox',
  'busybox:latest',
  'library/busybox:1.36.1-musl',
  'docker.io/library/busybox',
  'localhost/a/b',
  'localhost:5000/a',
  '127.0.0.1:5000/test/busybox:1',
  '[2001:db8::1]:5000/a:b',
  'Registry.example.org/a/b__c/d-e---f.g_h',
  `quay.io/a/b@${digest}`,
  `quay.io/a/b:tag@${digest}`,
  'a/httpd:2',
  `a:${'x'.repeat(128)}`,
])('%s is a name of an image', (reference) => {
  expect(referenceProblem(reference)).toBeUndefined();
});

test.each([
  ['Busybox', 'capital letters'],
  ['quay.io/Me/tool:1', 'capital letters'],
  ['busybox:', 'no tag after the colon'],
  ['busybox:a b', 'a tag is'],
  ['busybox:-x', 'a tag is'],
  [`a:${'x'.repeat(129)}`, 'a tag is'],
  ['busybox@', '64 hexadecimal digits'],
  ['busybox@sha256:12', '64 hexadecimal digits'],
  [`busybox@${digest}@${digest}`, '64 hexadecimal digits'],
  [`busybox@${digest.toUpperCase()}`, '64 hexadecimal digits'],
  ['', 'a repository is'],
  ['a//b', 'a repository is'],
  ['a/', 'a repository is'],
  ['a b', 'a repository is'],
  ['a_-b', 'a repository is'],
  ['_a', 'a repository is'],
  ['../a', 'no host'],
  ['a..b:5000/c', 'no host'],
  ['-x.org/a', 'no host'],
  ['h:port/a', 'no host'],
  ['x'.repeat(256), 'more than 255'],
  ['0a'.repeat(32), 'looks like an id'],
])('%j is none', (reference, problem) => {
  expect(referenceProblem(reference)).toContain(problem);
});

it('is told at the submit, with the image', () => {
  const told = (image: string) => {
    const parsed = parseJobDescription({
      resources: { cpus: 1, memory: 1, disk: 1 },
      tasks: [{ image, runtime: 'singularity' }],
    });
    return parsed.kind === 'invalid' ? parsed.issues[0]!.message : parsed.description.tasks[0]!.image;
  };
  expect(told('oras://ghcr.io/a/b:1')).toContain('"oras://ghcr.io/a/b:1" can\'t be had: oras:// is not supported');
  expect(told('library://a/b/c.sif')).toContain('library:// is not supported');
  expect(told('docker://Busybox')).toContain('the container image "docker://Busybox" is no name of an image: capital');
  expect(told('Docker://busybox')).toBe('docker://busybox');
  expect(told('image.sif')).toBe('image.sif');
});

import { expect, it, test } from 'vitest';
import { parseJobDescription } from './job.ts';

const jobOf = (task: object, artifacts: object[] = []) =>
  parseJobDescription({
    resources: { cpus: 1, memory: 1, disk: 1 },
    tasks: [{ image: 'busybox', runtime: 'singularity', ...task }],
    artifacts,
  });

test.each([
  ['http://example.org/Beam Data (v2).csv', 'http://example.org/Beam%20Data%20(v2).csv'],
  ['  https://example.org/a\tb\nc.tar ', 'https://example.org/abc.tar'],
  ['HTTPS://EXAMPLE.org/A/x[1]{2}.txt', 'https://example.org/A/x[1]%7B2%7D.txt'],
  [
    'http://example.org/caf%C3%A9 µ.txt?sig=a%2Bb&x={1}#part',
    'http://example.org/caf%C3%A9%20%C2%B5.txt?sig=a%2Bb&x={1}#part',
  ],
  ['http://example.org/a+b.txt', 'http://example.org/a+b.txt'],
])('%j is read as a browser reads it, for artifacts and images', (url, href) => {
  const parsed = jobOf({ image: url }, [{ url }]);
  expect(parsed).toMatchObject({
    kind: 'valid',
    description: { artifacts: [{ url: href }], tasks: [{ image: href }] },
  });
});

it('leaves names of uploads, and says of others that they are no URL', () => {
  expect(jobOf({ image: 'my image.sif' }, [{ url: 'my data.txt' }])).toMatchObject({
    kind: 'valid',
    description: { artifacts: [{ url: 'my data.txt' }], tasks: [{ image: 'my image.sif' }] },
  });
  const problem = (task: object, artifacts: object[] = []) => {
    const parsed = jobOf(task, artifacts);
    return parsed.kind === 'invalid' ? parsed.issues[0]!.message : undefined;
  };
  expect(problem({}, [{ url: 'http://a b/c' }])).toContain('not "http://a b/c"');
  expect(problem({ image: 'http://a b/c.sif' })).toBe('the container image "http://a b/c.sif" is no URL');
});

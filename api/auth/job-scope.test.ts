import { describe, expect, it } from 'vitest';
import { mayUse } from './job-scope.ts';

describe('what the token of a job opens', () => {
  it.each([
    ['GET', '/jobs'],
    ['HEAD', '/jobs/7/stdout'],
    ['GET', '/workflows/7/a/b/stderr'],
    ['GET', '/data/lab/x'],
    ['POST', '/jobs'],
    ['POST', '/workflows'],
    ['POST', '/data/output'],
    ['POST', '/ts'],
    ['POST', '/kv/a/b'],
    ['POST', '/jobs/7/exec'],
    ['PUT', '/jobs/7/clone'],
    ['PUT', '/workflows/7'],
    ['DELETE', '/jobs/7'],
    ['DELETE', '/kv/a'],
  ])('%s %s', (method, path) => {
    expect(mayUse(method, path)).toBe(true);
  });

  it.each([
    ['POST', '/token'],
    ['DELETE', '/data/a'],
    ['DELETE', '/data/jobs/7'],
    ['GET', '/secrets'],
    ['GET', '/jobsecrets'],
    ['POST', '/jobs/7/anything'],
    ['POST', '/x/kv/a'],
    ['PUT', '/jobs/7'],
    ['PATCH', '/jobs'],
    ['constructor', '/jobs'],
    ['GET', '/'],
    ['GET', ''],
  ])('and not %s %s', (method, path) => {
    expect(mayUse(method, path)).toBe(false);
  });
});

import { expect, test } from 'vitest';
import { artifactFileName, meetingFiles } from './staged-names.ts';

const artifacts = (...urls: string[]) => urls.map((url) => ({ url, executable: false }));
const inputs = (...names: string[]) => names.map((filename) => ({ filename, contentBase64: '', executable: false }));

test.each([
  ['https://h/a/data%20set.csv?x=1#y', 'data set.csv'],
  ['https://h/', 'artifact'],
  ['https://h/a%2Fb', 'artifact'],
  ['https://h/100%', '100%'],
  ['group/data.csv', 'data.csv'],
  ['data.csv', 'data.csv'],
])('%s is the file %s', (url, name) => {
  expect(artifactFileName(url)).toBe(name);
});

test.each([
  [artifacts('https://h/north/data.csv', 'https://h/south/data.csv'), inputs(), ['north/data.csv', 'south/data.csv']],
  [artifacts('https://h/data.csv', 'https://h/data.csv.gz'), inputs(), ['data.csv', 'data.csv.gz']],
  [artifacts('https://h/data.csv.bz2', 'group/data.csv'), inputs(), ['data.csv.bz2', 'group/data.csv']],
  [artifacts('https://h/data%2Ecsv', 'data.csv'), inputs(), ['data%2Ecsv', 'data.csv']],
  [artifacts('https://h/$case/data.csv', 'https://h/other/data.csv'), inputs(), ['$case', 'other']],
  [artifacts('https://h/data.csv'), inputs('x', 'data.csv'), ['https://h/data.csv', 'input "data.csv"']],
  [artifacts('https://h/data.csv.gz'), inputs('data.csv'), ['data.csv.gz', 'input "data.csv"']],
])('says which two would be one file: %j %j', (brought, given, named) => {
  const told = meetingFiles(brought, given);
  for (const each of named) expect(told).toContain(each);
});

test.each([
  [artifacts('https://h/a/x.tgz', 'https://h/b/x.tgz'), inputs('x.tgz')],
  [artifacts('https://h/a/x', 'https://h/a/x'), inputs()],
  [artifacts('https://h/a/x.tar', 'https://h/b/x.zip'), inputs('x')],
  [artifacts('https://h/a', 'https://h/b'), inputs('c', 'd')],
])('archives, and what is the same twice, meet nothing: %j %j', (brought, given) => {
  expect(meetingFiles(brought, given)).toBeUndefined();
});

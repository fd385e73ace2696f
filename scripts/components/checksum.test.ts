import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { checksumIn, verified } from './checksum.ts';

const sum = (text: string) => createHash('sha256').update(text).digest('hex');

test('what was downloaded is taken only where its checksum is the one that was published', () => {
  const list = `${sum('a')}  tool_1_linux_amd64.tar.gz\n${sum('b').toUpperCase()} *tool_1_linux_arm64.tar.gz\nx  short\n`;
  const checked = (file: string, text: string) => verified(file, Buffer.from(text), checksumIn(list, file)).toString();
  expect(checked('tool_1_linux_amd64.tar.gz', 'a')).toBe('a');
  expect(checked('tool_1_linux_arm64.tar.gz', 'b')).toBe('b');
  expect(() => checked('tool_1_linux_arm64.tar.gz', 'a')).toThrow(/has the checksum [0-9a-f]{64}, and should have/);
  for (const missing of ['tool_1_linux_amd64', 'short', ''])
    expect(() => checksumIn(list, missing)).toThrow(/does not name/);
});

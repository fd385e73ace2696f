/** A home for one test file, gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** To be called first: what is registered later (stopping a stack) happens before the folder goes. */
export function temporaryHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'prominence-stack-'));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

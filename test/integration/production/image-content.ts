/** What the Dockerfile puts into the image: what `.dockerignore` lets through, beside the installed packages. */
import { cpSync, readFileSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { repository } from './compose-file.ts';

const rules = readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n');

/** The files and folders of the project that get into the image. */
export const imageEntries = rules.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1));

/** Whether a file below one of them is left out again. */
export function isLeftOut(file: string): boolean {
  return file.endsWith('.test.ts') || rules.includes(file);
}

/** Lays the image's /app out in a folder, so that a file the image lacks is missing here too. */
export function layOutImage(folder: string): void {
  for (const entry of imageEntries) {
    cpSync(join(repository, entry), join(folder, entry), {
      recursive: true,
      filter: (source) => !isLeftOut(relative(repository, source)),
    });
  }
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
}

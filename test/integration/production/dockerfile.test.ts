import { readFileSync, readdirSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repository } from './compose-file.ts';
import { imageEntries, isLeftOut } from './image-content.ts';

const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

describe('the image', () => {
  test('is made of things that exist', () => {
    for (const entry of imageEntries) expect(() => statSync(join(repository, entry))).not.toThrow();
  });

  test('holds what its code imports: our files, and packages that are no devDependencies', () => {
    for (const file of sources()) {
      for (const target of importsOf(file)) {
        if (target.startsWith('.')) {
          const path = new URL(target, `file://${repository}${file}`).pathname.slice(repository.length);
          expect(imageEntries, `${file} imports ${target}`).toContain(path.split('/')[0]);
        } else if (!target.startsWith('node:') && !builtinModules.includes(target)) {
          const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/');
          expect(Object.keys(manifest.dependencies), `${file} imports ${target}`).toContain(name);
        }
      }
    }
  });

  test('runs as an ordinary account, and is built from what package-lock.json says', () => {
    const dockerfile = readFileSync(join(repository, 'Dockerfile'), 'utf8');
    expect(dockerfile).toMatch(/npm ci --omit=dev/);
    expect(dockerfile.split('FROM').pop()).toMatch(/^USER node$/m);
  });

  test('keeps the core of the Temporal SDK for the platforms it can be built for', () => {
    const dockerfile = readFileSync(join(repository, 'Dockerfile'), 'utf8');
    const kept = [...dockerfile.matchAll(/keep=([\w-]+)/g)].map((match) => match[1]!);
    const shipped = readdirSync(join(repository, 'node_modules/@temporalio/core-bridge/releases'));
    expect(kept).toHaveLength(2);
    for (const platform of kept) expect(shipped).toContain(platform);
  });
});

function sources(): string[] {
  return imageEntries
    .filter((entry) => statSync(join(repository, entry)).isDirectory())
    .flatMap((entry) =>
      (readdirSync(join(repository, entry), { recursive: true }) as string[]).map((name) => `${entry}/${name}`),
    )
    .filter((file) => /\.(ts|mjs)$/.test(file) && !isLeftOut(file));
}

/** Types carry no code, so what is only imported as a type need not be there. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(repository, file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s(?!type\s)[^;]*?\sfrom\s'([^']+)'/gm);
  return [...statements].map((match) => match[1]!);
}

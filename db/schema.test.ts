import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as schema from './schema.ts';

test('the migrations make the tables that the code reads', async () => {
  const folder = new URL('./migrations/meta/', import.meta.url);
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith('_snapshot.json'))
    .sort()
    .at(-1)!;
  const migrated = JSON.parse(readFileSync(new URL(newest, folder), 'utf8')) as ReturnType<typeof generateDrizzleJson>;
  const missing = await generateMigration(migrated, generateDrizzleJson(schema, migrated.id));
  expect(missing, 'run npm run migrations').toEqual([]);
});

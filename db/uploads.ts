/** Checksums that were announced with uploads. */
import type { Database } from './connection.ts';

/** An upload without checksum takes away what was said of the object before. */
export async function announceUpload(db: Database, key: string, sha256: string | undefined): Promise<void> {
  const sql = db.$client;
  if (sha256 === undefined) await sql`delete from uploads where object_key = ${key}`;
  else {
    await sql`
      insert into uploads (object_key, sha256) values (${key}, ${sha256})
      on conflict (object_key) do update set sha256 = excluded.sha256, is_verified = false, created_at = now()`;
  }
}

export async function forgetUpload(db: Database, key: string): Promise<void> {
  await db.$client`delete from uploads where object_key = ${key}`;
}

export interface Announced {
  key: string;
  sha256: string;
}

/** Those of the objects of which nobody has seen yet that they have the checksum that was announced. */
export async function unverifiedUploads(db: Database, keys: string[]): Promise<Announced[]> {
  if (keys.length === 0) return [];
  return db.$client<Announced[]>`
    select object_key as key, sha256 from uploads where object_key = any(${keys}::text[]) and not is_verified`;
}

export async function markVerified(db: Database, { key, sha256 }: Announced): Promise<void> {
  await db.$client`update uploads set is_verified = true where object_key = ${key} and sha256 = ${sha256}`;
}

/** By object key; keys without a checksum are absent. */
export async function announcedChecksums(db: Database, keys: string[]): Promise<Map<string, string>> {
  if (keys.length === 0) return new Map();
  const rows = await db.$client<{ key: string; sha256: string }[]>`
    select object_key as key, sha256 from uploads where object_key = any(${keys}::text[])`;
  return new Map(rows.map((row) => [row.key, row.sha256]));
}

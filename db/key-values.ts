/** The key-value store: each owner's own, never seen by another. Every change is one statement. */
import type { Database, Sql } from './connection.ts';
import type { Fragment } from './list-pages.ts';

interface KeyRef {
  owner: string;
  key: string;
}

/** As it lies in the table. */
export interface StoredValue {
  value: Buffer;
  /** Of a secret, which is encrypted: with which key. */
  sealedWith: string | null;
}

export async function getValue(db: Database, { owner, key }: KeyRef): Promise<StoredValue | undefined> {
  const [row] = await db.$client<StoredValue[]>`
    select value, sealed_with as "sealedWith" from key_values where owner = ${owner} and key = ${key}`;
  return row;
}

export type SetAnswer = 'set' | 'changed' | 'full';

/**
 * Put a value in place of what was found there, or where nothing was; `changed` when it is not so any more. An owner has
 * at most `mostKeys` keys, or a few more where many are made at the same moment.
 */
export async function replaceValue(
  db: Database,
  { owner, key }: KeyRef,
  { value, sealedWith }: StoredValue,
  found: StoredValue | undefined,
  mostKeys: number,
): Promise<SetAnswer> {
  const sql = db.$client;
  if (found) {
    const rows = await sql`
      update key_values set value = ${value}, sealed_with = ${sealedWith}, changed_at = now()
      where owner = ${owner} and key = ${key} and value = ${found.value}
        and sealed_with is not distinct from ${found.sealedWith} returning key`;
    return rows.length > 0 ? 'set' : 'changed';
  }
  const [row] = await sql<{ isFull: boolean; isSet: boolean }[]>`
    with counted as (
      select count(*) >= ${mostKeys} as is_full from (select 1 from key_values where owner = ${owner} limit ${mostKeys}) as keys
    ), made as (
      insert into key_values (owner, key, value, sealed_with)
      select ${owner}, ${key}, ${value}, ${sealedWith} from counted where not is_full
      on conflict (owner, key) do nothing returning 1
    )
    select is_full as "isFull", exists (select 1 from made) as "isSet" from counted`;
  if (row!.isSet) return 'set';
  if (!row!.isFull) return 'changed';
  return (await getValue(db, { owner, key })) ? 'changed' : 'full';
}

export type SecretValue = KeyRef & StoredValue & { sealedWith: string };

/** Secrets that were encrypted with another key than this one, in the order of their owners and keys. */
export async function secretsUnderOtherKeys(
  db: Database,
  keyId: string,
  after: KeyRef,
  limit: number,
): Promise<SecretValue[]> {
  return db.$client<SecretValue[]>`
    select owner, key, value, sealed_with as "sealedWith" from key_values
    where sealed_with is not null and sealed_with <> ${keyId} and (owner, key) > (${after.owner}, ${after.key})
    order by owner, key limit ${limit}`;
}

/** Also succeeds when there is nothing. */
export async function deleteValue(db: Database, { owner, key }: KeyRef): Promise<void> {
  await db.$client`delete from key_values where owner = ${owner} and key = ${key}`;
}

export async function deleteValues(db: Database, owner: string, prefix: string): Promise<void> {
  const sql = db.$client;
  await sql`delete from key_values where owner = ${owner} and ${startsWith(sql, prefix)}`;
}

export interface KeyValue {
  key: string;
  isSecret: boolean;
  /** Absent unless asked for, and of a secret. */
  value: Buffer | null;
}

/** Some of the keys after `after`, in order. Keys with `_internal_` in them are not for people and left out. */
export async function listValues(
  db: Database,
  owner: string,
  prefix: string,
  page: { after?: string; limit: number; withValues: boolean },
): Promise<KeyValue[]> {
  const sql = db.$client;
  return sql<KeyValue[]>`
    select key, sealed_with is not null as "isSecret",
      ${page.withValues ? sql`case when sealed_with is null then value end` : sql`null::bytea`} as value
    from key_values
    where owner = ${owner} and ${startsWith(sql, prefix)} and position('_internal_' in key) = 0
      ${page.after === undefined ? sql`` : sql`and key > ${page.after}`}
    order by key limit ${page.limit}`;
}

const startsWith = (sql: Sql, prefix: string): Fragment => sql`key >= ${prefix} and starts_with(key, ${prefix})`;

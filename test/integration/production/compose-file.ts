/** `docker-compose.yml` as Compose itself reads it, as far as our file goes: merge keys, then variables. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export interface ComposeService {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  entrypoint?: string[];
  volumes?: string[];
  networks?: string[];
  network_mode?: string;
  cap_drop?: string[];
  cap_add?: string[];
  privileged?: boolean;
  security_opt?: string[];
  read_only?: boolean;
  ports?: string[];
  restart?: string;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
}

export interface Compose {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
  networks: Record<string, { internal?: boolean } | null>;
}

export const repository = fileURLToPath(new URL('../../..', import.meta.url));

export function composeText(): string {
  return readFileSync(`${repository}/docker-compose.yml`, 'utf8');
}

/** @throws when a variable without default is missing, with the sentence the file has for it */
export function readCompose(env: Record<string, string>): Compose {
  return interpolated(parse(composeText(), { merge: true }), env) as Compose;
}

function interpolated(value: unknown, env: Record<string, string>): unknown {
  if (typeof value === 'string') return interpolate(value, env);
  if (Array.isArray(value)) return value.map((each) => interpolated(each, env));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, interpolated(each, env)]));
}

/** `${NAME:-default}` and `${NAME:?complaint}`, the two forms our file uses. */
function interpolate(text: string, env: Record<string, string>): string {
  return text.replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_, name: string, kind: string, rest: string) => {
    const value = env[name];
    if (value) return value;
    if (kind === '?') throw new Error(`required variable ${name} is missing a value: ${rest}`);
    return rest;
  });
}

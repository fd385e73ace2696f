/**
 * The environment variables of the configuration, and how they are laid over the file: a variable wins over the file,
 * and an empty one counts as not set, because compose files can't leave one out.
 */
import { readFileSync } from 'node:fs';

export type Environment = Record<string, string | undefined>;

export interface Variable {
  name: string;
  /** The key it sets. */
  key: readonly [string, string, ...string[]];
  type: 'text' | 'number' | 'list';
  /** May also be given as `<name>_FILE`, the path of a file that holds it; never shown in a message. */
  secret?: true;
}

/** `S3_BUCKET` also makes `storage.kind` s3. `PROMINENCE_SMTP_PASSWORD` counts where the file has `notifications.smtp`. */
export const variables: readonly Variable[] = [
  { name: 'DATABASE_URL', key: ['database', 'url'], type: 'text', secret: true },
  { name: 'TEMPORAL_ADDRESS', key: ['temporal', 'address'], type: 'text' },
  { name: 'TEMPORAL_NAMESPACE', key: ['temporal', 'namespace'], type: 'text' },
  // The names that Temporal's own tools read.
  { name: 'TEMPORAL_TLS_SERVER_CA_CERT_PATH', key: ['temporal', 'tls', 'caFile'], type: 'text' },
  { name: 'TEMPORAL_TLS_CLIENT_CERT_PATH', key: ['temporal', 'tls', 'certFile'], type: 'text' },
  { name: 'TEMPORAL_TLS_CLIENT_KEY_PATH', key: ['temporal', 'tls', 'keyFile'], type: 'text' },
  { name: 'TEMPORAL_TLS_SERVER_NAME', key: ['temporal', 'tls', 'serverName'], type: 'text' },
  { name: 'TEMPORAL_API_KEY', key: ['temporal', 'apiKey'], type: 'text', secret: true },
  { name: 'TEMPORAL_UI_ORIGIN', key: ['temporal', 'uiOrigin'], type: 'text' },
  { name: 'PROMINENCE_SIGNING_KEY', key: ['auth', 'signingKey'], type: 'text', secret: true },
  { name: 'PROMINENCE_SECRETS_KEY', key: ['secrets', 'keys'], type: 'list', secret: true },
  { name: 'PROMINENCE_LOGIN_ISSUER', key: ['login', 'issuer'], type: 'text' },
  { name: 'PROMINENCE_LOGIN_CLIENT_ID', key: ['login', 'clientId'], type: 'text' },
  { name: 'PROMINENCE_LOGIN_CLIENT_SECRET', key: ['login', 'clientSecret'], type: 'text', secret: true },
  { name: 'PROMINENCE_HOST', key: ['api', 'host'], type: 'text' },
  { name: 'PROMINENCE_PORT', key: ['api', 'port'], type: 'number' },
  { name: 'PROMINENCE_PUBLIC_URL', key: ['api', 'publicUrl'], type: 'text' },
  { name: 'PROMINENCE_ROLES', key: ['worker', 'roles'], type: 'list' },
  { name: 'PROMINENCE_LOG_LEVEL', key: ['log', 'level'], type: 'text' },
  { name: 'PROMINENCE_SMTP_PASSWORD', key: ['notifications', 'smtp', 'password'], type: 'text', secret: true },
  { name: 'PROMINENCE_WEBHOOK_KEY', key: ['notifications', 'webhooks', 'signingKey'], type: 'text', secret: true },
  { name: 'S3_BUCKET', key: ['storage', 'bucket'], type: 'text' },
  { name: 'S3_ENDPOINT', key: ['storage', 'endpoint'], type: 'text' },
  { name: 'S3_PUBLIC_ENDPOINT', key: ['storage', 'publicEndpoint'], type: 'text' },
  { name: 'S3_REGION', key: ['storage', 'region'], type: 'text' },
  { name: 'S3_ACCESS_KEY_ID', key: ['storage', 'accessKeyId'], type: 'text', secret: true },
  { name: 'S3_SECRET_ACCESS_KEY', key: ['storage', 'secretAccessKey'], type: 'text', secret: true },
];

/** Keys whose values never appear in a message, wherever they came from. */
export const secretKeys: ReadonlySet<string> = new Set(
  variables.filter((variable) => variable.secret).map((variable) => variable.key.join('.')),
);

export interface Overlaid {
  value: Record<string, unknown>;
  /** Key to the variable that set it, so that a message can name the place to change. */
  sources: Map<string, string>;
  problems: string[];
}

/** @returns the file's content with the environment laid over it; the given content is left as it is */
export function overlayEnvironment(content: Record<string, unknown>, env: Environment): Overlaid {
  const overlaid: Overlaid = { value: { ...content }, sources: new Map(), problems: [] };
  if (env['S3_BUCKET']) chooseS3(overlaid.value);
  const usesS3 = isMapping(overlaid.value['storage']) && overlaid.value['storage']['kind'] === 's3';
  const sendsEmail = isMapping(overlaid.value['notifications']) && isMapping(overlaid.value['notifications']['smtp']);
  for (const variable of variables) {
    // A stray S3_REGION of another program must not break a configuration whose objects live in a folder.
    if (variable.key[0] === 'storage' && !usesS3) continue;
    if (variable.key[1] === 'smtp' && !sendsEmail) continue;
    const given = readVariable(variable, env, overlaid.problems);
    if (given === undefined) continue;
    const value = withKey(overlaid.value, variable.key, typedValue(variable, given.text));
    if (value === undefined) continue;
    overlaid.value = value;
    overlaid.sources.set(variable.key.join('.'), given.source);
  }
  return overlaid;
}

/** Undefined where anything but a mapping is in its place: the schema reports that. */
function withKey(
  mapping: Record<string, unknown>,
  [key, ...below]: readonly string[],
  value: unknown,
): Record<string, unknown> | undefined {
  if (key === undefined) return mapping;
  if (below.length === 0) return { ...mapping, [key]: value };
  const existing = mapping[key] ?? {};
  const changed = isMapping(existing) ? withKey(existing, below, value) : undefined;
  return changed && { ...mapping, [key]: changed };
}

function chooseS3(value: Record<string, unknown>): void {
  const storage = value['storage'];
  if (!isMapping(storage) || storage['kind'] !== 's3') value['storage'] = { kind: 's3' };
}

function readVariable(
  variable: Variable,
  env: Environment,
  problems: string[],
): { text: string; source: string } | undefined {
  const text = env[variable.name] || undefined;
  const fileVariable = `${variable.name}_FILE`;
  const file = variable.secret ? env[fileVariable] || undefined : undefined;
  if (file === undefined) return text === undefined ? undefined : { text, source: variable.name };
  const key = variable.key.join('.');
  if (text !== undefined) {
    problems.push(`${key}: ${variable.name} and ${fileVariable} are both set; unset one`);
    return undefined;
  }
  try {
    // The newline an editor or echo put at the end is not part of the secret.
    return { text: readFileSync(file, 'utf8').replace(/\r?\n$/, ''), source: fileVariable };
  } catch (error) {
    problems.push(`${key}: ${fileVariable} names ${file}, which can't be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** A number that is none stays text, so that the schema complains about it with its key. */
function typedValue(variable: Variable, text: string): unknown {
  switch (variable.type) {
    case 'text':
      return text;
    case 'number':
      return /^\d+$/.test(text.trim()) ? Number(text) : text;
    case 'list':
      return text
        .split(/[,\n]/)
        .map((each) => each.trim())
        .filter((each) => each !== '');
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

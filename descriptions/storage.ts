/** A user's own storage (docs/wire.md 3.6): one of three kinds, each with details of its own. */
import type { Storage } from '../domain/description.ts';
import { withoutSlashes, withoutTrailingSlashes } from '../domain/slashes.ts';
import { oneclientOptions } from './oneclient-options.ts';
import type { ObjectReader } from './reader.ts';
import { flag, text } from './values.ts';

/** Of each kind: what it is called, and its details in the order in which they are asked for. */
const kinds = {
  webdav: { title: 'WebDAV', details: [['url', 'URL'], ['username'], ['password']] },
  b2drop: {
    title: 'B2DROP',
    details: [
      ['app-username', 'app username'],
      ['app-password', 'app password'],
    ],
  },
  onedata: { title: 'OneData', details: [['provider'], ['token']] },
} as const;
type Kind = keyof typeof kinds;

export function readStorage(job: ObjectReader): Storage | undefined {
  if (!job.has('storage')) return undefined;
  const read = job.object('storage', 'storage must be an object');
  if (!read) return undefined;
  const type = read.value('type');
  if (!read.has('type')) read.issue('type', 'storage type must be defined');
  else if (!isKind(type)) read.issue('type', 'storage type must be either b2drop, webdav or onedata');
  const mountpoint = readMountpoint(read);
  const isDefault = read.field('default', flag('default')) ?? false;
  const directory = readDirectory(read);
  if (!isKind(type)) return undefined;
  const details = readDetails(read, type);
  return { type, mountpoint, directory, isDefault, [type]: details } as unknown as Storage;
}

const isKind = (type: unknown): type is Kind => typeof type === 'string' && Object.hasOwn(kinds, type);

/** What a container is made of, or needs to work: nothing may be put in its place. */
const needed = ['/', '/home', '/home/user', '/tmp'];
const systems = ['/bin', '/etc', '/lib', '/lib32', '/lib64', '/run', '/sbin', '/usr', '/usr/bin', '/usr/lib', '/var'];
const kernels = ['/dev', '/proc', '/sys', '/.singularity.d'];

function readMountpoint(read: ObjectReader): string {
  if (!read.has('mountpoint')) read.issue('mountpoint', 'a mount point must be defined');
  const given = read.field('mountpoint', text('the mountpoint must be a string')) ?? '';
  if (given === '') return '';
  if (!given.startsWith('/')) {
    read.issue('mountpoint', 'the mountpoint must be an absolute path');
    return '';
  }
  const mountpoint = withoutTrailingSlashes(given) || '/';
  const isPlain = mountpoint === '/' || mountpoint.slice(1).split('/').every(isPlainName);
  if (!isPlain || /[:"]/.test(mountpoint)) {
    read.ownIssue(
      'mountpoint',
      'the mountpoint must not contain "..", ".", empty names, colons, quotes or line breaks',
    );
  } else if (
    [...needed, ...systems].includes(mountpoint) ||
    kernels.some((one) => `${mountpoint}/`.startsWith(`${one}/`))
  ) {
    read.ownIssue('mountpoint', `the mountpoint must not hide ${mountpoint} of the container`);
  }
  return mountpoint;
}

function readDirectory(read: ObjectReader): string {
  const given = read.ownField('directory', text('the directory of a storage must be a string')) ?? '';
  const directory = withoutSlashes(given);
  if (directory !== '' && !directory.split('/').every(isPlainName)) {
    read.ownIssue('directory', 'the directory of a storage must not contain "..", ".", empty names or line breaks');
  }
  return directory;
}

const isPlainName = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && !hasControls(name);
const hasControls = (value: string): boolean => /[\u0000-\u001f\u007f]/.test(value);

function readDetails(read: ObjectReader, kind: Kind): Record<string, string> {
  const { title, details } = kinds[kind];
  const found: Record<string, string> = {};
  if (!read.has(kind)) read.issue(kind, `${title} storage details must be defined`);
  const given = read.has(kind) ? read.object(kind, `${title} storage details must be an object`) : undefined;
  if (!given) return found;
  for (const [key, name = key] of details) {
    if (!given.has(key)) given.issue(key, `${title} ${name} must be defined`);
    const value = given.ownField(key, text(`${title} ${name} must be a string`));
    if (value === undefined) continue;
    if (hasControls(value)) given.ownIssue(key, `${title} ${name} must not contain line breaks or control characters`);
    else if (value === '') given.ownIssue(key, `${title} ${name} must not be empty`);
    else if (/username$/.test(key) && value.includes(':')) {
      given.ownIssue(key, `${title} ${name} must not contain a colon`);
    } else if (key === 'url' && !isPlainAddress(value)) {
      given.ownIssue(key, 'WebDAV URL must be an http or https URL without credentials, a query or a fragment');
    } else if (key === 'provider' && !/^[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?$/.test(value)) {
      given.ownIssue(key, 'OneData provider must be the name of a host');
    }
    found[key] = value;
  }
  if (kind !== 'onedata') return found;
  const options = given.ownField('options', text('OneData options must be a string'));
  if (options === undefined) return found;
  if (!oneclientOptions(options)) {
    given.ownIssue(
      'options',
      'OneData options must be options of oneclient that name no file and nothing we set ourselves',
    );
  }
  return { ...found, options };
}

function isPlainAddress(value: string): boolean {
  if (!URL.canParse(value) || /[?#\s]/.test(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

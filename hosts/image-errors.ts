/** From what curl, a registry or the image builder said to the few words that decide whether to try again. */
import { lastWords } from './installed-scripts.ts';
import { ImageError, type ImageErrorCode } from './machine.ts';

/** Looked at in this order: a refusal is often wrapped in words about the network. */
const words: [ImageErrorCode, RegExp][] = [
  ['diskFull', /no space left on device|disk quota exceeded/i],
  ['notFound', /manifest unknown|name unknown|manifest.*not found|repository .*not found|status 404|404 not found/i],
  [
    'unauthorized',
    /unauthorized|authentication required|access.*denied|denied:|forbidden|no basic auth|status 40[13]/i,
  ],
  [
    'transient',
    /connection (refused|reset)|no such host|no route to host|i\/o timeout|timed? ?out|unreachable|unexpected EOF|: EOF|too ?many ?requests|status 5\d\d|50[0-4] |temporary failure|broken pipe|terminated|killed/i,
  ],
];

/**
 * What the builder printed. A registry is worth another try when its words are unknown; an archive that was downloaded
 * stays what it is, unless the builder itself was stopped.
 */
export function builderError(kind: 'registry' | 'archive', stderr: string): ImageError {
  const refused = /^REFUSED: (.*)/m.exec(stderr)?.[1];
  if (refused !== undefined) return new ImageError('invalid', lastWords(refused));
  const found = words.find(([, pattern]) => pattern.test(stderr))?.[0];
  const ofArchive = found === 'diskFull' || /signal: |\bkilled\b|terminated/i.test(stderr) ? found : 'invalid';
  const code = (kind === 'registry' ? found : ofArchive) ?? 'transient';
  return new ImageError(code, lastWords(essence(stderr)) || 'the image could not be built, and no reason was given');
}

/** An HTTP status in answer to a download. */
export function httpError(status: number): ImageError {
  const message = `the server answered ${status}`;
  if (status === 404 || status === 410) return new ImageError('notFound', message);
  if (status === 401 || status === 403) return new ImageError('unauthorized', message);
  return new ImageError(
    status >= 400 && status < 500 && status !== 408 && status !== 429 ? 'invalid' : 'transient',
    message,
  );
}

/** curl's exit codes: 23 is a failed write, 1 and 3 a URL it can't use. */
export function curlError(exitCode: number, stderr: string): ImageError {
  const message = lastWords(stderr) || `curl ended with ${exitCode}`;
  if (exitCode === 23) return new ImageError('diskFull', message);
  return new ImageError(exitCode === 1 || exitCode === 3 ? 'invalid' : 'transient', message);
}

/** The line that says what happened, without the builder's colours and progress. */
function essence(stderr: string): string {
  const lines = stderr.replaceAll(/\u001b\[[0-9;]*m/g, '').split('\n');
  const fatal = lines.filter((line) => /^(FATAL|ERROR|Error)/.test(line));
  return (fatal.length > 0 ? fatal : lines).join('\n').replaceAll(/^(FATAL|ERROR|Error):\s*/gm, '');
}

/** The real curl, because job machines and many users have nothing else. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface CurlAnswer {
  status: number;
  body: Buffer;
  headers: Headers;
}

/** @throws when curl itself fails: no connection, or a transfer cut short */
export async function curl(url: string, ...options: string[]): Promise<CurlAnswer> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '-i', '--http1.1', ...options, url], {
    encoding: 'buffer',
    maxBuffer: 64 * 1024 * 1024,
  });
  return parse(stdout);
}

/** A plain PUT as every client does it: no header but those the HTTP library adds itself. */
export async function curlPut(url: string, body: string, ...options: string[]): Promise<CurlAnswer> {
  return curl(url, '-X', 'PUT', '-H', 'Content-Type:', '--data-binary', body, ...options);
}

function parse(answer: Buffer): CurlAnswer {
  const end = answer.indexOf('\r\n\r\n');
  const [first, ...lines] = answer.subarray(0, end).toString().split('\r\n');
  const status = Number(first!.split(' ')[1]);
  const body = answer.subarray(end + 4);
  // A 100 Continue comes before the answer itself.
  if (status === 100) return parse(body);
  const headers = new Headers(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
  return { status, body, headers };
}

/**
 * Each request of a test has a connection of its own: a kept one may be closed by its server in the moment it is used again,
 * and on a busy machine neither of them knows for a while.
 */
const plainFetch = globalThis.fetch;

globalThis.fetch = (input, init) => {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
  headers.set('connection', 'close');
  return plainFetch(input, { ...init, headers });
};

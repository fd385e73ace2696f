/**
 * When a person or a program wants a command to end. npm passes a signal to the shell it runs the command in, and that
 * shell dies without passing it on: under npm, losing the shell counts as being told to stop.
 */

const lookAtParentMs = 300;

/** Aborted at the first request; later ones change nothing, so that stopping is never cut short. */
export function stopRequest(env: NodeJS.ProcessEnv): AbortSignal {
  const request = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => request.abort());
  if (env['npm_lifecycle_event']) {
    const shell = process.ppid;
    const watch = setInterval(() => {
      if (process.ppid === shell) return;
      clearInterval(watch);
      request.abort();
    }, lookAtParentMs);
    watch.unref();
  }
  return request.signal;
}

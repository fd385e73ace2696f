/**
 * Paths without the slashes around them. A regular expression would go through a run of slashes once more from each of
 * them: seconds, for a path that somebody made for that.
 */
export function withoutTrailingSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === '/') end -= 1;
  return path.slice(0, end);
}

export function withoutSlashes(path: string): string {
  return withoutTrailingSlashes(path.replace(/^\/+/, ''));
}

/** The activity of the floor's workflow. */
export function nothing(): Promise<void> {
  return Promise.resolve();
}

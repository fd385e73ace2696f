/**
 * What stands for a payload that did not come encrypted under our keys, where decoding must not throw: in a worker that
 * would fail the task, which the server repeats for ever. Whoever takes facts from payloads asks for it first. Workflows
 * import this, so nothing here may need Node.
 */

/** The type of the failures that it leads to. */
export const unencryptedPayload = 'UnencryptedPayload';

const mark = 'prominence.unencrypted';

/** As JSON it is what a refused payload decodes to. */
export const unencrypted = { [mark]: true } as const;

export const isUnencrypted = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && (value as Record<string, unknown>)[mark] === true;

export const refusal = (what: string): string =>
  `${what} did not come encrypted for this workflow under secrets.keys (PROMINENCE_SECRETS_KEY)`;

/** Why nothing is done with these arguments; undefined where there is nothing against it. All of ours have one. */
export function objection(what: string, args: readonly unknown[]): string | undefined {
  if (args.length === 0) return `${what} has no argument`;
  return args.some(isUnencrypted) ? refusal(what) : undefined;
}

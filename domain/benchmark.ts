/**
 * The `benchmark` runtime: a task without a container, by which the engine alone is measured and tested. Everything
 * around the task is real; the task itself ends at once, as its `cmd` says.
 */

/** `exit CODE`, or `exit CODE before attempt N`: from attempt N on it succeeds. */
const command = /^exit (\d{1,3})(?: before attempt (\d{1,6}))?$/;

/** What a task of this runtime ends with. No command is success; one that is not understood is not found, as in a shell. */
export function benchmarkExitCode(cmd: string | undefined, attempt: number): number {
  if (cmd === undefined || cmd.trim() === '') return 0;
  const [, code, until] = command.exec(cmd.trim()) ?? [];
  if (code === undefined) return 127;
  return until !== undefined && attempt >= Number(until) ? 0 : Number(code) & 255;
}

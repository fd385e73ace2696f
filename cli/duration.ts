/** Durations as people write them. */

const secondsPer = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `30m`, `12h`, `7d`, or plain seconds. @returns seconds. @throws Error for anything else, zero included */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text.trim());
  const seconds = match ? Number(match[1]) * secondsPer[(match[2] || 's') as keyof typeof secondsPer] : 0;
  if (seconds > 0) return seconds;
  throw new Error(`"${text}" is not a duration: write a number and s, m, h or d, such as 12h`);
}

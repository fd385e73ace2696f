/** What an instance of a factory has for each name (docs/wire.md 4.3). */
import { writtenNumber } from './exact-json.ts';

/**
 * A number is its own text (`String`). One that JavaScript would write otherwise than Python, or not hold, comes as the
 * text that is meant: `2.0`, `1e-07`, `9223372036854775807`.
 */
export type ParameterValue = string | number | { number: string };

export type Parameters = Record<string, ParameterValue>;

export function parameterText(value: ParameterValue): string {
  return typeof value === 'object' ? value.number : String(value);
}

/** @param text of a number, as Python prints it */
export function numberValue(text: string): ParameterValue {
  const value = Number(text);
  return String(value) === text ? value : { number: text };
}

/** As clients see them, with each number as one: `exactJson` writes its digits. */
export function shownParameters(parameters: Parameters): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      typeof value === 'object' ? writtenNumber(value.number) : value,
    ]),
  );
}

/**
 * An http or https URL as a browser would send it: blanks and what else no URL may hold are escaped, tabs and line breaks
 * are dropped, the scheme is in small letters. Undefined for what is none.
 */
export function webAddress(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, href } = new URL(text);
  return protocol === 'http:' || protocol === 'https:' ? href : undefined;
}

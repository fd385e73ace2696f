/** The `Range` header of HTTP, for a body of known length. */

export type ByteRange =
  | { kind: 'whole'; start: 0; lengthBytes: number }
  | { kind: 'part'; start: number; lengthBytes: number }
  | { kind: 'unsatisfiable' };

/** One range is served; several, other units and nonsense are answered with the whole, as RFC 9110 (14.2) allows. */
export function rangeOf(header: string | undefined, sizeBytes: number): ByteRange {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header ?? '');
  const [first, last] = [match?.[1] ?? '', match?.[2] ?? ''];
  if (first === '' && last === '') return { kind: 'whole', start: 0, lengthBytes: sizeBytes };
  if (first !== '' && last !== '' && Number(last) < Number(first)) {
    return { kind: 'whole', start: 0, lengthBytes: sizeBytes };
  }
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  return start < end ? { kind: 'part', start, lengthBytes: end - start } : { kind: 'unsatisfiable' };
}

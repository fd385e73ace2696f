declare module 'unbzip2-stream' {
  import type { Transform } from 'node:stream';
  /** Decompresses what is written to it. `queue(null)` ends what it gives. */
  export default function unbzip2(): Transform & { queue(piece: null): void };
}

declare module 'unbzip2-stream' {
  import type { Transform } from 'node:stream';
  /** Decompresses what is written to it. */
  export default function unbzip2(): Transform;
}

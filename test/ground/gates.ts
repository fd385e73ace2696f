/**
 * Something a job waits for until its test lets it go on: a key of its owner's, asked for at the API with the job's own
 * token, for that is what a container reaches from any network it may have.
 */
import { expect } from 'vitest';
import type { Rest } from './rest.ts';

export interface Gate {
  /** A shell line that ends when the gate is open, or in the end without: containers outlive a test that failed. */
  line: string;
  open(): Promise<void>;
}

let gates = 0;

/** @param rest of the job's owner */
export function newGate(rest: Rest): Gate {
  gates += 1;
  const path = `/kv/gates/${gates}`;
  const asked = `wget -q -O /dev/null --header "Authorization: Bearer $PROMINENCE_TOKEN" $PROMINENCE_URL${path}`;
  return {
    line: `n=0; until ${asked} 2>/dev/null || [ $n = 1200 ]; do n=$((n+1)); sleep 0.1; done`,
    async open() {
      expect((await rest.request('POST', path, 'open')).status).toBe(201);
    },
  };
}

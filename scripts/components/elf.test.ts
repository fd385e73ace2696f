import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isStaticExecutable } from './elf.ts';

/** A header with program segments of the given types. */
function elf(...types: number[]): Buffer {
  const head = Buffer.alloc(64 + types.length * 56);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(types.length, 56);
  types.forEach((type, index) => head.writeUInt32LE(type, 64 + index * 56));
  return head;
}

describe('telling a static program', () => {
  it('is one that names no loader', () => expect(isStaticExecutable(elf(1, 1, 7))).toBe(true));
  it('is not one that names a loader', () => expect(isStaticExecutable(elf(6, 3, 1))).toBe(false));
  it('is not a script, nor a file cut short', () => {
    expect(isStaticExecutable(Buffer.from('#!/bin/sh\n'))).toBe(false);
    expect(isStaticExecutable(elf(1, 1).subarray(0, 100))).toBe(false);
  });
  it('is not this Node, which is linked with the system', () => {
    expect(isStaticExecutable(readFileSync(process.execPath).subarray(0, 4096))).toBe(false);
  });
});

/** What archives of every kind become in scratch, on hosts with the programs that unpack them and without. */
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken } from '../../../domain/runs.ts';
import { finish } from '../../../hosts/installed-scripts.ts';
import { newRun } from './runs.ts';
import type { Transport } from './transports.ts';

type Member = [name: string, content: string] | [name: string, kind: 'symlink' | 'link', target: string];
type Packed = Record<string, Buffer>;

/** Nothing of it is in scratch, and the job fails. */
const refused = 'refused';

const venv: Member[] = [
  ['venv/pyvenv.cfg', 'home'],
  ['venv/bin/sh', 'symlink', '/bin/sh'],
  ['venv/bin/ash', 'symlink', 'sh'],
  ['venv/lib64', 'symlink', '../venv/lib'],
  ['venv/calibration', 'symlink', '/cvmfs/experiment.example.org'],
  ['venv/above', 'symlink', '../../../..'],
];
const venvThere = [
  'venv/above -> ../../../..',
  'venv/bin/ash -> sh',
  'venv/bin/sh -> /bin/sh',
  'venv/calibration -> /cvmfs/experiment.example.org',
  'venv/lib64 -> ../venv/lib',
  'venv/pyvenv.cfg: home',
];
const rooted: Member[] = [
  ['/data/run1/in.txt', 'in'],
  ['//data/more.txt', 'more'],
];
const rootedThere = ['data/more.txt: more', 'data/run1/in.txt: in'];
const plain: Member[] = [['f', 'content']];
const plainThere = ['f: content'];
/** Of which a later member is written through an earlier one. */
const through: Member[] = [
  ['out', 'symlink', '/tmp'],
  ['out/prominence-evil', 'x'],
];
const throughAbove: Member[] = [
  ['out', 'symlink', '../../..'],
  ['out/prominence-evil', 'x'],
];

/** By the name of the archive: what it is made of, what is there afterwards. */
async function table(): Promise<[name: string, content: Buffer, there: string[] | typeof refused][]> {
  const kinds = async (members: Member[]): Promise<Packed> => {
    const tar = await tarOf(members);
    const zippable = members.every(([, kind]) => kind !== 'link' || members.length === 1);
    return {
      'x.tar': tar,
      'x.tgz': gzipSync(tar),
      'x.tar.gz': gzipSync(tar),
      'x.tar.bz2': bzip2(tar),
      ...(zippable ? { 'x.zip': zipOf(members) } : {}),
    };
  };
  const rows: [string, Buffer, string[] | typeof refused][] = [];
  const add = (packed: Packed, there: string[] | typeof refused) =>
    rows.push(...Object.entries(packed).map(([name, content]) => [name, content, there] as (typeof rows)[number]));
  const changed = (packed: Packed, change: (content: Buffer) => Buffer): Packed =>
    Object.fromEntries(Object.entries(packed).map(([name, content]) => [name, change(content)]));
  const without = (packed: Packed, ...names: string[]): Packed =>
    Object.fromEntries(Object.entries(packed).filter(([name]) => !names.includes(name)));

  add(await kinds(venv), venvThere);
  add(await kinds(rooted), rootedThere);
  add(await kinds([]), []);
  for (const evil of [[['../evil', 'x']], [['a/../../evil', 'x']], through, throughAbove] as Member[][]) {
    add(await kinds(evil), refused);
  }
  const hard: Member[] = [
    ['/data/a', 'a'],
    ['/data/b', 'link', '/data/a'],
  ];
  add(without(await kinds(hard), 'x.zip'), ['data/a: a', 'data/b: a']);
  add(without(await kinds([['passwd', 'link', '/etc/passwd']]), 'x.zip'), refused);
  add(without(await kinds([['up', 'link', '../prepared']]), 'x.zip'), refused);

  const whole: Packed = {
    ...(await kinds(plain)),
    'f.gz': gzipSync('content'),
    'f.bz2': bzip2(Buffer.from('content')),
  };
  for (const behind of ['garbage\n', '\n', '\0\0\0']) {
    add(
      changed(whole, (content) => Buffer.concat([content, Buffer.from(behind)])),
      plainThere,
    );
  }
  add({ 'x.zip': Buffer.concat([Buffer.from('#!/bin/sh stub\n'), whole['x.zip']!]) }, plainThere);
  add(
    changed(without(whole, 'x.tar'), (content) => content.subarray(0, content.length - 12)),
    refused,
  );
  add(
    changed(whole, () => Buffer.from('this is no archive')),
    refused,
  );
  const two = { 'f.gz': [gzipSync('con'), gzipSync('tent')], 'f.bz2': [bzip2('con'), bzip2('tent')] };
  add(Object.fromEntries(Object.entries(two).map(([name, parts]) => [name, Buffer.concat(parts)])), plainThere);
  const large = 'x'.repeat(3_000_000);
  add({ 'f.bz2': Buffer.concat([bzip2(large), Buffer.from('\n')]) }, [`f: ${large}`]);
  add({ 'f.gz': Buffer.concat([gzipSync(large), Buffer.from('\n')]) }, [`f: ${large}`]);
  return rows;
}

function tarOf(members: Member[]): Promise<Buffer> {
  const tar = pack();
  for (const [name, kind, linkname] of members) {
    const header: Partial<Header> & { name: string } =
      linkname === undefined ? { name } : { name, type: kind as 'symlink', linkname };
    tar.entry(header, linkname === undefined ? kind : '');
  }
  return finish(tar);
}

function zipOf(members: Member[]): Buffer {
  const script = `
import json, sys, zipfile, io
out = io.BytesIO()
with zipfile.ZipFile(out, 'w') as archive:
    for name, kind, *target in json.load(sys.stdin):
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = ((0o120777 if target else 0o100644) << 16)
        archive.writestr(info, target[0] if target else kind)
sys.stdout.buffer.write(out.getvalue())`;
  return execFileSync('python3', ['-c', script], { input: JSON.stringify(members) });
}

const bzip2 = (content: Buffer | string): Buffer => execFileSync('bzip2', ['-c'], { input: content });

export function describeArchives(name: string, open: () => Promise<Transport>): void {
  describe(`archives on ${name}`, () => {
    let transport: Transport;
    let rows: Awaited<ReturnType<typeof table>>;
    beforeAll(async () => {
      [transport, rows] = await Promise.all([open(), table()]);
    });
    afterAll(() => transport?.close());

    const unpacked = async (filename: string, content: Buffer, before: string): Promise<string[] | string> => {
      const run = newRun();
      transport.files.files.set(filename, content);
      const artifact = { url: transport.files.url(filename), filename, executable: false };
      const staged = await transport.machine.stageIn(run, { inputs: [] }, [artifact]);
      const seen = await transport.shell(
        `cd runs/${runToken(run)}/home && find . -type l -printf '%P -> %l\\n' -o -type f -printf '%P: ' -exec cat {} \\; -printf '\\n' | LC_ALL=C sort`,
      );
      const there = seen === '' ? [] : seen.trimEnd().split('\n');
      if (staged.kind === 'done') return there;
      expect(there, before).toEqual([]);
      expect(staged, before).toMatchObject({ step: 'uncompress' });
      return staged.detail === '' ? 'failed without a word' : refused;
    };

    const all = async () => {
      for (const [index, [filename, content, there]] of rows.entries()) {
        const what = `row ${index}: ${filename} ${JSON.stringify(there).slice(0, 200)}`;
        expect(await unpacked(filename, content, what), what).toEqual(there);
      }
      // A server may call the archive's own form an encoding: nobody asked for that to be taken away.
      transport.files.contentEncoding = 'x-gzip';
      const labelled = gzipSync(await tarOf(plain));
      expect(await unpacked('x.tgz', labelled, 'labelled')).toEqual(plainThere);
      expect(await unpacked('f.gz', gzipSync('content'), 'labelled')).toEqual(plainThere);
      transport.files.contentEncoding = undefined;
      expect(await transport.shell('ls -d /tmp/prominence-evil runs/evil /data 2>/dev/null; :')).toBe('');
    };

    it('are unpacked as tar and unzip do', { timeout: 240_000 }, all);

    it('are unpacked the same where the machine lacks the programs', { timeout: 240_000 }, async () => {
      // The programs can't be taken from the machine: its scripts are made not to find them.
      await transport.shell(
        `cd lib/* && sed -i 's/^has_tool_for() {/has_tool_for() { case $1 in none | tar) ;; *) return 1 ;; esac; }\\nunused() {/' unpack.sh`,
      );
      try {
        await all();
      } finally {
        await transport.shell('rm -rf lib/*');
      }
    });
  });
}

/** Files in and out of scratch, over any kind of host. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunRef } from '../../../domain/runs.ts';
import { runToken } from '../../../domain/runs.ts';
import type { Host } from '../../../hosts/host.ts';
import { finish, scriptsOn } from '../../../hosts/installed-scripts.ts';
import type { Bind, StagedArtifact } from '../../../hosts/machine.ts';
import { deployment, newRun, until } from './runs.ts';
import type { Transport } from './transports.ts';

export function describeStaging(name: string, open: () => Promise<Transport>): void {
  describe(`staging on ${name}`, () => {
    let transport: Transport;
    let folder: string;
    beforeAll(async () => {
      transport = await open();
      folder = mkdtempSync(join(tmpdir(), 'prominence-staging-'));
    });
    afterAll(async () => {
      await transport?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const artifact = (filename: string, content: Buffer, executable = false): StagedArtifact => {
      transport.files.files.set(filename, content);
      return { url: transport.files.url(filename), filename, executable };
    };
    const stage = (run: RunRef, ...artifacts: StagedArtifact[]) =>
      transport.machine.stageIn(run, { inputs: [] }, artifacts);
    const scratch = (run: RunRef, line: string) => transport.shell(`cd runs/${runToken(run)}/home && ${line}`);
    const tarOf = async (...entries: [Partial<Header> & { name: string }, string?][]) => {
      const tar = pack();
      for (const [header, content] of entries) tar.entry(header, content ?? '');
      return finish(tar);
    };
    /** Of an archive that was uploaded. */
    const members = (key: string) =>
      execFileSync('tar', ['-tzf', '-'], { input: transport.files.files.get(key) })
        .toString()
        .trim()
        .split('\n')
        .sort();
    /** An archive of dir/one and dir/two, made by the program itself. */
    const archive = (filename: string, command: string) => {
      const work = join(folder, filename);
      mkdirSync(join(work, 'dir'), { recursive: true });
      writeFileSync(join(work, 'dir/one'), 'one\n');
      writeFileSync(join(work, 'dir/two words'), 'two\n', { mode: 0o755 });
      execFileSync('sh', ['-c', command], { cwd: work, env: { PATH: '/usr/bin:/bin' } });
      return readFileSync(join(work, filename));
    };

    it('writes inputs, then downloads and unpacks by suffix', async () => {
      const run = newRun();
      const inputs = [{ filename: 'in put', content: Buffer.from('input'), executable: true }];
      const staged = await transport.machine.stageIn(run, { inputs }, [
        artifact('plain file', Buffer.from('plain'), true),
        artifact('a.tgz', archive('a.tgz', 'tar -czf a.tgz dir')),
        artifact('b.tar.gz', await gzipped(tarOf([{ name: 'b' }, 'b']))),
        artifact(
          'c.tar',
          await tarOf([{ name: 'dir/c' }, 'c'], [{ name: 'dir/link', type: 'symlink', linkname: '../b' }]),
        ),
        artifact('d.txt.gz', gzipSync('d')),
        artifact('e.tar.bz2', archive('e.tar.bz2', 'mv dir edir; tar -cjf e.tar.bz2 edir')),
        artifact('f.bz2', archive('f.bz2', 'bzip2 -c dir/one > f.bz2')),
        artifact('g.zip', archive('g.zip', 'mv dir gdir; zip -q -r g.zip gdir')),
        artifact('h.tar.xz', Buffer.from('as it is')),
      ]);
      expect(staged).toEqual({ kind: 'done', seconds: expect.any(Number) });
      expect((await scratch(run, 'find . -mindepth 1 | sort')).trim().split('\n')).toEqual([
        './b',
        './d.txt',
        './dir',
        './dir/c',
        './dir/link',
        './dir/one',
        './dir/two words',
        './edir',
        './edir/one',
        './edir/two words',
        './f',
        './gdir',
        './gdir/one',
        './gdir/two words',
        './h.tar.xz',
        './in put',
        './plain file',
      ]);
      expect(await scratch(run, 'cat "in put" "plain file" dir/link dir/c d.txt f "gdir/two words"')).toBe(
        'inputplainbcdone\ntwo\n',
      );
      expect(await scratch(run, 'stat -c %a "in put" "plain file" b')).toBe('775\n775\n644\n');
    });

    it('lets an input replace what an archive brought under its name, and no folder', async () => {
      const run = newRun();
      const inputs = ['settings', '.hidden'].map((filename) => ({
        filename,
        content: Buffer.from(`mine: ${filename}`),
        executable: false,
      }));
      const release = await tarOf(
        [{ name: 'settings' }, 'theirs'],
        [{ name: '.hidden' }, 'theirs'],
        [{ name: 'x' }, 'x'],
      );
      expect(await transport.machine.stageIn(run, { inputs }, [artifact('release.tar', release)])).toMatchObject({
        kind: 'done',
      });
      expect(await scratch(run, 'cat settings .hidden x; ls -A ../staged')).toBe('mine: settingsmine: .hiddenx0\n');
      const folder = artifact('folder.tar', await tarOf([{ name: 'settings/a' }, 'theirs']));
      expect(await transport.machine.stageIn(newRun(), { inputs }, [folder])).toMatchObject({
        kind: 'failed',
        step: 'uncompress',
        detail: 'an artifact holds a folder that is called settings, as is an input',
      });
    });

    it('does not do again what is done when it is asked again', async () => {
      const run = newRun();
      const artifacts = [artifact('again.txt', Buffer.from('first'))];
      await stage(run, ...artifacts);
      const before = transport.files.requests.length;
      await scratch(run, 'echo changed > again.txt');
      expect(await stage(run, ...artifacts)).toMatchObject({ kind: 'done' });
      expect(await scratch(run, 'cat again.txt')).toBe('changed\n');
      expect(transport.files.requests.length).toBe(before);
    });

    it('tries a download three times, and stops at the first that fails', async () => {
      const run = newRun();
      const flaky = artifact('flaky', Buffer.from('there'));
      transport.files.failWith('flaky', 503, 500);
      expect(await stage(run, flaky)).toMatchObject({ kind: 'done' });

      const failing = newRun();
      const missing = { url: transport.files.url('missing'), filename: 'missing', executable: false };
      const result = await stage(failing, flaky, missing, artifact('never', Buffer.from('x')));
      expect(result).toMatchObject({ kind: 'failed', step: 'download', index: 1, detail: 'the server answered 404' });
      expect(await scratch(failing, 'ls')).toBe('flaky\n');

      const refused = { url: 'http://127.0.0.1:1/x?secret=1', filename: 'x', executable: false };
      const unreachable = await stage(newRun(), refused);
      expect(unreachable).toMatchObject({ kind: 'failed', step: 'download', index: 0 });
      expect(JSON.stringify(unreachable)).not.toContain('secret');
    });

    it('gives up a source that gives a few bytes a second, and asks it again', { timeout: 30_000 }, async () => {
      const slow = artifact('slow', Buffer.from('whole'));
      transport.files.files.set('slow.sif', Buffer.from('no image'));
      for (const path of ['slow', 'slow.sif']) transport.files.drip(path);
      const pull = { kind: 'download', url: transport.files.url('slow.sif'), archive: false } as const;
      // The minute that it has is made shorter.
      await transport.shell(
        `for each in lib/*; do cp -r $each saved; sed -i 's/--speed-time [0-9]*/--speed-time 2/' $each/*.sh; done`,
      );
      try {
        const run = newRun();
        const [staged] = await Promise.all([
          stage(run, slow),
          expect(
            transport.machine.pullImage({ runtime: 'singularity', imageKey: 'slow', source: pull }),
          ).rejects.toMatchObject({ code: 'invalid' }),
        ]);
        expect(staged).toMatchObject({ kind: 'done' });
        expect(await scratch(run, 'cat slow')).toBe('whole');
      } finally {
        await transport.shell('for each in lib/*; do rm -r $each; mv saved $each; done');
      }
    });

    it('refuses archives that reach out of scratch', async () => {
      const evil: [string, Buffer][] = [
        ['parent.tar', await tarOf([{ name: '../evil' }, 'x'])],
        ['inner.tar', await tarOf([{ name: 'a/../../evil' }, 'x'])],
        [
          'through.tar',
          await tarOf(
            [{ name: 'out', type: 'symlink', linkname: '../../../..' }],
            [{ name: 'out/prominence-evil' }, 'x'],
          ),
        ],
        ['hard.tar', await tarOf([{ name: 'passwd', type: 'link', linkname: '/etc/passwd' }])],
        ['hardup.tar', await tarOf([{ name: 'x', type: 'link', linkname: '../prepared' }])],
        ['device.tar', await tarOf([{ name: 'zero', type: 'character-device', devmajor: 1, devminor: 5 }])],
        ['broken.tgz', Buffer.from('this is no archive')],
        ['broken.gz', Buffer.from('this is no archive')],
        ['broken.zip', Buffer.from('this is no archive')],
      ];
      for (const [filename, content] of evil) {
        const run = newRun();
        const result = await stage(run, artifact(filename, content));
        expect(result, filename).toMatchObject({ kind: 'failed', step: 'uncompress', index: 0 });
        expect(await scratch(run, 'find . -mindepth 1'), filename).toBe('');
        expect(await transport.shell('ls /tmp/prominence-evil runs/evil 2>/dev/null')).toBe('');
      }
    });

    it('refuses an artifact that is not what was announced', async () => {
      const run = newRun();
      const announced = { ...artifact('known', Buffer.from('known')), sha256: sha256('known') };
      expect(await stage(run, announced)).toMatchObject({ kind: 'done' });
      const other = { ...artifact('other.gz', gzipSync('other')), sha256: sha256('another') };
      expect(await stage(newRun(), other)).toMatchObject({
        kind: 'failed',
        step: 'download',
        detail: expect.stringContaining('SHA-256') as string,
      });
    });

    it('does not write through a link that an earlier archive left', async () => {
      const run = newRun();
      await stage(
        run,
        artifact(
          'first.tar',
          await tarOf([{ name: 'inside' }, 'x'], [{ name: 'l', type: 'symlink', linkname: 'inside' }]),
        ),
      );
      const result = await transport.machine.stageIn(run, { inputs: [] }, [
        artifact('first.tar', Buffer.alloc(0)),
        artifact('l', Buffer.from('replaced')),
      ]);
      expect(result).toMatchObject({ kind: 'done' });
      expect(await scratch(run, 'cat inside l')).toBe('xreplaced');
    });

    it('unpacks for a machine that lacks the programs', async () => {
      const run = newRun();
      // The programs can't be taken from the machine: its scripts are made not to find them.
      await transport.shell(
        `cd lib/* && sed -i 's/^has_tool_for() {/has_tool_for() { case $1 in none | tar) ;; *) return 1 ;; esac; }\\nunused() {/' unpack.sh`,
      );
      try {
        const staged = await stage(
          run,
          artifact('z.zip', archive('z.zip', 'ln -s one dir/link; zip -q -r -y z.zip dir')),
          artifact('y.tar.bz2', archive('y.tar.bz2', 'mv dir ydir; tar -cjf y.tar.bz2 ydir')),
          artifact('w.gz', gzipSync('w')),
          artifact('last', Buffer.from('last')),
        );
        expect(staged).toMatchObject({ kind: 'done' });
        expect(await scratch(run, 'cat dir/link ydir/one w last; stat -c %a "dir/two words"')).toBe(
          'one\none\nwlast755\n',
        );
        const broken = await stage(newRun(), artifact('broken.zip', Buffer.from('this is no archive')));
        expect(broken).toMatchObject({ kind: 'failed', step: 'uncompress' });
        const missing = { url: transport.files.url('missing.zip'), filename: 'missing.zip', executable: false };
        expect(await stage(newRun(), missing)).toMatchObject({ kind: 'failed', step: 'download' });
      } finally {
        await transport.shell('rm -rf lib/*');
      }
    });

    it('takes nothing for whole that its sender, dying, cut between two members or bytes', async () => {
      const run = newRun();
      const token = runToken(run);
      // The scripts are there after it.
      await stage(newRun());
      await transport.shell('mkdir -p cut && echo one >cut/one');
      const inputs = `tar -cf - -C cut one | sh lib/*/stage-in.sh ${token} 1 0`;
      const artifact = `printf half | sh lib/*/unpack-stream.sh ${token} 0 file 644 whole '#end'`;
      expect(
        await transport.shell(
          `for each in 1; do ${inputs} 2>/dev/null; echo $?; ${artifact} 2>/dev/null; echo $?; done`,
        ),
      ).toBe('1\n1\n');
      expect(
        await transport.shell(`cd runs/${token} && ls -d prepared staged/0 home/whole transfers/* 2>/dev/null; :`),
      ).toBe('');
    });

    it('has all of its scripts there or none, also when their sender dies between two of them', async () => {
      const { host, workDirectory } = transport;
      const cut: Host = {
        ...host,
        // The first member, of 512 bytes and what they tell of, and nothing behind it.
        run: (script, options = {}) => {
          if (!Buffer.isBuffer(options.stdin)) return host.run(script, options);
          const size = parseInt(options.stdin.subarray(124, 136).toString(), 8);
          return host.run(script, { ...options, stdin: options.stdin.subarray(0, 512 + Math.ceil(size / 512) * 512) });
        },
      };
      const place = `${workDirectory}/other`;
      await expect(scriptsOn(cut, place).install()).rejects.toThrow('could not prepare');
      expect(await transport.shell('ls other/lib')).toBe('');
      await scriptsOn(host, place).install();
      expect(await transport.shell('ls other/lib/*')).toBe(await transport.shell('ls lib/*'));
      await transport.shell('rm -r other');
    });

    it('ends a transfer when it is asked for anew, and when its run is removed', async () => {
      const run = newRun();
      const held = createServer(() => {}).listen(0, new URL(transport.files.url('x')).hostname);
      await once(held, 'listening');
      const { address, port } = held.address() as AddressInfo;
      const slow = { url: `http://${address}:${port}/slow`, filename: 'slow', executable: false };
      const transfers = () => transport.shell(`ls runs/${runToken(run)}/transfers 2>/dev/null; :`);
      const isMoving = (other: string) => until(async () => ![other, ''].includes(await transfers()), 'it is moving');
      const first = stage(run, slow).catch((error: Error) => error.message);
      await isMoving('');
      const one = await transfers();
      const second = stage(run, slow).catch((error: Error) => error.message);
      expect(await first).toMatch(/could not be staged|ended by|connection/);
      await isMoving(one);
      const watch = await transport.machine.watch(deployment);
      await watch.remove([run]);
      watch.close();
      expect(await second).toMatch(/could not be staged|ended by|connection/);
      expect(await transport.shell(`ls -d runs/${runToken(run)} 2>/dev/null; :`)).toBe('');
      held.closeAllConnections();
      held.close();
    });

    it('uploads files and folders, each with its own result', async () => {
      const victim = newRun();
      await stage(victim);
      await scratch(victim, 'echo secret > theirs');
      const run = newRun();
      await stage(run);
      await scratch(
        run,
        `mkdir -p 'out dir/sub'; echo one > 'out dir/sub/1'; echo a > 'res ult.1'; echo b > 'res ult.2'; : > empty
         ln -s ../../${runToken(victim)}/home/theirs other; ln -s ../../${runToken(victim)}/home others
         ln -s /etc/passwd escape; ln -s /etc escapes; ln -s 'res ult.1' good; mkdir locked; touch locked/x`,
      );
      const { files } = transport;
      files.failWith('retried', 500, 503);
      files.failWith('refused', 403);
      const url = (path: string) => files.url(path);
      const results = await transport.machine.stageOut(run, [
        { kind: 'file', name: 'res ult.*', url: url('glob') },
        { kind: 'file', name: 'empty', url: url('empty') },
        { kind: 'file', name: 'nothing-*', url: url('none') },
        { kind: 'file', name: 'escape', url: url('escape') },
        { kind: 'file', name: '../prepared', url: url('up') },
        { kind: 'file', name: 'escapes/passwd', url: url('through') },
        { kind: 'file', name: 'other', url: url('other') },
        { kind: 'file', name: `../../${runToken(victim)}/home/the*`, url: url('other') },
        { kind: 'file', name: 'others/the*', url: url('other') },
        { kind: 'directory', name: 'others', url: url('other') },
        { kind: 'file', name: 'good', url: url('good') },
        { kind: 'file', name: 'good', url: url('retried') },
        { kind: 'file', name: 'good', url: url('refused') },
        { kind: 'directory', name: 'out dir/', url: url('dir.tgz') },
        { kind: 'directory', name: 'out dir/sub', url: url('sub.tgz') },
        { kind: 'directory', name: 'escapes', url: url('escapes.tgz') },
        { kind: 'directory', name: 'absent', url: url('absent.tgz') },
      ]);
      expect(results).toMatchObject([
        { kind: 'uploaded', sizeBytes: 2 },
        { kind: 'uploaded', sizeBytes: 0 },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'missing' },
        { kind: 'failed', cause: 'tarball' },
        { kind: 'uploaded', sizeBytes: 2 },
        { kind: 'uploaded', sizeBytes: 2 },
        { kind: 'failed', cause: 'refused', detail: 'the store answered 403' },
        { kind: 'uploaded' },
        { kind: 'uploaded' },
        { kind: 'failed', cause: 'tarball' },
        { kind: 'failed', cause: 'tarball' },
      ]);
      expect(files.files.has('other')).toBe(false);
      expect(files.files.get('glob')?.toString()).toBe('a\n');
      expect(files.files.get('good')?.toString()).toBe('a\n');
      expect(members('dir.tgz')).toEqual(['out dir/', 'out dir/sub/', 'out dir/sub/1']);
      expect(members('sub.tgz')).toEqual(['out dir/sub/', 'out dir/sub/1']);
    });

    const outputs = async (run: RunRef, binds: Bind[], asked: [kind: 'file' | 'directory', name: string][]) => {
      const { files } = transport;
      const key = (name: string) => `output of ${run.jobId}: ${name}`;
      const requests = asked.map(([kind, name]) => ({ kind, name, url: files.url(key(name)) }));
      const results = await transport.machine.stageOut(run, requests, { binds });
      return asked.map(([kind, name], index) => {
        const result = results[index]!;
        if (result.kind === 'failed') return `${result.cause}: ${result.detail}`;
        return kind === 'directory' ? members(key(name)) : files.files.get(key(name))!.toString();
      });
    };

    it('takes links of a job for what they mean in its containers', async () => {
      const run = newRun();
      await stage(run);
      await scratch(
        run,
        `mkdir -p run_0001/plots made/deep 'a b'; echo 42 > run_0001/result.txt; echo svg > run_0001/plots/a.svg
         ln -s /home/user/run_0001/result.txt latest.txt; ln -s /home/user/run_0001 latest; ln -s latest newest
         ln -s /home/user/latest/result.txt chain; ln -s ../../home/user/./newest/../run_0001/result.txt round
         ln -s /home/user/run_0001/result.txt run_0001/absolute.txt; ln -s /home/user 'a b/home'
         echo 43 > ../tmp/out; ln -s /tmp/out out; ln -s ../../tmp/out up; mkdir ../tmp/d; echo in > ../tmp/d/f; ln -s /tmp/d d
         echo 44 > made/deep/x; ln -s /data/set/deep/x viamount; ln -s /data/set/deep mounted; ln -s /data/set/../../tmp/out over`,
      );
      const told = await outputs(
        run,
        [{ source: 'made', target: '/data/set/' }],
        [
          ['file', 'latest.txt'],
          ['file', 'latest/result.txt'],
          ['file', 'newest/result.txt'],
          ['file', 'chain'],
          ['file', 'round'],
          ['file', 'latest/absolute.txt'],
          ['file', 'a b/home/latest/res*'],
          ['file', 'lat*/[q-s]esult.*'],
          ['file', 'out'],
          ['file', 'up'],
          ['file', 'd/*'],
          ['file', 'viamount'],
          ['file', 'mounted/*'],
          ['file', 'over'],
          ['directory', 'latest'],
          ['directory', 'd'],
          ['directory', 'mounted'],
        ],
      );
      expect(told).toEqual([
        ...Array.from({ length: 8 }, () => '42\n'),
        '43\n',
        '43\n',
        'in\n',
        '44\n',
        '44\n',
        '43\n',
        ['latest/', 'latest/absolute.txt', 'latest/plots/', 'latest/plots/a.svg', 'latest/result.txt'],
        ['d/', 'd/f'],
        ['mounted/', 'mounted/x'],
      ]);
    });

    it('follows no link out of the run, and says where it leads', async () => {
      const [victim, run] = [newRun(), newRun()];
      for (const each of [victim, run]) await stage(each);
      await scratch(victim, 'echo secret > theirs');
      const name = `prominence-outside-${run.jobId}`;
      const theirs = (await transport.shell(`pwd -P`)).trim() + `/runs/${runToken(victim)}/home`;
      await transport.shell(`echo machine > /tmp/${name}`);
      await scratch(
        run,
        `ln -s /etc/passwd passwd; ln -s /etc etc; ln -s /tmp/${name} tmp; ln -s /home/user/../../etc/passwd up
         ln -s ${theirs}/theirs theirs; ln -s ${theirs} folder; ln -s /home/user/a b; ln -s b a; ln -s / root
         ln -s /proc/self/cwd cwd; ln -s nothing broken; ln -s /tmp/../home/user/../../proc/self/root/etc/passwd proc
         ln -s /home/user/folder/../${runToken(victim)}/home/theirs aside; echo x > file; ln -s /home/user/file/x below`,
      );
      const told = await outputs(
        run,
        [],
        [
          ['file', 'passwd'],
          ['file', 'etc/passwd'],
          ['file', 'et?/pass*'],
          ['directory', 'etc'],
          ['file', 'tmp'],
          ['file', 'up'],
          ['file', 'theirs'],
          ['file', 'folder/theirs'],
          ['directory', 'folder'],
          ['file', 'a'],
          ['directory', 'root'],
          ['file', 'cwd/tasks'],
          ['file', 'broken'],
          ['file', 'proc'],
          ['file', 'aside'],
          ['file', 'below'],
          ['file', 'file/'],
        ],
      );
      await transport.shell(`rm -f /tmp/${name}`);
      for (const each of told.slice(0, -1)) expect(each).toMatch(/^(missing|tarball): no /);
      expect(told[0]).toBe("missing: no file passwd: it leads to /etc/passwd, which is not in the job's own folders");
      expect(told[4]).toBe(`missing: no file tmp: it leads to /tmp/${name}, where there is none`);
      expect(told[9]).toBe('missing: no file a: it is a link that leads in a circle');
      expect(told[12]).toBe('missing: no file broken: it leads to nothing, where there is none');
    });

    it('delivers what its owner has no right to read', async () => {
      const run = newRun();
      await stage(run);
      await scratch(
        run,
        `echo secret > locked; chmod 000 locked; echo x > program; chmod 111 program; mkdir ro; echo z > ro/z; chmod 444 ro/z
         mkdir -p d/shut/in e; echo y > d/y; chmod 000 d/y; echo w > d/shut/w; echo i > d/shut/in/i; ln -s ../locked d/l
         chmod 000 d/shut/in; chmod 000 d/shut; chmod 555 ro; echo f > e/f; chmod 000 e; echo o > opened; chmod 200 opened; chmod 100 .`,
      );
      expect(
        await outputs(
          run,
          [],
          [
            ['file', 'locked'],
            ['file', 'program'],
            ['file', 'ro/z'],
            ['file', 'e/*'],
            ['file', 'ope*'],
            ['directory', 'd'],
            ['directory', 'ro'],
          ],
        ),
      ).toEqual([
        'secret\n',
        'x\n',
        'z\n',
        'f\n',
        'o\n',
        ['d/', 'd/l', 'd/shut/', 'd/shut/in/', 'd/shut/in/i', 'd/shut/w', 'd/y'],
        ['ro/', 'ro/z'],
      ]);
      expect(await scratch(run, 'stat -c %a ro ro/z')).toBe('555\n444\n');
    });

    it('never takes what it can not read for a store that is away', async () => {
      const run = newRun();
      await stage(run);
      await scratch(run, 'echo x > file');
      // As a file that belongs to another account.
      await transport.shell(
        'for each in lib/*/stage-out.sh; do cp $each saved; sed -i "s/^hold() {/hold() { return 2; }\\nunused() {/" $each; done',
      );
      try {
        expect(await outputs(run, [], [['file', 'file']])).toEqual(['unreadable: file could not be read:']);
        await transport.shell(
          'for each in lib/*/stage-out.sh; do cp saved $each; sed -i \'s/-T "$1"/-T "$1.gone"/\' $each; done',
        );
        expect(await outputs(run, [], [['file', 'file']])).toEqual(['unreadable: it could not be read']);
      } finally {
        await transport.shell('for each in lib/*/stage-out.sh; do mv saved $each; done');
      }
    });

    it.each([
      ['as it is', 'ln() { disturb; command ln "$@"; };'],
      ['where files have no hard links', 'ln() { return 1; }; dd() { disturb; command dd "$@"; };'],
    ])('uploads nothing that took the place of an output after it was looked at, %s', async (_, moments) => {
      const [victim, run] = [newRun(), newRun()];
      for (const each of [victim, run]) await stage(each);
      await scratch(victim, 'echo secret > file; mkdir sub; echo secret > sub/file');
      await scratch(run, "echo mine > file; mkdir sub folder; echo mine | tee sub/file folder/file 'a|&\\b'");
      await scratch(run, 'echo mine > .hidden; ln -s folder inner; mkfifo pipe');
      const { files } = transport;
      const upload = (kind: 'file' | 'directory', name: string) =>
        transport.machine.stageOut(run, [{ kind, name, url: files.url(`swapped ${name}`) }]);
      // What a process of the job may do at any moment is done at the worst one.
      const swap = `cd runs/${runToken(run)}/home && [ ! -e file.own ] && for each in file sub folder; do mv $each $each.own && command ln -s "../../${runToken(victim)}/home/$(basename $each | sed s/folder//)" $each; done`;
      const back = `cd runs/${runToken(run)}/home && for each in file sub folder; do rm $each && mv $each.own $each; done`;
      const hook = `work=$PWD; disturb() { [ -e "$work/undisturbed" ] || (command cd "$work" && ${swap}) >&2; }; ${moments}`;
      await transport.shell(
        `printf '%s\n' '${hook.replaceAll("'", `'\\''`)}' >hook; for each in lib/*/processes.sh; do cp $each saved; cat hook >>$each; done
         for each in lib/*/seen-paths.sh; do cp $each walked; sed -i 's|cd -P "./$part"|disturb; &|' $each; done`,
      );
      try {
        for (const [kind, name] of [
          ['file', 'file'],
          ['file', 'sub/file'],
          ['directory', 'folder'],
        ] as const) {
          expect(await upload(kind, name), name).toMatchObject([{ kind: 'failed' }]);
          await transport.shell(back);
        }
        expect([...files.files.keys()].filter((key) => key.startsWith('swapped'))).toEqual([]);
        await transport.shell(': >undisturbed');
        expect(await upload('file', 'pipe')).toMatchObject([{ kind: 'failed', cause: 'missing' }]);
        for (const name of ['file', 'sub/file', 'inner/file', 'a|&\\b']) {
          expect(await upload('file', name), name).toEqual([{ kind: 'uploaded', sizeBytes: 5 }]);
          expect(files.files.get(`swapped ${name}`)?.toString()).toBe('mine\n');
        }
        expect(await upload('directory', 'inner')).toMatchObject([{ kind: 'uploaded' }]);
        expect(await upload('directory', '.')).toMatchObject([{ kind: 'uploaded' }]);
        expect(members('swapped inner')).toEqual(['inner/', 'inner/file']);
        expect(members('swapped .')).toContain('./.hidden');
      } finally {
        for (const key of files.files.keys()) if (key.startsWith('swapped')) files.files.delete(key);
        await transport.shell(
          'rm -f undisturbed; for each in lib/*; do mv saved $each/processes.sh; mv walked $each/seen-paths.sh; done',
        );
      }
    });
  });
}

async function gzipped(content: Promise<Buffer>): Promise<Buffer> {
  return gzipSync(await content);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

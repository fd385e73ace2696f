/** Which processes of a machine are alive, as our scripts judge it. On this machine only: the others have no Python. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { localTransport, type Transport } from './transports.ts';

let transport: Transport;
beforeAll(async () => {
  transport = await localTransport();
});
afterAll(() => transport?.close());

it('takes a process for alive while any thread of it is, and a zombie for dead', async () => {
  // As a runtime that starts: its first thread has ended, and /proc calls the process a zombie.
  const threads =
    'import ctypes, threading, time; threading.Thread(target=time.sleep, args=(300,)).start(); ctypes.CDLL(None).pthread_exit(None)';
  // A parent that does not wait for its child.
  const zombie = 'import os, time; os.fork() or os._exit(0); time.sleep(300)';
  const seen = await transport.shell(
    `. lib/*/processes.sh
     is_zombie() { read -r line <"/proc/$1/stat" && set -- \${line##*) } && [ "$1" = Z ]; }
     # For a minute and more.
     is_early() { tries=$((tries + 1)); [ "$tries" -le 1500 ] && sleep 0.05; }
     python3 -c '${threads}' & one=$!
     python3 -c '${zombie}' & two=$!
     tries=0
     until is_zombie "$one" || ! is_early; do :; done
     dead=
     until is_zombie "$dead" || ! is_early; do read -r dead <"/proc/$two/task/$two/children"; done
     is_zombie "$one" && ticks_of "$one" && is_alive "$one" "$ticks" && echo one lives
     is_zombie "$dead" && ! ticks_of "$dead" && echo the other is dead
     kill -KILL "$one" "$two"`,
  );
  expect(seen).toBe('one lives\nthe other is dead\n');
});

it('takes a process for alive whose first thread is going while another one replaces it', async () => {
  // A moment too short to meet: told by files in place of /proc.
  const rest = `1 ${'7 '.repeat(17)}4242 0 0`;
  const seen = await transport.shell(
    `mkdir -p fake/7/task/7 fake/7/task/8 fake/9/task/9 && echo '7 (a b) X ${rest}' >fake/7/stat && echo '9 (c) Z ${rest}' >fake/9/stat
     sed 's|/proc/|fake/|g' lib/*/processes.sh >fake/processes.sh && . fake/processes.sh
     ticks_of 7 && echo "$ticks"; ticks_of 9 || echo over
     sed '/^class Container/,$d; s|/proc/|fake/|g' lib/*/engine.py >fake/engine.py
     echo 'print(stat_of("7")[19], stat_of("9"), stat_of("10"))' >>fake/engine.py
     python3 fake/engine.py; rm -r fake`,
  );
  expect(seen).toBe('4242\nover\n4242 None None\n');
});

it('knows how large a page of memory is, wherever the kernel tells it', async () => {
  const seen = await transport.shell(
    `mkdir -p fake/self && printf '%s kB\n' 'Size: 20' 'Rss: 12' 'Pss: 8' 'Swap: 0' 'KernelPageSize: 64' 'Size: 4' 'KernelPageSize: 2048' >fake/self/smaps
     . lib/*/processes.sh && page_size && [ "$page" = "$(($(getconf PAGESIZE) / 1024))" ] && echo same
     sed 's|/proc/|fake/|g' lib/*/processes.sh >fake/processes.sh && . fake/processes.sh && page_size && echo "$page"; rm -r fake`,
  );
  expect(seen).toBe('same\n64\n');
});

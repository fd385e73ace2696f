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

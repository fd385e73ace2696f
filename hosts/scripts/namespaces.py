"""Namespaces of a task's own, made by an ordinary user: its processes, and System V's shared memory and semaphores. So it
can't look into others' of the same account, and nothing that it makes outlives it.
"""
import os
import sys

# Of unshare, mount and prctl.
new_mounts, new_ipc, new_user, new_pids = 0x00020000, 0x08000000, 0x10000000, 0x20000000
recursive_private = 0x4000 | 0x40000
die_with_parent = 1
kill = 9


def enter(libc):
    """The next child is the first process of a PID namespace. Fails where the machine does not allow it."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(new_user | new_mounts | new_ipc | new_pids) != 0:
        raise OSError("no namespaces")
    for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (user, user)), ("gid_map", "%d %d 1" % (group, group))):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)


def see_own_processes(libc):
    """In the first process. Without it /proc would tell of others, under other numbers."""
    if libc.mount(b"none", b"/", None, recursive_private, None) != 0:
        raise OSError("no private mounts")
    if libc.mount(b"proc", b"/proc", b"proc", 0, None) != 0:
        raise OSError("no /proc of its own")


def ended(pid):
    """Exit code of a child, as a shell tells it."""
    status = os.waitpid(pid, 0)[1]
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def in_child(work):
    pid = os.fork()
    if pid:
        return ended(pid)
    try:
        work()
    except Exception:
        os._exit(1)
    os._exit(0)


def are_possible(libc):
    """Tried, since nothing tells it: what was entered can't be left."""

    def attempt():
        enter(libc)
        os._exit(in_child(lambda: see_own_processes(libc)))

    return in_child(attempt) == 0


def run_inside(libc, run):
    """In a child, whose exit code becomes that of this process."""
    enter(libc)
    pid = os.fork()
    if pid:
        os._exit(ended(pid))
    libc.prctl(die_with_parent, kill, 0, 0, 0)
    see_own_processes(libc)
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

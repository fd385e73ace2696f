"""Namespaces of a task's own, made by an ordinary user: its processes, System V's shared memory and semaphores, and the
files that it can name. So it can't look into others' of the same account, and nothing that it makes outlives it. proot
alone keeps nobody from anything: it translates paths, which another thread may exchange before the kernel reads them.
"""
import ctypes
import os
import re
import resource
import stat
import struct
import subprocess
import sys

# Of unshare, mount and prctl.
new_mounts, new_ipc, new_user, new_pids = 0x00020000, 0x08000000, 0x10000000, 0x20000000
read_only, no_setuid, no_devices, no_programs, remount, no_access_times, no_folder_times, bound, recursive, relative_times = (
    1, 2, 4, 8, 32, 1024, 2048, 4096, 0x4000, 0x200000)
recursive_private = recursive | 0x40000
flags_of = {
    "nosuid": no_setuid, "nodev": no_devices, "noexec": no_programs,
    "noatime": no_access_times, "nodiratime": no_folder_times, "relatime": relative_times,
}  # fmt: skip
detached = 2
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


def mount(libc, source, target, kind, flags, data=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if libc.mount(*words, flags, None if data is None else data.encode()) != 0:
        raise OSError(ctypes.get_errno(), "can not mount %s" % target)


def keep_the_rest(libc, writable):
    """In the first process: everything but these folders is read-only, and what stands in for a link can't change that."""
    for folder in writable:
        mount(libc, folder, folder, None, bound | recursive)
    with open("/proc/self/mountinfo") as file:
        lines = [line.split() for line in file]
    for fields in lines:
        where, kind = unescaped(fields[4]), fields[fields.index("-") + 1]
        if kind in ("proc", "sysfs", "devpts", "devtmpfs", "mqueue") or kind.startswith("cgroup"):
            continue
        # A storage whose server is gone lets whoever touches it wait.
        if kind.startswith("fuse") and where.startswith(os.getcwd() + "/"):
            continue
        if any((where + "/").startswith(folder + "/") for folder in writable):
            continue
        flags = read_only | remount | bound
        for word in fields[5].split(","):
            flags |= flags_of.get(word, 0)
        try:
            mount(libc, None, where, None, flags)
        except OSError:
            # It lies under another mount, or is somebody else's folder: only what we could write to matters.
            if os.access(where, os.W_OK) and not os.statvfs(where).f_flag & os.ST_RDONLY:
                raise


def unescaped(word):
    return word.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")


def held(path, folder):
    """A descriptor. Below the folder, which jobs write to, no link is followed."""
    flags = os.O_PATH | os.O_CLOEXEC
    if not (path + "/").startswith(folder + "/"):
        return os.open(path, flags)
    here = os.open(folder, flags)
    for part in path[len(folder) :].split("/"):
        if part:
            above, here = here, os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
            os.close(above)
            if stat.S_ISLNK(os.fstat(here).st_mode):
                raise OSError("%s is a link by now" % path)
    return here


def show_only(libc, work, seen, others, room):
    """Before a program of the container starts: it finds the paths `seen` where they are now, the pairs of `others` where
    they tell, and nothing else. `room` is an empty folder of its own in memory. Paths in the folder `work` hold no links."""
    if libc.unshare(new_mounts) != 0:
        raise OSError("no mounts of its own")
    mount(libc, "none", "/", None, recursive_private)
    # Opened here, for what is opened in another namespace can't be mounted in this one.
    sources = [(held(path, work), target) for path, target in [(path, path) for path in seen] + others]
    root = room
    mount(libc, "none", root, "tmpfs", no_setuid | no_devices, "size=8m,mode=755")
    os.makedirs(root + room)
    for file, target in sources:
        target = root + target
        if stat.S_ISDIR(os.fstat(file).st_mode):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.lexists(target):
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        mount(libc, "/proc/self/fd/%d" % file, target, None, bound | recursive)
        os.close(file)
    os.chdir(root)
    if libc.pivot_root(b".", b".") != 0 or libc.umount2(b".", detached) != 0:
        raise OSError("no root of its own")
    os.chdir("/")


def hold_to(number):
    """As many processes as there may be in this user namespace. Kernels before 5.14 would count all of the account's."""
    release = [int(digits) for digits in re.findall("[0-9]+", os.uname().release)[:2]]
    if release >= [5, 14]:
        resource.setrlimit(resource.RLIMIT_NPROC, (number, number))


def libraries_of(program):
    """What a program needs to start, its loader first; one that needs nothing is the rule."""
    with open(program, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return []
        order = "<" if head[5] == 1 else ">"
        (at,), (size, count) = struct.unpack_from(order + "Q", head, 32), struct.unpack_from(order + "HH", head, 54)
        file.seek(at)
        table = file.read(size * count)
        for entry in range(count):
            kind, _, offset, _, _, length = struct.unpack_from(order + "IIQQQQ", table, entry * size)
            if kind == 3:
                file.seek(offset)
                loader = os.fsdecode(file.read(length).rstrip(b"\0"))
                break
        else:
            return []
    told = subprocess.run([loader, "--list", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return [loader] + [word for word in os.fsdecode(told).split() if word.startswith("/")]


def run_inside(libc, writable, run):
    """In a child, whose exit code becomes that of this process."""
    enter(libc)
    pid = os.fork()
    if pid:
        os._exit(ended(pid))
    libc.prctl(die_with_parent, kill, 0, 0, 0)
    see_own_processes(libc)
    keep_the_rest(libc, writable)
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(0 if are_possible(ctypes.CDLL(None, use_errno=True)) else 1)

"""engine.py NAME OPTION... run OPTION... IMAGE [WORD...]

`podman run` or `docker run`, and the one who answers for its container: no other process of ours is related to it. The
words are those of the engine with its options; NAME begins the container's name. The container's processes are found by
the record containers/PID.TICKS that this process keeps, TERM makes it kill the container, and it ends when nothing of
the container is left. The environment of the task, which holds secrets, never stands on a command line: it comes in
variables called ENGINEENV_NAME.
"""
import ctypes
import os
import re
import signal
import subprocess
import sys
import time

subreaper = 36  # PR_SET_CHILD_SUBREAPER
prefix = "ENGINEENV_"
# A value like this is read the same by every engine from a file of variables.
plain = re.compile(r"[A-Za-z0-9_@%+=:,./ -]*[A-Za-z0-9_@%+=:,./-]")
# Others reach the container by way of the engine's own environment, but for these: it would heed them itself.
heeded = re.compile(
    r"(LD_|DOCKER|CONTAINER|PODMAN|BUILDAH|STORAGE|REGISTRY|XDG_|LIBPOD|NOTIFY|LISTEN|DBUS|SSL_|GO|GLIBC|MALLOC|LC_|"
    r"LANG|LOC|NLS|GCONV|RES_|HOSTALIASES|PYTHON|BASH|FUSE|DISABLE_|TMP|TEMP|_)|(ENV|IFS|SHELL|HOME|USER|PATH|PWD|TZ|TERM|.*_PROXY)$",
    re.IGNORECASE,
)
tick = os.sysconf("SC_CLK_TCK")


def fields_of(pid):
    try:
        with open("/proc/%s/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def stat_of(pid):
    """The fields after the name, the first being the state; nothing where there is no such process any more."""
    fields = fields_of(pid)
    return None if fields and fields[0] in "ZX" and is_over(pid) else fields


def is_over(pid):
    """No thread of it lives: as in processes.sh, the state alone does not tell."""
    try:
        threads = os.listdir("/proc/%s/task" % pid)
    except OSError:
        return True
    if len(threads) > 1:
        return False
    now = fields_of(pid)
    return now is None or now[0] == "Z"


def children(pid):
    found = []
    try:
        for thread in os.listdir("/proc/%s/task" % pid):
            with open("/proc/%s/task/%s/children" % (pid, thread)) as file:
                found += file.read().split()
    except OSError:
        pass
    return found


def cpu_seconds(pid):
    """Of a process, of those it waited for, and of all below it."""
    fields = stat_of(pid)
    own = sum(int(field) for field in fields[11:15]) / tick if fields else 0
    return own + sum(cpu_seconds(child) for child in children(pid))


def variables():
    """Options and the text of a file that give the container its environment."""
    options, lines = [], []
    for name in [name for name in os.environ if name.startswith(prefix)]:
        value, name = os.environ.pop(name), name[len(prefix) :]
        if value == "" or (plain.fullmatch(value) and len(value) < 30000):
            lines.append("%s=%s\n" % (name, value))
        elif heeded.match(name) or name in os.environ:
            if "\n" in value or len(value) >= 30000:
                sys.stderr.write("the variable %s can't have such a value with this machine's container engine\n" % name)
                sys.exit(255)
            lines.append("%s=%s\n" % (name, value))
        else:
            options.append((name, value))
    return options, "".join(lines)


class Container:
    def __init__(self, name, words):
        at = words.index("run")
        self.engine = words[:at]
        self.is_podman = os.path.basename(self.engine[0]) == "podman"
        self.pid = os.getpid()
        self.ticks = stat_of(self.pid)[19]
        self.record = "containers/%s.%s" % (self.pid, self.ticks)
        self.name = "%s-%s.%s" % (name, self.pid, self.ticks)
        self.pidfile = os.path.abspath("containers/.%s.%s.init" % (self.pid, self.ticks))
        self.init = self.init_ticks = None
        self.cpu = 0
        with open("/proc/sys/kernel/random/boot_id") as file:
            self.boot = file.read().strip()
        options, self.lines = variables()
        os.environ.update(options)
        named = ["--name=" + self.name, "--env-file=/dev/stdin"] + ["--env=" + each for each, _ in options]
        if self.is_podman:
            named.append("--pidfile=" + self.pidfile)
        self.words = words[: at + 1] + named + words[at + 1 :]
        self.hidden = [each for each, _ in options]

    def write_record(self):
        words = [os.path.basename(self.engine[0]), self.name, self.boot]
        if self.init:
            words += [self.init, self.init_ticks]
        part = "containers/.%s.%s.part" % (self.pid, self.ticks)
        with open(part, "w") as file:
            file.write(" ".join(words) + "\n")
        os.rename(part, self.record)

    def ask(self, *words):
        """What the engine says to a short question. None: it failed."""
        try:
            return subprocess.run(
                self.engine + list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=20,
                preexec_fn=unblocked,
            )
        except subprocess.TimeoutExpired:
            return None

    def look_for_init(self):
        if self.is_podman:
            try:
                with open(self.pidfile) as file:
                    pid = file.read().strip()
            except OSError:
                return
        else:
            answer = self.ask("inspect", "--format={{.State.Pid}}", self.name)
            pid = answer.stdout.decode().strip() if answer and answer.returncode == 0 else ""
        fields = stat_of(pid) if pid.isdigit() and pid != "0" else None
        # The number is another machine's, or of another time: nothing of ours may be taken for it.
        if not fields or int(fields[19]) < int(self.ticks) or not in_other_namespace(pid):
            return
        self.init, self.init_ticks = pid, fields[19]
        self.write_record()

    def is_running(self):
        fields = stat_of(self.init) if self.init else None
        return fields is not None and fields[19] == self.init_ticks

    def forget(self):
        for file in (self.pidfile, self.record):
            try:
                os.remove(file)
            except FileNotFoundError:
                pass

    def is_gone(self):
        """Has the engine remove what may be left of it."""
        removal = self.ask("rm", "-f", "-v", self.name)
        if removal is not None and removal.returncode == 0:
            return True
        answer = self.ask("ps", "-a", "--filter", "name=" + self.name, "--format", "{{.Names}}")
        return answer is not None and answer.returncode == 0 and self.name not in answer.stdout.decode().split()


def in_other_namespace(pid):
    try:
        return os.readlink("/proc/%s/ns/pid" % pid) != os.readlink("/proc/self/ns/pid")
    except OSError:
        return False


watched = {signal.SIGTERM, signal.SIGCHLD}


def unblocked():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)


def as_container():
    """What watches it comes before it. A daemon's containers are none of ours."""
    unblocked()
    os.nice(int(os.environ.pop("CONTAINER_NICENESS", "0")))


def reap(child):
    """Of all that ended, the status of the child, if it did."""
    status = None
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = code


def exit_code(status):
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main(name, words):
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    # podman's monitor becomes a child of this process: its end is awaited, and the task's time is counted.
    ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)
    container = Container(name, words)
    container.write_record()
    child = subprocess.Popen(container.words, stdin=subprocess.PIPE, preexec_fn=as_container)
    for each in container.hidden:
        del os.environ[each]
    try:
        child.stdin.write(container.lines.encode("utf-8", "surrogateescape"))
        child.stdin.close()
    except BrokenPipeError:
        pass
    status, ending, next_look, pause = None, False, 0, 0.02
    while status is None:
        if not container.init and time.monotonic() >= next_look:
            container.look_for_init()
            next_look = time.monotonic() + (0.02 if container.is_podman else 0.2)
        if container.is_running():
            if not container.is_podman:
                container.cpu = max(container.cpu, cpu_seconds(container.init))
            if ending:
                os.kill(int(container.init), signal.SIGKILL)
        got = signal.sigtimedwait(watched, (0.05 if ending else 0.5) if container.init else 0.02)
        ending = ending or (got is not None and got.si_signo == signal.SIGTERM)
        status = reap(child.pid)
    # podman's monitor tidies up after itself; a pause process of podman's may be a child too, and stays.
    patience = time.monotonic() + 5
    while time.monotonic() < patience and [pid for pid in children(container.pid) if is_monitor(pid)]:
        signal.sigtimedwait(watched, 0.05)
        reap(child.pid)
    code = exit_code(status)
    if container.cpu and "ENGINE_CPU_FILE" in os.environ:
        with open(os.environ["ENGINE_CPU_FILE"], "w") as file:
            file.write("0m%.3fs 0m0.000s\n" % container.cpu)
    # podman, ended by itself and well, has removed its container.
    if (container.is_podman and not ending and os.WIFEXITED(status) and code not in (125, 126, 127, 255)) or container.is_gone():
        container.forget()
    os._exit(code)


def is_monitor(pid):
    try:
        with open("/proc/%s/comm" % pid) as file:
            return file.read().strip() == "conmon"
    except OSError:
        return False


main(sys.argv[1], sys.argv[2:])

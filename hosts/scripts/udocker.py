"""udocker.py UDOCKER CONTAINER OPTION... -- [WORD...]

`udocker run` in this very process. So the environment of a task, which holds secrets, never stands on a command line: it
comes in variables called UDOCKERENV_NAME, and reaches the container as it is. Where the machine lets an ordinary user
have namespaces, the task sees no process and no file but its own. Elsewhere what it leaves behind as a daemon becomes a
child of this process, where its supervisor finds it.
"""
import ctypes
import os
import runpy
import subprocess
import sys

import namespaces

subreaper = 36  # PR_SET_CHILD_SUBREAPER
prefix = "UDOCKERENV_"
nothing = "prominence-empty-word"
# The engine tells of a command that a signal ended as if all were well; a shell tells. It lets the command end itself.
told = ["/bin/sh", "-c", 'trap : TERM INT HUP; "$@"; exit $?', "sh"]

program, container = sys.argv[1:3]
separator = sys.argv.index("--")
options, words = sys.argv[3:separator], sys.argv[separator + 1 :]
environment = {name[len(prefix) :]: value for name, value in os.environ.items() if name.startswith(prefix)}
for name in environment:
    del os.environ[prefix + name]


def call(command, *others, **named):
    """The start of the engine: udocker drops empty words, and changes values."""
    os.environ.update(environment)
    if confined:
        libraries = namespaces.libraries_of(command[0])
        named["preexec_fn"] = lambda: confine(command, libraries)
        named["close_fds"] = True
    return start(["" if word == nothing else word for word in command], *others, **named)


def confine(command, libraries):
    """proot, which is started, sees what it is told to show, and is no wall itself."""
    try:
        shown = [command[at + 1].partition(":") for at, word in enumerate(command) if word == "-b"]
        seen = [source for source, _, _ in shown] + [command[0], command[command.index("-r") + 1]] + libraries
        # What proot shows in a folder of the machine's takes the place there of what is the machine's.
        covered = [(source, target) for source, _, target in shown if target.startswith("/dev/")]
        namespaces.show_only(libc, work, sorted(set(seen), key=len), covered, room)
    except BaseException as error:
        os.write(2, ("the container could not be confined: %s\n" % error).encode())
        os._exit(255)


start, subprocess.call = subprocess.call, call
shell = os.path.join(os.environ["UDOCKER_CONTAINERS"], container, "ROOT/bin/sh")
if words and os.path.lexists(shell):
    words = told + words
options += ["--env=%s=%s" % pair for pair in environment.items()]
sys.argv = [program, "-q", "run", "--nobanner"] + options + [container] + [word or nothing for word in words]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(subreaper, 1, 0, 0, 0)
run = lambda: runpy.run_path(program, run_name="__main__")
work, room = os.getcwd(), os.environ["UDOCKER_TMP"]
confined = namespaces.are_possible(libc)
if confined:
    unpacked = os.path.dirname(os.environ["UDOCKER_CONTAINERS"])
    own = ["home", "tmp", "var-tmp", "shm"]
    namespaces.run_inside(libc, [unpacked] + [os.path.join(os.path.dirname(unpacked), name) for name in own], run)
else:
    run()

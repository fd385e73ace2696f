"""udocker.py UDOCKER CONTAINER OPTION... -- [WORD...]

`udocker run` in this very process. So the environment of a task, which holds secrets, never stands on a command line: it
comes in variables called UDOCKERENV_NAME, and reaches the container as it is. Where the machine lets an ordinary user
have namespaces, the task sees no process but its own. Elsewhere what it leaves behind as a daemon becomes a child of
this process, where its supervisor finds it.
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
    return start(["" if word == nothing else word for word in command], *others, **named)


start, subprocess.call = subprocess.call, call
shell = os.path.join(os.environ["UDOCKER_CONTAINERS"], container, "ROOT/bin/sh")
if words and os.path.lexists(shell):
    words = told + words
options += ["--env=%s=%s" % pair for pair in environment.items()]
sys.argv = [program, "-q", "run", "--nobanner"] + options + [container] + [word or nothing for word in words]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(subreaper, 1, 0, 0, 0)
run = lambda: runpy.run_path(program, run_name="__main__")
if namespaces.are_possible(libc):
    namespaces.run_inside(libc, run)
else:
    run()

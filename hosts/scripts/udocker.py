"""udocker.py UDOCKER CONTAINER OPTION... -- [WORD...]

`udocker run` in this very process. So the environment of a task, which holds secrets, never stands on a command line: it
comes in variables called UDOCKERENV_NAME, and reaches the container as it is. Where the machine lets an ordinary user
have namespaces, the task sees no process and no file but its own. Elsewhere what it leaves behind as a daemon becomes a
child of this process, where its supervisor finds it.
"""
import ctypes
import json
import os
import re
import runpy
import subprocess
import sys

import namespaces

subreaper = 36  # PR_SET_CHILD_SUBREAPER
prefix = "UDOCKERENV_"
kept = "PROMINENCE_ENV_"
nothing = "prominence-empty-word"
# The engine tells of a command that a signal ended as if all were well; a shell tells. It lets the command end itself.
trapping = 'trap : TERM INT HUP; "$@"; exit $?'
told = ["/bin/sh", "-c", trapping, "sh"]

program, container = sys.argv[1:3]
folder = os.path.join(os.environ["UDOCKER_CONTAINERS"], container)
separator = sys.argv.index("--")
options, words = sys.argv[3:separator], sys.argv[separator + 1 :]
niceness, most_processes = (int(os.environ.pop("CONTAINER_" + name)) for name in ("NICENESS", "PROCESSES"))
environment = {name[len(prefix) :]: value for name, value in os.environ.items() if name.startswith(prefix)}
for name in environment:
    del os.environ[prefix + name]


def of_image():
    """As the image has it: udocker takes the blanks off the ends of values. USER and HOME are told by others."""
    with open(os.path.join(folder, "container.json")) as file:
        described = json.load(file)
    entries = (described.get("config") or {}).get("Env") or []
    pairs = [entry.split("=", 1) for entry in entries if "=" in entry]
    return {name: value for name, value in pairs if name in os.environ and os.environ[name] == value.strip()}


def spoiled_by_shells():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "spoiled-names.sh")) as file:
        return re.search(r"^names_of_shells='([^']*)'", file.read(), re.MULTILINE).group(1).split()


def restoring(names):
    """For the beginning of `told`: a shell in between would spoil these, so they come under another name."""
    if not names:
        return ""
    for name in names:
        os.environ[kept + name] = os.environ.pop(name)
    words = ['%s="$%s%s"' % (name, kept, name) for name in names]
    return 'set -- env %s "$@"; unset %s; ' % (" ".join(words), " ".join(kept + name for name in names))


def call(command, *others, **named):
    """The start of the engine: udocker drops empty words, and changes values."""
    libraries = namespaces.libraries_of(command[0]) if confined else []
    given = dict(of_image(), **environment)
    os.environ.update(given)
    command = ["" if word == nothing else word for word in command]
    if words[: len(told)] == told:
        names = [name for name in spoiled_by_shells() if name in given]
        at = len(command) - len(words) + told.index(trapping)
        command[at] = restoring(names) + command[at]
    named["preexec_fn"] = lambda: become_container(command, libraries)
    named["close_fds"] = True
    return start(command, *others, **named)


def become_container(command, libraries):
    os.nice(niceness)
    if confined:
        confine(command, libraries)
        namespaces.hold_to(most_processes)


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
shell = os.path.join(folder, "ROOT/bin/sh")
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

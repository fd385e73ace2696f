# Names of variables that don't survive a shell on their way into a container. They travel as PROMINENCE_ENV_NAME, and a
# shell inside of the container, which is asked for only then, gives them back. Read by hosts/spoiled-names.ts and
# udocker.py too, so there is nothing here but these two texts.

# What shells set, drop or forbid, whatever they find in their environment (dash, busybox, bash).
names_of_shells='
IFS OPTIND OPTARG OPTERR PPID PWD OLDPWD SHLVL LINENO _ UID EUID GID EGID GROUPS RANDOM SRANDOM SECONDS HISTCMD FUNCNAME
PIPESTATUS DIRSTACK EPOCHSECONDS EPOCHREALTIME BASH BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS
BASH_COMMAND BASH_EXECUTION_STRING BASH_LINENO BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO BASH_VERSION SHELLOPTS
'
# Beside these, what Apptainer's own shell uses while it starts a container, or takes to mean something else (measured
# with 1.4.5, for all names that its scripts know).
names_of_apptainer='
key e __exported_env__ __singularity_cmd__ PROMPT_COMMAND PREPEND_PATH APPEND_PATH SINGULARITY_APPNAME SINGULARITY_SHELL
SINGULARITY_ENVIRONMENT APPTAINER_APPNAME APPTAINER_SHELL SING_USER_DEFINED_PATH SING_USER_DEFINED_PREPEND_PATH
SING_USER_DEFINED_APPEND_PATH
'

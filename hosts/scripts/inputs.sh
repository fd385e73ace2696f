# The inputs of a job, which come as a tar on stdin. Its last member says that it is whole: tar takes one that was cut
# between two members, by a caller who died, for complete. Sourced by the scripts that prepare a run.

# write_inputs SCRATCH
write_inputs() {
  tar -xpf - -C "$1" || return 1
  [ -e "$1/.prominence-inputs-end" ] || { echo 'the inputs were cut short' >&2; return 1; }
  rm -f "$1/.prominence-inputs-end"
}

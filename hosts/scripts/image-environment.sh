# The environment of an image that was made of a docker or OCI image. Apptainer keeps it in the SIF as the image has it,
# and writes a script from it, in which 1.4 evaluates dollars, leaves backslashes that were meant for quoting, and which
# can't be read at all where a value has a backquote. So a script of ours stands in its place. Sourced by container.sh.

# write_image_environment SIF: the script on stdout; nothing for an image that has no such environment. Its first two lines
# tell the names that are spoiled by the runtime's shell, and by any: they have another name while that runs.
write_image_environment() {
  objects=$("$runtime" sif list "$1" 2>/dev/null) || return 0
  list=
  for object in $(printf '%s\n' "$objects" | sed -n 's/^\([0-9][0-9]*\) *|.*|JSON\.Generic.*/\1/p'); do
    # A quote within a text of JSON is escaped, so this can only be the member itself.
    list=$("$runtime" sif dump "$object" "$1" | sed -n 's/.*[{,]"Env":\["\(.*\)/\1/p') || return 1
    [ -z "$list" ] || break
  done
  [ -n "$list" ] || return 0
  # An entry a line. `\a` stands for a backslash and `\q` for a quote, which are nothing in JSON: every quote that is left
  # is at the end of a text.
  entries=$(printf '%s\n' "$list" | LC_ALL=C sed 's/\\\\/\\a/g; s/\\"/\\q/g; s/"\].*//; s/","/\
/g')
  names=$(printf '%s\n' "$entries" | sed 's/=.*//')
  . "${0%/*}/spoiled-names.sh"
  of_apptainer=$(found_of "$names_of_apptainer") of_shells=$(found_of "$names_of_shells")
  printf '#%s\n' "$of_apptainer" "$of_shells"
  printf '%s\n' "$entries" | LC_ALL=C sed -n "$(entry_as_export)"
}

# found_of LIST: which of its names are in `names`.
found_of() {
  for name in $1; do
    case $newline$names$newline in *"$newline$name$newline"*) printf ' %s' "$name" ;; esac
  done
}

# entry_as_export: a program for sed. What the user gave wins; PATH is the image's until the runtime puts the user's in
# its place. Names that no shell can have are left out.
entry_as_export() {
  echo '/^[A-Za-z_][A-Za-z0-9_]*=/!d'
  for name in $of_apptainer $of_shells; do echo "s/^$name=/PROMINENCE_ENV_$name=/"; done
  echo "s/'/'\"'\"'/g"
  for code in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 38 60 62; do
    byte=$(printf "\\$(printf %o "$code")")
    case $code in 10) byte='\
' ;; 38) byte='\&' ;; esac
    printf 's/\\\\u00%02x/%s/g\n' "$code" "$byte"
    case $code in 8) short=b ;; 9) short=t ;; 10) short=n ;; 12) short=f ;; 13) short=r ;; *) continue ;; esac
    printf 's/\\\\%s/%s/g\n' "$short" "$byte"
  done
  printf 's/\\\\u2028/\342\200\250/g\ns/\\\\u2029/\342\200\251/g\n'
  cat <<'END'
s,\\/,/,g
s/\\q/"/g
s/\\a/\\/g
s/\([^=]*\)=\(.*\)/export \1='\2'/
/^export PATH=/!s/export \([^=]*\)/[ -n "${\1+x}" ] || &/
p
END
}

# Paths as the containers of a run see them: scratch is /home/user there, the run's own folder for it is /tmp, and what was
# bound of scratch is where it was bound. A link that the job made means what it means there. One that leads to anything
# else, as to a folder of the image, leads to nothing here: nobody follows it on the machine. The job may exchange folders
# for links at any moment, so each step is made where one stands. Sourced, after folders.sh, by who takes from a run.

bound= unlocking=

# bind SOURCE TARGET: containers have a folder of scratch at TARGET.
bind() { case $1$2 in *"$newline"*) ;; *) bound=$bound$1$newline$2$newline ;; esac; }

# from_scratch RUN_FOLDER, a real path: the walk begins in scratch. What follows says where it is: `at` is the path in
# the container, `inside` whether that is a folder of the run (where this shell stands, by its real path `here`), and
# `base` the name there of what is no folder.
from_scratch() {
  run_folder=$1 at=/home/user inside= base= rest= links=0 leads= obstacle=
  mounted && stand && inside=1
}

# mounted: sets `mount` to the folder of the run that containers have at `at`.
mounted() {
  case $at in
    /home/user) mount=home ;;
    /tmp) mount=tmp ;;
    *)
      case $newline$bound in *"$newline$at$newline"*) ;; *) return 1 ;; esac
      mount=
      while IFS= read -r source && IFS= read -r target; do
        [ "$target" != "$at" ] || { mount=home/$source; break; }
      done <<END
$bound
END
      [ -n "$mount" ]
      ;;
  esac
}

# stand: goes to `mount`.
stand() {
  [ -z "$unlocking" ] || [ -x "$run_folder/${mount%%/*}" ] || chmod u+rx "$run_folder/${mount%%/*}" 2>/dev/null
  # That goes step by step itself.
  rest_of_walk=$rest
  enter "$run_folder/${mount%%/*}" "${mount#"${mount%%/*}"}" || return 1
  rest=$rest_of_walk
  unlock_here
}

# unlock_here: a folder that its owner, our account, has no right to look into gets it, where that is wanted.
unlock_here() { [ -z "$unlocking" ] || [ -r . ] || chmod u+rx . 2>/dev/null || :; }

# walk PATH: goes on from here. Fails when that leads to nothing, or out of the run; `lost` says why.
walk() {
  rest=$1/
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in
      '' | .) continue ;;
      # What is above is found from the root anew: it need not be a folder of the run.
      ..) [ -z "$base" ] && rest=${at%/*}/$rest at= inside= || return 1 ;;
      *) [ -z "$base" ] && step || return 1 ;;
    esac
  done
  [ -n "$inside" ]
}

step() {
  at=$at/$part
  if mounted; then
    inside=
    stand || return 1
    inside=1
  elif [ -z "$inside" ]; then
    # Whatever that is, the machine's is another. There may be a folder of the run further down.
    return 0
  elif [ -L "./$part" ]; then
    links=$((links + 1))
    [ "$links" -le 40 ] || return 1
    leads=$(readlink -- "./$part" && echo .) || return 1
    leads=${leads%?.} && rest=$leads/$rest
    case $leads in /*) at= inside= ;; *) at=${at%/*} ;; esac
  elif [ -d "./$part" ]; then
    [ -z "$unlocking" ] || [ -x "./$part" ] || chmod u+rx "./$part" 2>/dev/null
    expected=$here/$part
    cd -P "./$part" 2>/dev/null || { obstacle='permission denied'; return 1; }
    here && [ "$here" = "$expected" ] && unlock_here
  elif [ -e "./$part" ]; then
    base=$part at=${at%/*}
  else
    [ -x . ] || obstacle='permission denied'
    return 1
  fi
}

# lost: says why the last walk failed, for people.
lost() {
  if [ "$links" -gt 40 ]; then
    echo ': it is a link that leads in a circle'
  elif [ -n "$obstacle" ]; then
    echo ": $obstacle"
  elif [ -n "$leads" ] && [ -z "$inside" ]; then
    echo ": it leads to $leads, which is not in the job's own folders"
  elif [ -n "$leads" ]; then
    echo ": it leads to $leads, where there is none"
  fi
}

# unlock: the same right for all that is in the folder that one stands in and belongs to our account. Each is gone to by
# itself, step by step.
unlock() {
  account=$(id -u)
  [ "$account" != 0 ] || return 0
  top=$here known=
  # Behind a folder that is opened there may be more.
  while :; do
    locked=$(find . -xdev ! -name . -user "$account" \( -type d ! -perm -500 -o -type f ! -perm -400 \) -print 2>/dev/null)
    [ "$locked" != "$known" ] || return 0
    known=$locked
    while IFS= read -r each; do
      # What might take its place now is given a right that our account may give itself at any time.
      (enter_above "$top" "$each" && [ ! -L "./$base" ] && chmod u+rX "./$base") 2>/dev/null
    done <<END
$locked
END
  done
}

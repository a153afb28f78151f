# Whether others than root could change what is installed, or what it is installed from.

# read_rights PATH: sets `uid`, and `writers` to who else may write there: nothing, `everybody` or `group GID`. Groups
# of the system are none of these: Debian's /usr/local is staff's, Ubuntu's /var/log is syslog's. People are in groups
# from 1000 on, and in some distributions in 100.
read_rights() {
  # shellcheck disable=SC2046 # three numbers
  set -- $(stat -Lc '%u %g %a' "$1")
  uid=$1 writers='' sticky=false
  case $3 in
  *[2367]) writers=everybody ;;
  *[2367]?) if [ "$2" -ge 1000 ] || [ "$2" -eq 100 ]; then writers="group $2"; fi ;;
  esac
  case $3 in [1357]???) sticky=true ;; esac
}

# check_way_to DIRECTORY USER: whether the user whose directory it is to be, and who may be created yet, gets there.
check_way_to() {
  way=$1
  [ ! -d "$way" ] || way=$(readlink -f "$way")
  way=${way%/*}
  while [ ! -d "${way:-/}" ]; do way=${way%/*}; done
  way=$(readlink -f "${way:-/}")
  while [ "$way" != / ]; do
    may_pass "$way" "$2" || fault "the user $2 can't pass $way, and $1 is to be $2's" "chmod 0755 $way"
    way=${way%/*}
    way=${way:-/}
  done
}

# may_pass DIRECTORY USER
may_pass() {
  # shellcheck disable=SC2046 # a number, a list of numbers, and three numbers
  set -- "$(id -u "$2" 2>/dev/null || true)" "$(id -G "$2" 2>/dev/null || true)" $(stat -c '%u %g %a' "$1")
  case $5 in *[1357]) return 0 ;; esac
  case "$5, $2 " in *[1357]?,*" $4 "*) return 0 ;; esac
  case $5 in *[1357]??) [ "$1" = "$3" ] ;; *) return 1 ;; esac
}

checked_directories=
# What mends it, where that is something else than a change of the directory.
directories_fix=
# With which options a directory is given back to root.
chown_options=
# Whether a directory such as /tmp, where others can't touch what is root's, may be above.
sticky_parents=false
# check_directories_to DIRECTORY [UID...]: itself, which may be one of these users', and all that it lies in, by its real
# path. Each is looked at once.
check_directories_to() {
  directory=$(readlink -f "$1") sticky_allowed=false
  shift
  while :; do
    case "$checked_directories " in *" $directory "*) return 0 ;; esac
    checked_directories="$checked_directories $directory"
    read_rights "$directory"
    case " 0 $* " in
    *" $uid "*) ;;
    *)
      fault "$directory belongs to user $uid, who could change what is in it" \
        "${directories_fix:-look at what is in it, then: chown ${chown_options:+$chown_options }root:root $directory}"
      ;;
    esac
    if [ -n "$writers" ] && ! { $sticky_allowed && $sticky; }; then
      fault "$writers may write to $directory, and so change what is in it" \
        "${directories_fix:-look at what is in it, then: chmod go-w $directory}"
    fi
    sticky_allowed=$sticky_parents
    [ "$directory" != / ] || return 0
    directory=${directory%/*}
    directory=${directory:-/}
  done
}

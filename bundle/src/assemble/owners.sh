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

checked_directories=
# What mends it, where that is something else than a change of the directory.
directories_fix=
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
        "${directories_fix:-look at what is in it, then: chown root:root $directory}"
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

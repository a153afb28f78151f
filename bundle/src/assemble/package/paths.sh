# What dpkg would not look at. The settings are the caller's to make: paths, users.

# Files that no package owns are somebody's.
check_unowned_files() {
  there=
  for path in $paths; do
    if exists "/$path"; then there="$there /$path"; fi
  done
  [ -n "$there" ] || return 0
  # shellcheck disable=SC2086 # a list of paths
  owned=$(dpkg-query --search $there 2>/dev/null || true)
  for path in $there; do
    case "$owned
" in
    *": $path
"*) ;;
    *) fault "$path is in the way: no package put it there" "move it away" ;;
    esac
  done
}

# Whoever may write to a directory can change what is in it. The users that units run as have directories of their own.
check_package_directories() {
  own_uids=
  for user in $users; do
    own_uids="$own_uids $(id -u "${user%%:*}" 2>/dev/null || true)"
  done
  for path in $paths; do
    parent=/${path%/*}
    while [ ! -d "$parent" ]; do
      parent=${parent%/*}
      parent=${parent:-/}
    done
    # shellcheck disable=SC2086 # a list of numbers
    check_directories_to "$parent" $own_uids
  done
}

# Files that no package owns are somebody's.
check_paths() {
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

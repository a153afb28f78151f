# Removing what was installed, by what installations wrote down.

# collect_installed: units (last first), paths, and the directories that units write to.
collect_installed() {
  units='' paths='' state_directories='' logs='' data=''
  for record in $(records); do
    for unit in $(setting "$record" units); do
      case " $units " in *" $unit "*) ;; *) units="$unit $units" ;; esac
    done
    while read -r _ sum path _; do
      [ "$sum" != - ] || continue
      case " $paths " in *" $path "*) ;; *) paths="$paths $path" ;; esac
    done <"$record/FILES"
    state_directories="$state_directories $(setting "$record" state)" logs="$logs $(setting "$record" logs)"
  done
  [ ! -f "$state/data" ] || data=$(cat "$state/data")
}

describe_removal() {
  for unit in $units; do say "would stop and disable $unit"; done
  for path in $paths; do say "would remove /$path"; done
  for directory in $state_directories; do is_data "$directory" || say "would remove /$directory"; done
  for directory in $logs $data; do
    if [ "$action" = purge ]; then
      ! exists "/$directory" || say "would remove /$directory"
    else
      ! holds_files "$directory" || say "would keep /$directory"
    fi
  done
}

# An installation that was killed before it had written down anything has placed nothing.
remove_leftovers() {
  if [ ! -d "$state" ] || [ -d "$state/package" ]; then
    fault "nothing is installed here" "there is nothing to do"
    give_up_on_faults
  fi
  if $dry_run; then
    say "would remove $state"
    return
  fi
  take_lock
  rm -rf "$state"
  say "Removed what an interrupted installation left: $state"
}

uninstall_bundle() {
  [ "$(id -u)" -eq 0 ] || {
    fault "only root can remove" "run it with sudo"
    give_up_on_faults
  }
  if [ -z "$(records)" ]; then
    remove_leftovers
    return
  fi
  collect_installed
  $force || for unit in $units; do check_removal "$unit"; done
  give_up_on_faults
  if $dry_run; then
    describe_removal
    return
  fi
  take_lock
  trap interrupted EXIT
  for unit in $units; do
    systemctl --quiet disable --now "$unit" 2>/dev/null || true
  done
  for unit in $units; do clean_up "$unit"; done
  for path in $paths; do
    remove_file "$path"
  done
  put_back_foreign
  remove_directories
  restore_directory_rights
  remove_created_directories is_data
  rm -rf "$state" "$pending_restarts"
  systemctl daemon-reload
  # shellcheck disable=SC2086 # a list of units
  systemctl --quiet reset-failed $units 2>/dev/null || true
  restart_foreign_units
  rm -f "$lock"
  trap - EXIT
  say "Removed."
}

remove_file() {
  rm -f "/$1$new"
  if [ -d "/$1" ] && [ ! -L "/$1" ]; then
    warn "/$1 is a directory now; it stays"
    return
  fi
  exists "/$1" || return 0
  if has_line "$state/foreign" "/$1" && is_kept_copy "/$1"; then return 0; fi
  if ! is_as_we_left_it "$1"; then
    put_aside "/$1"
  fi
  rm -f "/$1"
}

foreign_units=
put_back_foreign() {
  [ -f "$state/foreign" ] || return 0
  while IFS= read -r target; do
    if exists "$state/replaced$target" && ! { exists "$target" && is_kept_copy "$target"; }; then
      copy "$state/replaced$target" "$target"
      say "Put back: $target"
    fi
  done <"$state/foreign"
  [ ! -f "$state/foreign-units" ] || foreign_units=$(cat "$state/foreign-units")
}

restart_foreign_units() {
  printf '%s\n' "$foreign_units" | while read -r unit enabled active; do
    [ "$enabled" != enabled ] || systemctl --quiet enable "$unit" || true
    [ "$active" != active ] || systemctl start --no-block "$unit" || true
  done
}

# is_data DIRECTORY: whether it is, or holds, a directory of data.
is_data() {
  [ "$action" != purge ] || return 1
  for kept in $data; do
    case $kept/ in "$1"/*) return 0 ;; esac
  done
  return 1
}

# has_mounts_below DIRECTORY: what is mounted there may be anybody's, on another machine even.
has_mounts_below() {
  below=$(readlink -f "$1" || true)
  while read -r _ target _; do
    case $target in "$below"/*) return 0 ;; esac
  done </proc/mounts
  return 1
}

remove_directories() {
  for directory in $state_directories; do
    if is_data "$directory"; then
      continue
    elif has_mounts_below "/$directory"; then
      warn "something is mounted below /$directory, so it stays: unmount it, then remove the directory"
    else
      # A mount point itself stays.
      rm -rf "/${directory:?}" || warn "/$directory could not be removed"
    fi
  done
  for directory in $logs; do
    if [ "$action" = purge ]; then
      rm -rf "/${directory:?}"
    elif holds_files "$directory"; then
      say "Kept: /$directory"
    fi
  done
  for directory in $data; do
    [ -d "/$directory" ] || continue
    if [ "$action" = purge ]; then
      say "Removing the data in /$directory, $(du -sh "/$directory" | { read -r size _ && printf '%s' "$size"; })"
      # A mount point stays.
      rm -rf "/${directory:?}" || warn "not all of /$directory could be removed"
    elif holds_files "$directory"; then
      say "Kept: /$directory, which holds data"
    else
      forget_empty_data "$directory"
    fi
  done
}

# Of directories that were there before, and stay.
restore_directory_rights() {
  if [ -f "$state/modes" ]; then
    while read -r mode path; do
      [ ! -d "/$path" ] || chmod "$mode" "/$path"
    done <"$state/modes"
  fi
  [ -f "$state/owners" ] || return 0
  while read -r owner path; do
    [ ! -d "/$path" ] || is_data "$path" || chown "$owner" "/$path"
  done <"$state/owners"
}

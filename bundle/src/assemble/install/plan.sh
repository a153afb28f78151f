# What there is to do: compared with what is on the machine, and with what earlier installations wrote down.

# records: where installations of ours, done or interrupted, are written down.
records() {
  # In a subshell, which alone takes `*` for a pattern.
  (
    set +f
    for record in "$state/installed" "$state"/pending-*; do
      [ ! -f "$record/FILES" ] || printf '%s\n' "$record"
    done
  )
}

# digests_of PATH: those under which installations of ours wrote it down; nothing for a path that isn't ours.
digests_of() {
  for record in $(records); do
    while read -r _ sum path _; do
      [ "$path" != "$1" ] || printf '%s\n' "$sum"
    done <"$record/FILES"
  done
}

# is_as_we_left_it PATH
is_as_we_left_it() {
  is=$(content_of "/$1")
  [ "$is" != - ] || return 1
  for was in $(digests_of "$1"); do
    [ "$is" != "$was" ] || return 0
  done
  return 1
}

# listed RECORD PATH
listed() {
  while read -r _ _ path_listed _; do
    [ "$path_listed" != "$2" ] || return 0
  done <"$1/FILES"
  return 1
}

# ids_of [OWNER:GROUP]: in numbers, since a user may be called anything on this machine.
ids_of() {
  if [ -z "$1" ]; then
    printf 0:0
  else
    printf '%s:%s' "$(id -u "${1%%:*}" 2>/dev/null || true)" "$(group_id "${1#*:}")"
  fi
}

# is_current MODE SUM PATH [OWNER:GROUP]: whether the file or link is there already, just so.
is_current() {
  [ "$(content_of "/$3")" = "$2" ] || return 1
  [ -L "/$3" ] || [ "$(stat -c '0%a %u:%g' "/$3")" = "$1 $(ids_of "$4")" ]
}

changed='' foreign='' obsolete='' dropped=''
compute_changes() {
  while read -r mode sum path owner; do
    [ "$sum" != - ] || continue
    is_current "$mode" "$sum" "$path" "$owner" || changed="$changed /$path"
    if exists "/$path" && [ ! -d "/$path" ] && [ -z "$(digests_of "$path")" ]; then foreign="$foreign /$path"; fi
  done <"$lists/FILES"
  for record in $(records); do
    while read -r _ sum path _; do
      if [ "$sum" != - ] && exists "/$path" && ! listed "$lists" "$path"; then obsolete="$obsolete /$path"; fi
    done <"$record/FILES"
    for unit in $(setting "$record" units); do
      case " $units $dropped " in *" $unit "*) ;; *) dropped="$dropped $unit" ;; esac
    done
  done
}

describe_changes() {
  for user in $(missing_users); do say "would create the system user ${user%%:*}"; done
  if $verbose; then describe_files; else count_files; fi
  for unit in $dropped; do say "would stop and disable $unit"; done
  for unit in $(units_to_start); do say "would start $unit"; done
  for unit in $(units_to_restart); do say "would restart $unit"; done
  $start || say "would start no unit before the next boot"
  [ -n "$changed$dropped$obsolete" ] || say "No file to change: $node of cluster $cluster is installed as it is here."
}

describe_files() {
  for target in $changed; do
    if exists "$target"; then say "would replace $target"; else say "would install $target"; fi
  done
  for target in $obsolete; do say "would remove $target"; done
}

count_files() {
  missing_files=0 other_files=0 old_files=0
  for target in $changed; do
    if exists "$target"; then other_files=$((other_files + 1)); else missing_files=$((missing_files + 1)); fi
  done
  for target in $obsolete; do old_files=$((old_files + 1)); done
  [ -z "$changed$obsolete" ] ||
    say "would install $missing_files files, replace $other_files, remove $old_files (--verbose lists them)"
}

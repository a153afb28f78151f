# Changing the machine: until the first new file is moved to its place, everything can be taken back; from then on, another
# run completes it.

take_lock() {
  until ln -s "$$-$(started_at $$)" "$lock" 2>/dev/null; do
    if lock_is_held; then
      fault "process ${holder%-*} is installing or removing already" "wait for it"
    elif [ -z "$holder" ]; then
      fault "$lock can't be made" "look at /run: is it full?"
    fi
    give_up_on_faults
    rm -f "$lock"
  done
  has_lock=true
  leave_at_end
}

# leave: lets go of what this script holds.
has_lock=false
leave() {
  ! $has_lock || rm -f "$lock"
  has_lock=false
  forget_secrets
}

leave_at_end() {
  trap leave EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

interrupted() {
  leave
  printf 'error: stopped half-way.\n  fix: run it again\n' >&2
  exit 70
}

# note FILE LINE: adds it once.
note() { has_line "$1" "$2" || printf '%s\n' "$2" >>"$1"; }

# A name that is moved to its place may outlive a power cut without its bytes, so these are on the disk before: `sync`.

# copy FROM TO: the whole of it, or nothing; never through a link.
copy() {
  mkdir -p "${2%/*}"
  rm -rf "$2$new"
  cp -a "$1" "$2$new"
  sync
  mv -fT "$2$new" "$2"
}

# put_aside FILE: keeps a file that a person changed, under a name that nothing has.
put_aside() {
  aside=$1.saved
  number=0
  while exists "$aside"; do
    number=$((number + 1))
    aside=$1.saved.$number
  done
  copy "$1" "$aside"
  say "$1 was changed by hand; the changed file stays as $aside"
}

# Before anything is written down as ours: what others put there is kept, once and for good.
keep_foreign() {
  for target in $foreign; do
    exists "$state/replaced$target" || copy "$target" "$state/replaced$target"
    note "$state/foreign" "$target"
    case $target in
    /etc/systemd/system/*.service)
      unit=${target##*/}
      note "$state/foreign-units" "$unit $(systemctl is-enabled "$unit" 2>/dev/null || true) $(active_state "$unit")"
      ;;
    esac
  done
}

# write_record DIRECTORY: this bundle's lists, whole or not at all.
write_record() {
  rm -rf "$1.new"
  mkdir -p "$1.new"
  cp "$here/SHA256SUMS" "$here/TRIGGERS" "$here/bundle.conf" "$1.new/"
  install -m 0700 "$here/install.sh" "$1.new/install.sh"
  # With FILES in it, it counts as a record.
  cp "$lists/FILES" "$1.new/FILES$new"
  sync
  mv "$1.new" "$1"
  mv "$1/FILES$new" "$1/FILES"
  for directory in $data; do
    note "$state/data" "$directory"
  done
}

# Every new file lies beside its place, on the disk, before the first one is moved there: a full disk changes nothing.
place_new_files() {
  made=
  while read -r mode sum path owner; do
    if [ "$sum" = - ]; then
      place_directory "$mode" "$path" "$owner"
    else
      case " $changed " in *" /$path "*) place_file "$mode" "$sum" "$path" "$owner" ;; esac
    fi
  done <"$lists/FILES"
  sync
}

# place_directory MODE PATH [OWNER:GROUP]
place_directory() {
  if [ ! -d "/$2" ]; then
    mkdir -m "$1" "/$2"
    made="/$2 $made"
    note "$state/created" "$2"
    [ -z "$3" ] || chown "$3" "/$2"
  fi
}

# place_file MODE SUM PATH [OWNER:GROUP]: the copy is compared, so what is installed is what was checked.
place_file() {
  rm -f "/$3$new"
  case $2 in
  '->'*) ln -s "${2#??}" "/$3$new" ;;
  *)
    owner_placed=${4:-0:0}
    from=$(source_of "$3")
    install -m "$1" -o "${owner_placed%%:*}" -g "${owner_placed#*:}" "$from" "/$3$new"
    [ "$(digest "/$3$new")" = "$2" ] || {
      printf 'error: %s has changed since it was checked\n  fix: %s\n' "$from" \
        "see who else writes there, and unpack the archive again" >&2
      exit 1
    }
    ;;
  esac
}

# Directories that were there before: those that hold keys now are closed, those of a user are given to it; what they
# were is written down.
set_directory_rights() {
  while read -r mode sum path owner; do
    [ "$sum" = - ] || continue
    if [ "$mode" = 0700 ] && [ "$(stat -c %a "/$path")" != 700 ]; then
      has_line "$state/created" "$path" || note "$state/modes" "$(stat -c %a "/$path") $path"
      chmod 0700 "/$path"
    fi
    if [ -n "$owner" ] && [ "$(stat -c %u:%g "/$path")" != "$(ids_of "$owner")" ]; then
      has_line "$state/created" "$path" || note "$state/owners" "$(stat -c %u:%g "/$path") $path"
      give "$path" "$owner"
    fi
  done <"$lists/FILES"
}

undo_placing() {
  for target in $changed; do
    rm -f "$target$new"
  done
  # Newest first, so that the inner ones go before the outer ones.
  for directory in $made; do
    rmdir "$directory" 2>/dev/null || true
  done
  if [ -z "$had_record" ]; then rm -rf "$state"; else rm -rf "$pending" "$pending.new"; fi
}

# save_replaced TARGET: keeps what stands where a new file goes. Ours, as we left it, goes to previous/, by a link where
# it can; ours, changed by hand, stays beside it.
save_replaced() {
  exists "$1" || return 0
  if has_line "$state/foreign" "$1" && ! is_as_we_left_it "${1#/}" && is_kept_copy "$1"; then
    return 0
  elif is_as_we_left_it "${1#/}"; then
    mkdir -p "$state/previous${1%/*}"
    ln -f "$1" "$state/previous$1" 2>/dev/null || cp -a "$1" "$state/previous$1" || rm -f "$state/previous$1"
  else
    put_aside "$1"
  fi
}

# is_kept_copy TARGET: whether it is still the foreign file that is kept.
is_kept_copy() {
  if [ -L "$1" ] || [ -L "$state/replaced$1" ]; then
    [ "$(readlink "$1" 2>/dev/null)" = "$(readlink "$state/replaced$1" 2>/dev/null)" ]
  else
    [ -f "$1" ] && [ "$(digest "$1")" = "$(digest "$state/replaced$1")" ]
  fi
}

commit() {
  for target in $changed $obsolete; do
    printf '%s\n' "$target" >>"$pending_restarts"
  done
  for unit in $dropped; do
    say "Stopping $unit, which this bundle no longer has"
    systemctl --quiet disable --now "$unit" || warn "$unit could not be stopped"
  done
  for unit in $dropped; do clean_up "$unit"; done
  set_directory_rights
  [ -z "$changed$obsolete" ] || rm -rf "$state/previous"
  for target in $changed; do
    save_replaced "$target"
    mv -fT "$target$new" "$target"
  done
  for target in $obsolete; do
    save_replaced "$target"
    rm -f "$target"
  done
  # Before this counts as installed: who is stopped earlier is told to run it again.
  systemctl daemon-reload
  # shellcheck disable=SC2086 # a list of units
  systemctl --quiet enable $units
  [ ! -d "$state/installed" ] || mv "$state/installed" "$state/pending-before-$$"
  mv "$pending" "$state/installed"
  set +f
  rm -rf "$state"/pending-*
  set -f
  # Directories that no bundle wants any more.
  remove_created_directories is_wanted_here
  sync
}

is_wanted_here() { listed "$lists" "$1" || has_line "$state/data" "$1"; }

# remove_created_directories KEEP: deepest first, and only empty ones; what somebody put there stays, and what KEEP
# says yes to.
remove_created_directories() {
  [ -f "$state/created" ] || return 0
  sort -ru "$state/created" | while IFS= read -r directory; do
    "$1" "$directory" || rmdir "/$directory" 2>/dev/null || true
  done
}

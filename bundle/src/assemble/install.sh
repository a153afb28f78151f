#!/bin/sh
# Installs the files beside this script on this machine, or removes them again.
# Needs a POSIX shell, coreutils and systemd. Nothing is changed before every check has passed.
set -eu
umask 077
unset CDPATH
export LC_ALL=C

# /var/lib/kube-bundle holds
#   package/     what a Debian package has installed; then this script refuses to
#   installed/   what is installed: FILES, SHA256SUMS, bundle.conf, install.sh
#   pending-*/   the same of installations that are under way, or were interrupted
#   previous/    our own files that the last installation replaced
#   replaced/    files of others that we replaced; foreign lists them, foreign-units what their units did
#   created      directories that we made; modes: "MODE PATH" of directories that we closed
state=/var/lib/kube-bundle
new=.kube-bundle-new
# What has changed since this boot and no unit was restarted for yet.
owed=/run/kube-bundle.owed
lock=/run/kube-bundle.lock

here=$(dirname "$(readlink -f "$0")")
action=install
dry_run=false
replace=false
start=true
no_start=--no-start
wait=90

usage() {
  cat <<END
Usage: $0 [OPTION]...
Installs the control plane that this directory holds.

  --dry-run        check everything, say what would be done, change nothing
  --replace        install over files that something else put there; they are kept
                   in $state/replaced and put back on removal
  --no-start       enable the units, and leave starting them to the next boot
  --wait SECONDS   how long to wait for the units (default: $wait)
  --uninstall      remove what was installed; logs and changed files stay
  --purge          remove what was installed, and its logs
  --help           this text

Exit status: 0 done; 1 a check failed, nothing was changed; 2 wrong usage;
70, 129, 130, 143 stopped half-way, run it again; 75 installed, but not every unit stays up yet.
END
}

#include common.sh

#include records.sh

#include units.sh

# note FILE LINE: adds it once.
note() { has_line "$1" "$2" || printf '%s\n' "$2" >>"$1"; }

# records: where installations of ours, done or interrupted, are written down.
records() {
  for record in "$state/installed" "$state"/pending-*; do
    [ ! -f "$record/FILES" ] || printf '%s\n' "$record"
  done
}

# digests_of PATH: those under which installations of ours wrote it down; nothing for a path that isn't ours.
digests_of() {
  for record in $(records); do
    while read -r _ sum path; do
      [ "$path" != "$1" ] || printf '%s\n' "$sum"
    done <"$record/FILES"
  done
}

# is_as_we_left_it PATH
is_as_we_left_it() {
  [ -f "/$1" ] && [ ! -L "/$1" ] || return 1
  is=$(digest "/$1")
  for was in $(digests_of "$1"); do
    [ "$is" != "$was" ] || return 0
  done
  return 1
}

# listed RECORD PATH
listed() {
  while read -r _ _ path_listed; do
    [ "$path_listed" != "$2" ] || return 0
  done <"$1/FILES"
  return 1
}

# --- Checks -------------------------------------------------------------------

check_integrity() {
  damaged=
  while read -r sum name; do
    if [ ! -f "$here/$name" ]; then
      damaged="$damaged  $name: missing
"
    elif [ "$(digest "$here/$name")" != "$sum" ]; then
      damaged="$damaged  $name: changed
"
    fi
  done <"$here/SHA256SUMS"
  while read -r _ sum path; do
    [ "$sum" = - ] || has_line "$here/SHA256SUMS" "$sum  root/$path" || damaged="$damaged  root/$path: without a checksum
"
  done <"$here/FILES"
  [ -z "$damaged" ] || {
    printf '%s' "$damaged" >&2
    fault "this bundle is damaged; the lines above name the files" \
      "copy the archive again, compare it with SHA256SUMS of the bundle, and unpack it into an empty directory"
    give_up_on_faults
  }
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fault "only root can install" "run it with sudo"
  [ -d /run/systemd/system ] || fault "this machine was not booted with systemd" "install on a machine that runs systemd"
  [ "$(uname -m)" = x86_64 ] || fault "this machine is $(uname -m), and the programs are for x86_64" "install on an x86-64 machine"
}

check_identity() {
  if [ -f "$state/package/bundle.conf" ]; then
    package="$(setting "$state/package" cluster)-$(setting "$state/package" node)"
    fault "the package $package has installed a control plane here, and units of an archive would hide its own" \
      "install the packages of this bundle, or run \`apt-get purge $package\` first; etcd keeps the cluster's objects"
  else
    check_packages
  fi
  for record in $(records); do
    was="$(setting "$record" node) of cluster $(setting "$record" cluster)"
    [ "$was" = "$node of cluster $cluster" ] || {
      fault "this machine is $was, and the bundle is for $node of cluster $cluster" \
        "install this machine's own bundle, or run $record/install.sh --uninstall first"
      return
    }
  done
}

# What a package owns it may replace or remove at any time, its configuration even after its own removal.
check_packages() {
  command -v dpkg-query >/dev/null || return 0
  there=
  while read -r _ sum path; do
    if [ "$sum" != - ] && exists "/$path"; then there="$there /$path"; fi
  done <"$here/FILES"
  [ -n "$there" ] || return 0
  # shellcheck disable=SC2086 # a list of paths
  owned=$(dpkg-query --search $there 2>/dev/null || true)
  [ -z "$owned" ] || fault "this belongs to the package ${owned%%:*}: ${owned#*: }" "purge it first: apt-get purge ${owned%%:*}"
}

#include checks.sh

check_paths() {
  while read -r _ sum path; do
    target=/$path
    if [ "$sum" = - ]; then
      check_directory "$target"
    elif [ -d "$target" ] && [ ! -L "$target" ]; then
      fault "$target is in the way: it is a directory" "move it away"
    elif exists "$target" && [ -z "$(digests_of "$path")" ] && ! $replace; then
      if [ -L "$target" ] || [ "$(digest "$target")" != "$sum" ]; then
        fault "$target is in the way: this bundle did not put it there" \
          "move it away, or install with --replace, which keeps it in $state/replaced"
      fi
    fi
  done <"$here/FILES"
}

check_directory() {
  if exists "$1" && [ ! -d "$1" ]; then
    fault "$1 is in the way: a directory is wanted there" "move it away"
  elif [ -d "$1" ] && [ "$(stat -Lc %u "$1")" != 0 ]; then
    fault "$1 belongs to another user, who could change what is in it" "chown root:root $1"
  fi
}

# need PATH BYTES: adds up what each file system is to take, by the directory that PATH lies in, since PATH itself may
# be a link to anywhere. Device numbers name the variables.
devices=
need() {
  place=${1%/*}
  while [ ! -e "$place" ]; do place=${place%/*}; done
  place=${place:-/}
  device=$(stat -Lc %d "$place")
  case " $devices " in *" $device "*) ;; *) devices="$devices $device" ;; esac
  eval "where_$device=\$place need_$device=\$((\${need_$device:-0} + $2))"
}

check_space() {
  need "$state" 1048576
  for target in $changed; do
    need "$target" "$(stat -c %s "$here/root$target")"
  done
  for target in $foreign; do
    need "$state" "$(stat -Lc %s "$target" 2>/dev/null || printf 0)"
  done
  for device in $devices; do
    bytes=0
    eval "bytes=\$need_$device place=\$where_$device"
    want=$((bytes / 1024 + 4096))
    free=$(df -Pk "$place" | { read -r _ && read -r _ _ _ free _ && printf '%s' "$free"; })
    [ "$free" -ge "$want" ] ||
      fault "$place has $((free / 1024)) MB free, and $((want / 1024)) MB are needed" "make room there"
  done
}

# --- What there is to do ------------------------------------------------------

# is_current MODE SUM PATH: whether the file is there already, just so.
is_current() {
  [ -f "/$3" ] && [ ! -L "/$3" ] && [ "$(stat -c '0%a %u %g' "/$3")" = "$1 0 0" ] && [ "$(digest "/$3")" = "$2" ]
}

changed='' foreign='' obsolete='' dropped=''
survey() {
  while read -r mode sum path; do
    [ "$sum" != - ] || continue
    is_current "$mode" "$sum" "$path" || changed="$changed /$path"
    if exists "/$path" && [ ! -d "/$path" ] && [ -z "$(digests_of "$path")" ]; then foreign="$foreign /$path"; fi
  done <"$here/FILES"
  for record in $(records); do
    while read -r _ sum path; do
      if [ "$sum" != - ] && exists "/$path" && ! listed "$here" "$path"; then obsolete="$obsolete /$path"; fi
    done <"$record/FILES"
    for unit in $(setting "$record" units); do
      case " $units $dropped " in *" $unit "*) ;; *) dropped="$dropped $unit" ;; esac
    done
  done
}

describe() {
  for target in $changed; do
    if exists "$target"; then say "would replace $target"; else say "would install $target"; fi
  done
  for unit in $dropped; do say "would stop and disable $unit"; done
  for target in $obsolete; do say "would remove $target"; done
  [ -n "$changed$dropped$obsolete" ] || say "Nothing to do: $node of cluster $cluster is installed as it is here."
}

# --- Installing ---------------------------------------------------------------

# started_at PID: in clock ticks since the machine was booted (proc(5), stat); nothing if there is no such process.
started_at() {
  { read -r process <"/proc/$1/stat"; } 2>/dev/null || return 0
  # The name, which stands in parentheses, may hold anything.
  # shellcheck disable=SC2086 # fields
  set -- ${process##*) }
  printf '%s' "${20}"
}

# The lock is a link that names its holder, made in one step: "PID-START", since a number alone may have come round.
take_lock() {
  until ln -s "$$-$(started_at $$)" "$lock" 2>/dev/null; do
    holder=$(readlink "$lock" || true)
    if [ -z "$holder" ]; then
      fault "$lock can't be made" "look at /run: is it full?"
    elif [ "$(started_at "${holder%-*}")" = "${holder#*-}" ]; then
      fault "process ${holder%-*} is installing or removing already" "wait for it"
    fi
    give_up_on_faults
    rm -f "$lock"
  done
  trap 'rm -f "$lock"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

half_way() {
  rm -f "$lock"
  printf 'error: stopped half-way.\n  fix: run it again\n' >&2
  exit 70
}

# copy FROM TO: the whole of it, or nothing; never through a link.
copy() {
  mkdir -p "${2%/*}"
  rm -rf "$2$new"
  cp -a "$1" "$2$new"
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
  cp "$here/SHA256SUMS" "$here/bundle.conf" "$1.new/"
  install -m 0700 "$here/install.sh" "$1.new/install.sh"
  # With FILES in it, it counts as a record.
  cp "$here/FILES" "$1.new/FILES$new"
  mv "$1.new" "$1"
  mv "$1/FILES$new" "$1/FILES"
}

# Every new file lies beside its place before the first one is moved there, so a full disk changes nothing.
place_new_files() {
  made=
  while read -r mode sum path; do
    if [ "$sum" = - ]; then
      place_directory "$mode" "$path"
    else
      case " $changed " in *" /$path "*) install -m "$mode" -o 0 -g 0 "$here/root/$path" "/$path$new" ;; esac
    fi
  done <"$here/FILES"
}

place_directory() {
  if [ ! -d "/$2" ]; then
    mkdir -m "$1" "/$2"
    made="/$2 $made"
    note "$state/created" "$2"
  fi
}

# A directory that was there before, and that holds keys now, is closed; what it was is written down.
close_directories() {
  while read -r mode sum path; do
    if [ "$sum $mode" = "- 0700" ] && [ "$(stat -c %a "/$path")" != 700 ]; then
      has_line "$state/created" "$path" || note "$state/modes" "$(stat -c %a "/$path") $path"
      chmod 0700 "/$path"
    fi
  done <"$here/FILES"
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

# save TARGET: keeps what stands where a new file goes. Ours, as we left it, goes to previous/, by a link where it
# can; ours, changed by hand, stays beside it.
save() {
  exists "$1" || return 0
  if has_line "$state/foreign" "$1" && ! is_as_we_left_it "${1#/}" && is_copy "$1"; then
    return 0
  elif is_as_we_left_it "${1#/}"; then
    mkdir -p "$state/previous${1%/*}"
    ln -f "$1" "$state/previous$1" 2>/dev/null || cp -a "$1" "$state/previous$1" || rm -f "$state/previous$1"
  else
    put_aside "$1"
  fi
}

# is_copy TARGET: whether it is still the foreign file that is kept.
is_copy() {
  if [ -L "$1" ] || [ -L "$state/replaced$1" ]; then
    [ "$(readlink "$1" 2>/dev/null)" = "$(readlink "$state/replaced$1" 2>/dev/null)" ]
  else
    [ -f "$1" ] && [ "$(digest "$1")" = "$(digest "$state/replaced$1")" ]
  fi
}

commit() {
  for target in $changed $obsolete; do
    printf '%s\n' "$target" >>"$owed"
  done
  for unit in $dropped; do
    say "Stopping $unit, which this bundle no longer has"
    systemctl --quiet disable --now "$unit" || warn "$unit could not be stopped"
  done
  close_directories
  [ -z "$changed$obsolete" ] || rm -rf "$state/previous"
  for target in $changed; do
    save "$target"
    mv -fT "$target$new" "$target"
  done
  for target in $obsolete; do
    save "$target"
    rm -f "$target"
  done
  [ ! -d "$state/installed" ] || mv "$state/installed" "$state/pending-before-$$"
  mv "$pending" "$state/installed"
  rm -rf "$state"/pending-*
  # Directories that no bundle wants any more; only empty ones go.
  remove_created_directories listed_here
  sync
}

listed_here() { listed "$here" "$1"; }

# is_affected UNIT: whether a file that it names has changed since it was started.
is_affected() {
  [ -f "$owed" ] || return 1
  while IFS= read -r target; do
    ! names "$1" "$target" || return 0
  done <"$owed"
  return 1
}

# names UNIT FILE
names() {
  [ "$2" != "/etc/systemd/system/$1" ] || return 0
  [ -f "/etc/systemd/system/$1" ] || return 1
  while IFS= read -r line; do
    for word in $line; do
      case $word in "$2" | *"=$2") return 0 ;; esac
    done
  done <"/etc/systemd/system/$1"
  return 1
}

start_units() {
  systemctl daemon-reload
  # shellcheck disable=SC2086 # a list of units
  systemctl --quiet enable $units
  $start || return 0
  for unit in $units; do
    unit_state=$(active_state "$unit")
    if [ "$unit_state" = inactive ] || [ "$unit_state" = failed ]; then
      say "Starting $unit"
      systemctl start --no-block "$unit"
      settle=8
    elif is_affected "$unit"; then
      say "Restarting $unit"
      systemctl restart --no-block "$unit"
      settle=8
    fi
  done
  rm -f "$owed"
}

install_bundle() {
  check_machine
  [ "$(id -u)" -ne 0 ] || $dry_run || take_lock
  check_integrity
  check_clock
  check_identity
  check_address
  check_ports
  check_paths
  survey
  check_space
  give_up_on_faults
  if $dry_run; then
    describe
    return
  fi
  had_record=$(records)
  pending=$state/pending-$(date +%s)-$$
  made=
  mkdir -p "$state"
  trap 'undo_placing; rm -f "$lock"
    printf "error: the files could not be placed, see above. Nothing was changed.\n" >&2; exit 1' EXIT
  keep_foreign
  write_record "$pending"
  place_new_files
  trap half_way EXIT
  commit
  if [ -n "$changed$obsolete$dropped" ]; then
    say "Installed $node of cluster $cluster, Kubernetes $version."
  else
    say "$node of cluster $cluster was installed already; no file changed."
  fi
  start_units
  rm -f "$lock"
  trap - EXIT
  wait_for_units
}

# --- Removing -----------------------------------------------------------------

uninstall_bundle() {
  [ "$(id -u)" -eq 0 ] || {
    fault "only root can remove" "run it with sudo"
    give_up_on_faults
  }
  [ -n "$(records)" ] || fault "nothing is installed here" "there is nothing to do"
  give_up_on_faults
  units='' paths=''
  for record in $(records); do
    for unit in $(setting "$record" units); do
      case " $units " in *" $unit "*) ;; *) units="$unit $units" ;; esac
    done
    while read -r _ sum path; do
      [ "$sum" != - ] || continue
      case " $paths " in *" $path "*) ;; *) paths="$paths $path" ;; esac
    done <"$record/FILES"
    directories="$(setting "$record" state)" logs="$(setting "$record" logs)"
  done
  if $dry_run; then
    for unit in $units; do say "would stop and disable $unit"; done
    for path in $paths; do say "would remove /$path"; done
    return
  fi
  take_lock
  trap half_way EXIT
  for unit in $units; do
    systemctl --quiet disable --now "$unit" 2>/dev/null || true
  done
  for path in $paths; do
    remove_file "$path"
  done
  put_back_foreign
  remove_directories
  rm -rf "$state" "$owed"
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
  if has_line "$state/foreign" "/$1" && is_copy "/$1"; then return 0; fi
  if ! is_as_we_left_it "$1"; then
    put_aside "/$1"
  fi
  rm -f "/$1"
}

foreign_units=
put_back_foreign() {
  [ -f "$state/foreign" ] || return 0
  while IFS= read -r target; do
    if exists "$state/replaced$target" && ! { exists "$target" && is_copy "$target"; }; then
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

remove_directories() {
  for directory in $directories; do
    rm -rf "/${directory:?}"
  done
  for directory in $logs; do
    if [ "$action" = purge ]; then
      rm -rf "/${directory:?}"
    elif [ -d "/$directory" ]; then
      say "Kept: /$directory"
    fi
  done
  if [ -f "$state/modes" ]; then
    while read -r mode path; do
      [ ! -d "/$path" ] || chmod "$mode" "/$path"
    done <"$state/modes"
  fi
  remove_created_directories false
}

# remove_created_directories KEEP: deepest first, and only empty ones; what somebody put there stays, and what KEEP
# says yes to.
remove_created_directories() {
  [ -f "$state/created" ] || return 0
  sort -ru "$state/created" | while IFS= read -r directory; do
    "$1" "$directory" || rmdir "/$directory" 2>/dev/null || true
  done
}

while [ $# -gt 0 ]; do
  case $1 in
  --dry-run) dry_run=true ;;
  --replace) replace=true ;;
  --no-start) start=false ;;
  --wait)
    shift
    case ${1-} in '' | *[!0-9]* | 0?* | ???????*)
      usage >&2
      exit 2
      ;;
    esac
    wait=$1
    ;;
  --uninstall) action=uninstall ;;
  --purge) action=purge ;;
  --help)
    usage
    exit 0
    ;;
  *)
    printf 'error: unknown option %s\n' "$1" >&2
    usage >&2
    exit 2
    ;;
  esac
  shift
done

if [ "$action" != install ]; then
  uninstall_bundle
  exit
fi

for needed in FILES SHA256SUMS bundle.conf root; do
  if [ ! -e "$here/$needed" ]; then
    fault "$here has no $needed" "run install.sh from the unpacked archive"
  fi
done
give_up_on_faults
cluster=$(setting "$here" cluster)
node=$(setting "$here" node)
version=$(setting "$here" version)
address=$(setting "$here" address)
endpoint=$(setting "$here" endpoint)
units=$(setting "$here" units)
ports=$(setting "$here" ports)
not_before=$(setting "$here" not_before)
not_after=$(setting "$here" not_after)
install_bundle

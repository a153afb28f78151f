#!/bin/sh
# Installs the files beside this script on this machine, or removes them again.
# Needs a POSIX shell, coreutils and systemd. Nothing is changed before every check has passed.
set -eu
umask 077
export LC_ALL=C

state=/var/lib/kube-bundle
installed=$state/installed
new=.kube-bundle-new

here=$(cd "$(dirname "$0")" && pwd -P)
action=install
dry_run=false
replace=false
start=true
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

Exit status: 0 done, 1 a check failed and nothing was changed, 2 wrong usage,
75 installed, but not every unit is up yet.
END
}

say() { printf '%s\n' "$*"; }

# fault WHAT FIX: notes a failed check; all of them are shown before the script gives up.
faults=0
fault() {
  printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
  faults=$((faults + 1))
}

warn() { printf 'warning: %s\n' "$*" >&2; }

give_up_on_faults() {
  [ "$faults" -eq 0 ] || {
    printf 'Nothing was changed.\n' >&2
    exit 1
  }
}

# digest FILE: its sha256.
digest() {
  sum=$(sha256sum <"$1")
  printf '%s' "${sum%% *}"
}

# setting FILE KEY: the value of KEY=VALUE; the file is read, never run.
setting() {
  while IFS='=' read -r key value; do
    [ "$key" != "$2" ] || printf '%s' "$value"
  done <"$1"
}

# recorded PATH: the digest under which PATH was installed last time.
recorded() {
  [ -f "$installed/FILES" ] || return 0
  while read -r _ sum path; do
    [ "$path" != "$1" ] || printf '%s' "$sum"
  done <"$installed/FILES"
}

is_active() { systemctl is-active --quiet "$1"; }

# --- Checks -------------------------------------------------------------------

check_integrity() {
  if ! (cd "$here" && sha256sum --check --strict --quiet SHA256SUMS) >&2; then
    fault "this bundle is damaged; the lines above name the files" \
      "copy the archive again, compare it with SHA256SUMS of the bundle, and unpack it into an empty directory"
    give_up_on_faults
  fi
  while read -r _ sum path; do
    [ "$sum" = - ] || listed "$sum  root/$path" || fault "root/$path has no checksum" "unpack the archive again"
  done <"$here/FILES"
}

listed() {
  while IFS= read -r line; do
    [ "$line" != "$1" ] || return 0
  done <"$here/SHA256SUMS"
  return 1
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fault "only root can install" "run it with sudo"
  [ -d /run/systemd/system ] || fault "this machine was not booted with systemd" "install on a machine that runs systemd"
  [ "$(uname -m)" = x86_64 ] || fault "this machine is $(uname -m), and the programs are for x86_64" "install on an x86-64 machine"
}

check_clock() {
  now=$(date +%s)
  if [ "$now" -lt "$not_before" ] || [ "$now" -gt "$not_after" ]; then
    fault "this machine's clock says $(date -u -d "@$now" +%FT%TZ), and the certificates are valid from $(date -u -d "@$not_before" +%FT%TZ) to $(date -u -d "@$not_after" +%FT%TZ)" \
      "set the clock, or, if it is right, build the bundle again after \`kube-bundle pki renew\`"
  fi
}

check_identity() {
  [ -f "$installed/bundle.conf" ] || return 0
  was="$(setting "$installed/bundle.conf" node) of cluster $(setting "$installed/bundle.conf" cluster)"
  [ "$was" = "$node of cluster $cluster" ] ||
    fault "this machine is $was, and the bundle is for $node of cluster $cluster" \
      "install this machine's own bundle, or run $installed/install.sh --uninstall first"
}

check_address() {
  previous=
  while read -r first second rest; do
    case "$first $second $rest" in
    "|-- "* | "+-- "*) previous=$second ;;
    "/32 host LOCAL"*) [ "$previous" != "$address" ] || return 0 ;;
    esac
  done </proc/net/fib_trie
  what="no interface of this machine has the address $address of $node"
  if $start; then
    fault "$what" "install the bundle of this machine, give it the address, or prepare it with --no-start"
  else
    warn "$what yet"
  fi
}

# Ports that our own running units hold are theirs to hold.
check_ports() {
  for unit in $units; do
    ! is_active "$unit" || return 0
  done
  for port in $ports; do
    hex=$(printf '%04X' "$port")
    for table in /proc/net/tcp /proc/net/tcp6; do
      [ -r "$table" ] || continue
      while read -r _ local _ connection _; do
        case "$local $connection" in
        *":$hex 0A")
          fault "port $port is in use" "stop what listens there; \`ss -ltnp 'sport = :$port'\` names it"
          break 2
          ;;
        esac
      done <"$table"
    done
  done
}

check_space() {
  need=$(($(setting "$here/bundle.conf" kilobytes) + 16384))
  for directory in /usr/local /var/lib /etc; do
    # The binaries go to /usr/local; what they replace goes to /var/lib.
    case $directory in
    /usr/local) want=$need ;;
    /var/lib) if [ -f "$installed/FILES" ]; then want=$need; else want=16384; fi ;;
    *) want=4096 ;;
    esac
    free=$(df -Pk "$directory" | { read -r _ && read -r _ _ _ free _ && printf '%s' "$free"; })
    [ "$free" -ge "$want" ] ||
      fault "$directory has $((free / 1024)) MB free, and $((want / 1024)) MB are needed" "make room there"
  done
}

check_foreign() {
  while read -r _ sum path; do
    target=/$path
    if [ "$sum" = - ]; then
      if [ -e "$target" ] && [ ! -d "$target" ]; then
        fault "$target is in the way: a directory is wanted there" "move it away"
      fi
    elif [ -d "$target" ]; then
      fault "$target is in the way: it is a directory" "move it away"
    elif { [ -e "$target" ] || [ -L "$target" ]; } && [ -z "$(recorded "$path")" ] && ! $replace; then
      if [ -L "$target" ] || [ "$(digest "$target")" != "$sum" ]; then
        fault "$target is in the way: this bundle did not put it there" \
          "move it away, or install with --replace, which keeps it in $state/replaced"
      fi
    fi
  done <"$here/FILES"
}

# --- Installing ---------------------------------------------------------------

# Every new file lies beside its place before the first one is moved there, so a full disk changes nothing.
remove_new_files() {
  while read -r _ sum path; do
    [ "$sum" = - ] || rm -f "/$path$new"
  done <"$here/FILES"
}

# is_current MODE SUM PATH: whether the file is there already, just so.
is_current() {
  [ -f "/$3" ] && [ ! -L "/$3" ] && [ "$(stat -c '0%a %u %g' "/$3")" = "$1 0 0" ] && [ "$(digest "/$3")" = "$2" ]
}

changed=
place_new_files() {
  while read -r mode sum path; do
    if [ "$sum" = - ]; then
      place_directory "$mode" "$path"
    elif ! is_current "$mode" "$sum" "$path"; then
      changed="$changed /$path"
      $dry_run || install -m "$mode" -o root -g root "$here/root/$path" "/$path$new"
    fi
  done <"$here/FILES"
}

place_directory() {
  if [ ! -d "/$2" ]; then
    $dry_run && return
    mkdir -m "$1" "/$2"
    printf '%s\n' "$2" >>"$state/created"
  elif [ "$1" = 0700 ]; then
    $dry_run || chmod 0700 "/$2"
  fi
}

# keep PATH: what is about to be replaced goes to previous/ if it is ours as we left it, else to replaced/, once.
keep() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  was=$(recorded "${1#/}")
  if [ -n "$was" ] && [ ! -L "$1" ] && [ "$(digest "$1")" = "$was" ]; then
    copy=$state/previous$1
  else
    copy=$state/replaced$1
    [ -z "$was" ] || say "$1 was changed by hand; the changed file is kept as $copy"
    [ -n "$was" ] || printf '%s\n' "$1" >>"$state/foreign"
  fi
  mkdir -p "${copy%/*}"
  cp -a "$1" "$copy"
}

move_into_place() {
  rm -rf "$state/previous"
  for target in $changed; do
    keep "$target"
  done
  for target in $changed; do
    mv -f "$target$new" "$target"
  done
}

# obsolete: files of the last installation that this one no longer has.
remove_obsolete() {
  [ -f "$installed/FILES" ] || return 0
  while read -r _ sum path; do
    if [ "$sum" != - ] && ! in_bundle "$path"; then
      keep "/$path"
      rm -f "/$path"
      changed="$changed /$path"
    fi
  done <"$installed/FILES"
}

in_bundle() {
  while read -r _ _ path_there; do
    [ "$path_there" != "$1" ] || return 0
  done <"$here/FILES"
  return 1
}

record() {
  [ "$here" = "$installed" ] && return
  rm -rf "$installed.new"
  mkdir -p "$installed.new"
  cp "$here/FILES" "$here/SHA256SUMS" "$here/bundle.conf" "$installed.new/"
  install -m 0700 "$here/install.sh" "$installed.new/install.sh"
  rm -rf "$installed"
  mv "$installed.new" "$installed"
}

# uses UNIT PATH: whether the unit names the file.
uses() {
  for directory in /etc/systemd/system /lib/systemd/system; do
    [ -f "$directory/$1" ] || continue
    [ "$2" != "$directory/$1" ] || return 0
    while IFS= read -r line; do
      for word in $line; do
        case $word in "$2" | *"=$2") return 0 ;; esac
      done
    done <"$directory/$1"
  done
  return 1
}

is_affected() {
  for path_changed in $changed; do
    ! uses "$1" "$path_changed" || return 0
  done
  return 1
}

start_units() {
  systemctl daemon-reload
  # shellcheck disable=SC2086 # a list of units
  systemctl --quiet enable $units
  $start || return 0
  for unit in $units; do
    if ! is_active "$unit"; then
      say "Starting $unit"
      systemctl start --no-block "$unit"
    elif is_affected "$unit"; then
      say "Restarting $unit"
      systemctl restart --no-block "$unit"
    fi
  done
}

# A unit that does one thing and stays (RemainAfterExit) is up when it has done it.
is_up() {
  is_active "$1" || return 1
  [ "$(systemctl show --property=RemainAfterExit --value "$1")" = no ] ||
    [ "$(systemctl show --property=SubState --value "$1")" = exited ]
}

wait_for_units() {
  $start || return 0
  deadline=$(($(date +%s) + wait))
  for unit in $units; do
    until is_up "$unit"; do
      if [ "$(date +%s)" -ge "$deadline" ]; then
        warn "$unit is not up after $wait s; it goes on trying"
        warn "see \`journalctl -u $unit\`; an API server needs its etcd first"
        exit 75
      fi
      sleep 1
    done
  done
  say "Up: $units"
}

install_bundle() {
  check_machine
  check_integrity
  check_clock
  check_identity
  check_address
  check_ports
  check_space
  check_foreign
  give_up_on_faults
  if $dry_run; then
    place_new_files
    for target in $changed; do
      if [ -e "$target" ]; then say "would replace $target"; else say "would install $target"; fi
    done
    [ -n "$changed" ] || say "Nothing to do: $node of cluster $cluster is installed as it is here."
    return
  fi
  mkdir -p "$state"
  trap remove_new_files EXIT
  place_new_files
  if [ -n "$changed" ]; then
    move_into_place
  fi
  trap - EXIT
  remove_obsolete
  record
  sync
  if [ -n "$changed" ]; then
    say "Installed $node of cluster $cluster, Kubernetes $version."
  else
    say "$node of cluster $cluster was installed already; no file changed."
  fi
  start_units
  wait_for_units
}

# --- Removing -----------------------------------------------------------------

uninstall_bundle() {
  [ "$(id -u)" -eq 0 ] || fault "only root can remove" "run it with sudo"
  [ -f "$installed/FILES" ] || fault "nothing is installed here" "there is nothing to do"
  give_up_on_faults
  units=$(setting "$installed/bundle.conf" units)
  reversed=
  for unit in $units; do
    reversed="$unit $reversed"
  done
  if $dry_run; then
    say "would stop and disable $reversed"
    while read -r _ sum path; do
      [ "$sum" = - ] || say "would remove /$path"
    done <"$installed/FILES"
    return
  fi
  for unit in $reversed; do
    systemctl --quiet disable --now "$unit" 2>/dev/null || warn "$unit could not be stopped"
  done
  while read -r _ sum path; do
    [ "$sum" != - ] || continue
    if [ -f "/$path" ] && [ "$(digest "/$path")" != "$sum" ]; then
      mv -f "/$path" "/$path.saved"
      say "/$path was changed by hand; it stays as /$path.saved"
    fi
    rm -f "/$path"
  done <"$installed/FILES"
  put_back_foreign
  for directory in $(setting "$installed/bundle.conf" state); do
    rm -rf "/${directory:?}"
  done
  for directory in $(setting "$installed/bundle.conf" logs); do
    if [ "$action" = purge ]; then
      rm -rf "/${directory:?}"
    elif [ -d "/$directory" ]; then
      say "Kept: /$directory"
    fi
  done
  remove_created_directories
  rm -rf "$state"
  systemctl daemon-reload
  systemctl --quiet reset-failed 2>/dev/null || true
  say "Removed."
}

put_back_foreign() {
  [ -f "$state/foreign" ] || return 0
  while IFS= read -r path; do
    if [ -e "$state/replaced$path" ] || [ -L "$state/replaced$path" ]; then
      cp -a "$state/replaced$path" "$path"
      say "Put back: $path"
    fi
  done <"$state/foreign"
}

# Deepest first, and only empty ones: what somebody put there stays.
remove_created_directories() {
  [ -f "$state/created" ] || return 0
  deepest=$(sort -ru "$state/created")
  for directory in $deepest; do
    rmdir "/$directory" 2>/dev/null || true
  done
}

while [ $# -gt 0 ]; do
  case $1 in
  --dry-run) dry_run=true ;;
  --replace) replace=true ;;
  --no-start) start=false ;;
  --wait)
    shift
    case ${1-} in '' | *[!0-9]*)
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
    fault "there is no $needed beside this script" "run install.sh from the unpacked archive"
  fi
done
give_up_on_faults
cluster=$(setting "$here/bundle.conf" cluster)
node=$(setting "$here/bundle.conf" node)
version=$(setting "$here/bundle.conf" version)
address=$(setting "$here/bundle.conf" address)
units=$(setting "$here/bundle.conf" units)
ports=$(setting "$here/bundle.conf" ports)
not_before=$(setting "$here/bundle.conf" not_before)
not_after=$(setting "$here/bundle.conf" not_after)
install_bundle

# Checks what was unpacked, enables the units, and starts those that are new or whose files have changed.

#include common.sh

#include records.sh

#include data.sh

#include needs.sh

#include unit_keys.sh

#include units.sh

#include queue.sh

#include connections.sh

#include unseal.sh

# /var/lib/kube-bundle holds
#   package/   FILES (all that belongs to this node), TRIGGERS (unit and path of each file that
#              the unit names), bundle.conf
#   started/   a digest over those files for each unit, from when it was last started
state=/var/lib/kube-bundle

#include debian/secrets.sh

umask 077
start=true
# For how many seconds to wait until the units are up.
wait=${KUBE_BUNDLE_WAIT:-90}

# "digest path" of every file, as it is now; and those that are not as they should be.
read_files() {
  sums='' damaged=''
  while read -r _ sum path _; do
    [ "$sum" != - ] || continue
    is=$(content_of "/$path")
    sums="$sums$is $path
"
    # No digest is known of what was encrypted.
    [ "$sum" != sealed ] || continue
    case $path in
    # The administrator may change these.
    etc/*) continue ;;
    esac
    [ "$is" = "$sum" ] || damaged="$damaged  /$path
"
  done <"$state/package/FILES"
}

# dpkg knows no digest of what it unpacks, and another build's programs may have the same version.
verify_files() {
  [ -z "$damaged" ] || {
    printf '%s' "$damaged" >&2
    printf 'error: these files are not the ones that %s was built with\n' "$package" >&2
    printf '  fix: install all packages of the bundle again: dpkg -i, or apt-get install --reinstall\n' >&2
    exit 1
  }
}

# dpkg leaves a directory that was there before as it was, and keys lie in these now.
close_key_directories() {
  close_directory "$state"
  while read -r mode sum path _; do
    [ "$sum $mode" != "- 0700" ] || close_directory "/$path"
  done <"$state/package/FILES"
}

close_directory() {
  [ "$(stat -c %a "$1")" != 700 ] || return 0
  dpkg-statoverride --list "$1" >/dev/null 2>&1 || chmod 0700 "$1"
}

# dpkg unpacks everything as root's. What is a user's is given to it, unless the administrator said otherwise.
set_owners() {
  while read -r _ _ path owner; do
    if [ -z "$owner" ] || ! exists "/$path"; then continue; fi
    dpkg-statoverride --list "/$path" >/dev/null 2>&1 || give "$path" "$owner"
  done <"$state/package/FILES"
}

enable_units() {
  for unit in $units; do
    if command -v deb-systemd-helper >/dev/null; then
      # As debhelper's scripts do it: on by default, and as the administrator left it from then on.
      deb-systemd-helper unmask "$unit" >/dev/null || true
      if deb-systemd-helper --quiet was-enabled "$unit"; then
        deb-systemd-helper enable "$unit" >/dev/null || true
      else
        deb-systemd-helper update-state "$unit" >/dev/null || true
      fi
    elif [ -z "$before" ] && command -v systemctl >/dev/null; then
      systemctl --quiet enable "$unit" || true
    fi
  done
}

# invoke VERB UNIT...: as deb-systemd-invoke(1p) does it, but without waiting: a member of etcd is up when others are. What
# the administrator has disabled is not started, and restarted only where it runs.
invoke() {
  verb=$1 invoked=
  shift
  for unit in "$@"; do
    case "$verb $(systemctl is-enabled "$unit" 2>/dev/null || true) $(active_state "$unit")" in
    stop* | "$verb enabled"* | "restart "*" active") invoked="$invoked $unit" ;;
    esac
  done
  # shellcheck disable=SC2086 # a list of units
  [ -z "$invoked" ] || systemctl --quiet --no-block "$verb" $invoked || true
}

# policy_allows VERB UNIT: what the operator and policy-rc.d(8) say; 101 forbids.
policy_allows() {
  [ "${KUBE_BUNDLE_START:-yes}" != no ] || return 1
  policy=/usr/sbin/policy-rc.d
  [ -x "$policy" ] || return 0
  answer=0
  "$policy" "$2" "$1" || answer=$?
  [ "$answer" -ne 101 ]
}

# fingerprint UNIT: a digest over the files it names.
fingerprint() {
  printf '%s' "$sums" | while read -r sum path; do
    ! has_line "$state/package/TRIGGERS" "$1 $path" || printf '%s %s\n' "$sum" "$path"
  done | {
    sum=$(sha256sum)
    printf '%s' "${sum%% *}"
  }
}

# Units of an earlier version that this one lacks.
drop_units() {
  for record in "$state/started"/*; do
    unit=${record##*/}
    case " $units " in *" $unit "*) continue ;; esac
    [ -f "$record" ] || continue
    ! policy_allows stop "$unit" || invoke stop "$unit"
    ! command -v deb-systemd-helper >/dev/null || deb-systemd-helper purge "$unit" >/dev/null || true
    rm -f "$record"
  done
}

boot_id() { cat /proc/sys/kernel/random/boot_id 2>/dev/null || true; }

# The next boot starts it with the files that are here now; if there was none yet, the next run does.
defer_start() {
  case $(active_state "$1") in
  # It runs with the files from before, and that stays written down.
  active | activating | reloading | deactivating) return 0 ;;
  esac
  fingerprint "$1" >"$state/started/$1"
  boot_id >"$state/unstarted"
}

start_units() {
  fresh='' changed='' left='' never=false
  [ "$(cat "$state/unstarted" 2>/dev/null)" != "$(boot_id)" ] || never=true
  rm -f "$state/unstarted"
  for unit in $units; do
    was=$(cat "$state/started/$unit" 2>/dev/null || true)
    case $(active_state "$unit") in
    active | activating | reloading | deactivating | failed)
      [ "$(fingerprint "$unit")" != "$was" ] || continue
      if policy_allows restart "$unit"; then changed="$changed $unit"; fi
      ;;
    # At rest: because nobody has started it here yet, or because somebody stopped it.
    *)
      [ -z "$was" ] || $never || continue
      if policy_allows start "$unit"; then fresh="$fresh $unit"; else left="$left $unit"; fi
      ;;
    esac
  done
  refuse_unsafe_restarts
  # shellcheck disable=SC2086 # lists of units
  invoke restart $changed
  restarted=$invoked
  # shellcheck disable=SC2086
  invoke start $fresh
  for unit in $changed $fresh; do
    fingerprint "$unit" >"$state/started/$unit"
  done
  for unit in $left; do defer_start "$unit"; done
  [ -z "$left" ] || say "Not started:$left. The next boot starts them, or \`systemctl start\` does."
  wait_for_invoked "$restarted$invoked"
}

# What a unit itself demands of the rest of the cluster before it is restarted. Nothing is restarted then.
refuse_unsafe_restarts() {
  for unit in $changed; do
    [ "$(active_state "$unit")" = active ] || continue
    if [ "${KUBE_BUNDLE_FORCE:-no}" = yes ]; then
      restart_is_safe "$unit" --force || faults=$((faults + 1))
    else
      restart_is_safe "$unit" || faults=$((faults + 1))
    fi
  done
  [ "$faults" -eq 0 ] || {
    printf 'error: %s runs with its old files yet; nothing was restarted\n' "$package" >&2
    printf '  fix: see above, then: dpkg --configure -a, with KUBE_BUNDLE_FORCE=yes to restart in any case\n' >&2
    exit 1
  }
}

# wait_for_invoked UNITS: a unit that the administrator has turned off is not waited for, nor is its port.
wait_for_invoked() {
  if [ -z "$1" ] || [ "$wait" = 0 ]; then return 0; fi
  for unit in $units; do
    is_up "$unit" || case " $1 " in *" $unit "*) ;; *) ports= ;; esac
  done
  units=$1
  wait_for_units || warn_of_connections
  say "See how this machine is, at any time: kube-bundle-status"
}

# What an upgrade or a removal that failed has stopped; whatever else runs was never touched.
start_again() {
  stopped=
  for unit in $units; do
    if [ ! -f "$state/started/$unit" ] && policy_allows start "$unit"; then stopped="$stopped $unit"; fi
  done
  # shellcheck disable=SC2086 # a list of units
  invoke start $stopped
  for unit in $stopped; do fingerprint "$unit" >"$state/started/$unit"; done
}

before=${2-}
case ${1-} in
configure | abort-upgrade | abort-deconfigure | abort-remove) ;;
*) exit 0 ;;
esac
if [ -n "${DPKG_ROOT:-}" ]; then
  # Another root than this machine's: all that can be done from here is to enable.
  [ -n "${seal-}" ] || enable_units
  exit 0
fi
if [ "$1" = configure ]; then
  read_files
  verify_files
  check_commands
  [ "$faults" -eq 0 ] || exit 1
fi
create_users
close_key_directories
unseal
read_files
set_owners
enable_units
if [ -d "$state/started" ]; then note_data true; else note_data false; fi
mkdir -p "$state/started"
if [ ! -d /run/systemd/system ]; then
  for unit in $units; do defer_start "$unit"; done
elif [ "$1" = configure ]; then
  systemctl --system daemon-reload >/dev/null || true
  drop_units
  start_units
else
  systemctl --system daemon-reload >/dev/null || true
  start_again
fi

# Checks what was unpacked, enables the units, and starts those that are new or whose files have changed.

#include common.sh

# /var/lib/kube-bundle holds
#   package/   FILES (mode, sha256 and path of all that belongs to this node), TRIGGERS (unit and path of each file that
#              the unit names), bundle.conf
#   started/   a digest over those files for each unit, from when it was last started
state=/var/lib/kube-bundle
umask 077

# "digest path" of every file, as it is now.
sums=
# dpkg knows no digest of what it unpacks, and another build's programs may have the same version.
check_files() {
  damaged=
  while read -r _ sum path; do
    [ "$sum" != - ] || continue
    is=missing
    [ ! -f "/$path" ] || is=$(digest "/$path")
    sums="$sums$is $path
"
    case $path in
    # The administrator may change these.
    etc/*) continue ;;
    esac
    [ "$is" = "$sum" ] || damaged="$damaged  /$path
"
  done <"$state/package/FILES"
  [ -z "$damaged" ] || {
    printf '%s' "$damaged" >&2
    printf 'error: these files are not the ones that %s was built with\n' "$package" >&2
    printf '  fix: install all packages of the bundle again: dpkg -i, or apt-get install --reinstall\n' >&2
    exit 1
  }
}

# dpkg leaves a directory that was there before as it was, and keys lie in this one now.
close_directories() {
  while read -r mode sum path; do
    if [ "$sum $mode" = "- 0700" ] && [ "$(stat -c %a "/$path")" != 700 ]; then chmod 0700 "/$path"; fi
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

# invoke VERB UNIT...
invoke() {
  [ $# -gt 1 ] || return 0
  if command -v deb-systemd-invoke >/dev/null; then
    deb-systemd-invoke "$@" >/dev/null || true
  else
    systemctl --quiet "$@" || true
  fi
}

# policy-rc.d(8): 101 forbids.
may_start() {
  [ "${KUBE_BUNDLE_START:-yes}" != no ] || return 1
  policy=/usr/sbin/policy-rc.d
  [ -x "$policy" ] || return 0
  for unit in $units; do
    answer=0
    "$policy" "$unit" start || answer=$?
    [ "$answer" -ne 101 ] || return 1
  done
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
    invoke stop "$unit"
    ! command -v deb-systemd-helper >/dev/null || deb-systemd-helper purge "$unit" >/dev/null || true
    rm -f "$record"
  done
}

start_units() {
  fresh='' changed=''
  for unit in $units; do
    was=$(cat "$state/started/$unit" 2>/dev/null || true)
    case $(active_state "$unit") in
    active | activating | reloading | deactivating | failed)
      [ "$(fingerprint "$unit")" = "$was" ] || changed="$changed $unit"
      ;;
    # At rest: because it is new here, or because somebody stopped it.
    *) [ -n "$was" ] || fresh="$fresh $unit" ;;
    esac
  done
  # shellcheck disable=SC2086 # lists of units
  invoke restart $changed
  # shellcheck disable=SC2086
  invoke start $fresh
  mkdir -p "$state/started"
  for unit in $changed $fresh; do
    fingerprint "$unit" >"$state/started/$unit"
  done
  for unit in $units; do
    case $(active_state "$unit") in active | activating) continue ;; esac
    printf 'warning: %s is not up; see journalctl --unit=%s\n' "$unit" "$unit" >&2
  done
}

before=${2-}
case ${1-} in
configure | abort-upgrade | abort-deconfigure | abort-remove) ;;
*) exit 0 ;;
esac
[ "$1" != configure ] || check_files
close_directories
enable_units
if [ -d /run/systemd/system ] && [ -z "${DPKG_ROOT:-}" ]; then
  systemctl --system daemon-reload >/dev/null || true
  drop_units
  if may_start; then
    start_units
  else
    say "The units of $node are not started: the next boot starts them, or \`systemctl start\` does."
  fi
fi

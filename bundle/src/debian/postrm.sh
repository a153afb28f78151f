# Forgets what the units were to systemd, and on purge removes what they wrote; never more than that.

#include data.sh

case ${1-} in
remove)
  if [ -d /run/systemd/system ] && [ -z "${DPKG_ROOT:-}" ]; then
    systemctl --system daemon-reload >/dev/null || true
  fi
  ;;
purge)
  root=${DPKG_ROOT:-}
  # The units may be somebody else's by now: another node's package, or an archive's.
  for record in "$root/var/lib/kube-bundle/package" "$root/var/lib/kube-bundle/installed"; do
    [ ! -f "$record/bundle.conf" ] || exit 0
  done
  if command -v deb-systemd-helper >/dev/null; then
    # shellcheck disable=SC2086 # a list of units
    deb-systemd-helper purge $units >/dev/null || true
  else
    for unit in $units; do
      for target in multi-user timers; do rm -f "$root/etc/systemd/system/$target.target.wants/$unit"; done
    done
  fi
  for made in $writes; do
    # The last part may be a pattern. No unit makes links.
    for path in "$root"/$made; do
      [ ! -L "$path" ] || continue
      if [ -d "$path" ]; then rmdir "$path" 2>/dev/null || true; else rm -f "$path"; fi
    done
  done
  for directory in $directories; do
    [ -d "$root/$directory" ] || continue
    # Full, a mount point, or a link that somebody made: theirs.
    rmdir "$root/$directory" 2>/dev/null || printf 'Kept: /%s, which holds what the units did not write\n' "$directory"
  done
  for directory in $data; do
    [ -d "$root/$directory" ] || continue
    forget_empty_data "$root/$directory"
    rmdir "$root/$directory" 2>/dev/null || printf 'Kept: /%s, which holds data\n' "$directory"
  done
  ;;
esac

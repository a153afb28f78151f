# Forgets what the units were to systemd, and on purge removes what they wrote; never more than that.

case ${1-} in
remove)
  if [ -d /run/systemd/system ] && [ -z "${DPKG_ROOT:-}" ]; then
    systemctl --system daemon-reload >/dev/null || true
  fi
  ;;
purge)
  # The units may be somebody else's by now: another node's package, or an archive's.
  for record in /var/lib/kube-bundle/package /var/lib/kube-bundle/installed; do
    [ ! -f "$record/bundle.conf" ] || exit 0
  done
  if command -v deb-systemd-helper >/dev/null; then
    # shellcheck disable=SC2086 # a list of units
    deb-systemd-helper purge $units >/dev/null || true
  else
    for unit in $units; do rm -f "/etc/systemd/system/multi-user.target.wants/$unit"; done
  fi
  for made in $writes; do
    # The last part may be a pattern.
    for path in /$made; do
      if [ -d "$path" ] && [ ! -L "$path" ]; then
        rmdir --ignore-fail-on-non-empty "$path"
      else
        rm -f "$path"
      fi
    done
  done
  for directory in $directories; do
    if [ -d "/$directory" ]; then
      rmdir --ignore-fail-on-non-empty "/$directory"
      [ ! -d "/$directory" ] || printf 'Kept: /%s, which holds what the units did not write\n' "$directory"
    fi
  done
  ;;
esac

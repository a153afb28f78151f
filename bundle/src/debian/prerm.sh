# Stops the units before their files go. An upgrade lets them run: the new version restarts what has changed.
#include common.sh

#include unit_keys.sh

#include cleanup.sh

if [ "${1-}" = remove ] && [ -z "${DPKG_ROOT:-}" ]; then
  if [ -d /run/systemd/system ]; then
    [ "${KUBE_BUNDLE_FORCE:-no}" = yes ] || for unit in $units; do check_removal "$unit"; done
    [ "$faults" -eq 0 ] || {
      printf 'error: %s stays as it is; nothing was stopped\n' "$package" >&2
      printf '  fix: see above, then remove it again; KUBE_BUNDLE_FORCE=yes removes it in any case\n' >&2
      exit 1
    }
    last_first=
    for unit in $units; do last_first="$unit $last_first"; done
    # shellcheck disable=SC2086 # a list of units
    if command -v deb-systemd-invoke >/dev/null; then
      deb-systemd-invoke stop $last_first >/dev/null || true
    else
      systemctl --quiet stop $last_first || true
    fi
    for unit in $last_first; do clean_up "$unit"; done
  fi
  # What was encrypted, which dpkg does not know.
  if [ -f /var/lib/kube-bundle/unsealed/SUMS ]; then
    while read -r _ path; do rm -f "/$path"; done </var/lib/kube-bundle/unsealed/SUMS
  fi
  rm -rf /var/lib/kube-bundle/unsealed /var/lib/kube-bundle/kept
  rm -rf /var/lib/kube-bundle/started /var/lib/kube-bundle/unstarted
fi

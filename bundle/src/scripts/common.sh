# What install.sh, boot.sh and the packages' scripts have in common.

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# fault WHAT FIX: notes a failed check; all of them are shown before the script gives up.
faults=0
fault() {
  printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
  faults=$((faults + 1))
}

# How many of them may pass later by themselves.
temporary_faults=0
# Exits with 1. `unchanged` says it in other words. Who can wait sets KUBE_BUNDLE_TEMPORARY_STATUS, the exit status for "only temporary faults".
give_up_on_faults() {
  [ "$faults" -ne 0 ] || return 0
  printf '%s\n' "${unchanged:-Nothing was changed.}" >&2
  [ "$faults" -eq "$temporary_faults" ] || exit 1
  exit "${KUBE_BUNDLE_TEMPORARY_STATUS:-1}"
}

# digest FILE: its sha256.
digest() {
  sum_read=$(sha256sum <"$1")
  printf '%s' "${sum_read%% *}"
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

# active_state UNIT: systemd's word for it.
active_state() { systemctl is-active "$1" 2>/dev/null || true; }

# is_listening PORT: by the kernel's own tables; state 0A is LISTEN.
is_listening() {
  hex=$(printf '%04X' "$1")
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    while read -r _ local _ connection _; do
      case "$local $connection" in *":$hex 0A") return 0 ;; esac
    done <"$table"
  done
  return 1
}

# What units say to installers, in keys that systemd ignores.

# unit_key KEY UNIT: what the installed unit says for a key that systemd ignores, such as X-Waits-For; with unit_root, what
# that of an unpacked bundle says.
unit_key() {
  for unit_directory in "${unit_root-}/etc/systemd/system" /usr/lib/systemd/system /lib/systemd/system; do
    [ -f "$unit_directory/$2" ] || continue
    while IFS= read -r line; do
      case $line in "$1="*) printf '%s' "${line#*=}" ;; esac
    done <"$unit_directory/$2"
    return 0
  done
}

# restart_is_safe UNIT [OPTION]...: what the unit's own check says, which also prepares for it; etcd's takes a snapshot.
restart_is_safe() {
  check=$(unit_key X-Restart-Check "$1")
  shift
  # shellcheck disable=SC2086 # a command line
  [ -z "$check" ] || $check "$@"
}

# check_removal UNIT: what the unit's own check says, before it goes for good.
check_removal() {
  check=$(unit_key X-Removal-Check "$1")
  # shellcheck disable=SC2086 # a command line
  [ -z "$check" ] || $check || faults=$((faults + 1))
}

# check_dropped_unit UNIT FORCE: one that other machines rely on must not go with a bundle that has it no more.
check_dropped_unit() {
  if [ "$(active_state "$1")" != active ] || [ -z "$(unit_key X-Restart-Check "$1")" ]; then return 0; fi
  fault "$1 runs here, other machines may need it, and this bundle no longer has it" \
    "take this machine out of that cluster first, or go on with $2"
}

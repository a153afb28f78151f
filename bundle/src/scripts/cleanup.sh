# What units have set up outside their files. Needs unit_keys.sh.

# clean_up UNIT: what the unit left running or set up elsewhere, after it was stopped and before its files go.
clean_up() {
  cleanup=$(unit_key X-Cleanup "$1")
  [ -n "$cleanup" ] || return 0
  [ "$(active_state "$1")" != active ] || {
    warn "$1 still runs, so nothing that it set up is removed"
    return 0
  }
  # shellcheck disable=SC2086 # a command line
  $cleanup || warn "not all that $1 set up could be removed"
}

# What units have set up outside their files. Needs unit_keys.sh.

# clean_up UNIT: what the unit left running or set up elsewhere, after it was stopped and before its files go.
clean_up() {
  cleanup=$(unit_key X-Cleanup "$1")
  # shellcheck disable=SC2086 # a command line
  [ -z "$cleanup" ] || $cleanup || warn "not all that $1 set up could be removed"
}

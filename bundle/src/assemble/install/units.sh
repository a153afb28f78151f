# Which units are started or restarted.

# is_affected UNIT: whether TRIGGERS, a line "UNIT PATH" for each file that a unit names, has one that has changed since
# the unit was started.
is_affected() {
  [ -f "$pending_restarts" ] || return 1
  while IFS= read -r target; do
    ! has_line "$here/TRIGGERS" "$1 ${target#/}" || return 0
  done <"$pending_restarts"
  return 1
}

start_or_restart_units() {
  systemctl daemon-reload
  # shellcheck disable=SC2086 # a list of units
  systemctl --quiet enable $units
  $start || return 0
  for unit in $units; do
    unit_state=$(active_state "$unit")
    if [ "$unit_state" = inactive ] || [ "$unit_state" = failed ]; then
      say "Starting $unit"
      systemctl start --no-block "$unit"
      settle=8
    elif is_affected "$unit"; then
      say "Restarting $unit"
      systemctl restart --no-block "$unit"
      settle=8
    fi
  done
  rm -f "$pending_restarts"
}

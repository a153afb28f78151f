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

# would_restart UNIT: whether what is to change, or has changed before, makes it restart.
would_restart() {
  for target in $changed $obsolete; do
    ! has_line "$here/TRIGGERS" "$1 ${target#/}" || return 0
  done
  is_affected "$1"
}

# units_to_start, units_to_restart: unless --no-start was given.
units_to_start() {
  $start || return 0
  for unit in $units; do
    case $(active_state "$unit") in inactive | failed) printf '%s ' "$unit" ;; esac
  done
}

units_to_restart() {
  $start || return 0
  for unit in $units; do
    case $(active_state "$unit") in
    inactive | failed) ;;
    *) ! would_restart "$unit" || printf '%s ' "$unit" ;;
    esac
  done
}

# What a unit itself demands of the rest of the cluster before it is restarted.
check_restarts() {
  # These are stopped even with --no-start.
  $force || for unit in $dropped; do check_dropped_unit "$unit" --force; done
  if [ "$faults" -ne 0 ] || [ "$(id -u)" -ne 0 ]; then return 0; fi
  restart_options=
  ! $dry_run || restart_options=--dry-run
  ! $force || restart_options="$restart_options --force"
  for unit in $(units_to_restart); do
    [ "$(active_state "$unit")" = active ] || continue
    # shellcheck disable=SC2086 # options
    restart_is_safe "$unit" $restart_options || {
      faults=$((faults + 1))
      temporary_faults=$((temporary_faults + 1))
    }
  done
}

start_or_restart_units() {
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

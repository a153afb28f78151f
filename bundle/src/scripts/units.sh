# Whether units are up for good. The settings are the caller's to make: start, units, ports, wait, and queue_of (queue.sh).

# For how many seconds nothing may change before that is believed.
settle=0

# property NAME UNIT; systemd has `--value` since 230 only.
property() {
  shown=$(systemctl show --property="$1" "$2" 2>/dev/null || true)
  printf '%s' "${shown#*=}"
}

# A unit that does one thing and stays (RemainAfterExit) is up when it has done it.
is_up() {
  [ "$(active_state "$1")" = active ] || return 1
  [ "$(property RemainAfterExit "$1")" != yes ] || [ "$(property SubState "$1")" = exited ]
}

# is_settled UNIT: whether it has been active for as long as a unit that dies at once would not be.
is_settled() {
  entered=$(property ActiveEnterTimestampMonotonic "$1")
  case $entered in '' | *[!0-9]*) return 1 ;; esac
  [ $(($(cut -d. -f1 /proc/uptime) - ${entered%??????})) -gt 8 ]
}

# find_down_unit: sets `down` to what is not up, or does not listen; to nothing if all is well.
find_down_unit() {
  down=
  for unit in $units; do
    is_up "$unit" || {
      down=$unit
      break
    }
  done
  for port in $ports; do
    is_listening "$port" || down="${down:-a unit, which is to listen on port $port,}"
  done
}

# Returns 75 if they are not up in time. Up is what stays up and answers: a unit that dies and is restarted is active for
# a moment each time, and those that wait for another machine don't listen before they reach it.
wait_for_units() {
  $start || {
    say "The units start at the next boot, or when you run this again without --no-start."
    return
  }
  for unit in $units; do
    is_settled "$unit" || settle=8
  done
  before='' since=$(date +%s)
  deadline=$((since + wait))
  while :; do
    find_down_unit
    # shellcheck disable=SC2086 # a list of units
    pulse=$(systemctl show --property=InvocationID,MainPID $units)
    clock=$(date +%s)
    if [ -n "$down" ] || [ "$pulse" != "$before" ]; then
      before=$pulse since=$clock
    fi
    if [ -z "$down" ] && [ $((clock - since)) -ge "$settle" ]; then
      say "Up: $units"
      return
    fi
    if [ "$clock" -ge "$deadline" ]; then
      report_down_unit
      return 75
    fi
    sleep 1
  done
}

report_down_unit() {
  warn "${down:-a unit} is not up, or does not stay up, after $wait s; it goes on trying"
  # shellcheck disable=SC2086 # a list of units
  case $down in
  *.service) seen=" --unit=$down" ;;
  *) seen=$(printf ' --unit=%s' $units) ;;
  esac
  queued=$(for unit in $units; do ${queue_of:-:} "$unit"; done)
  [ -n "$queued" ] || warn "it may need another machine that is not up yet; see \`journalctl$seen\`"
  for unit in $units; do
    is_up "$unit" || report_waiting "$unit"
  done
}

# report_waiting UNIT: for what systemd starts before, or for which machines it waits.
report_waiting() {
  earlier=$(${queue_of:-:} "$1")
  [ -z "$earlier" ] || {
    warn "$1 is queued: systemd waits for$earlier; see \`systemctl list-jobs\`; it goes on by itself when that is up or times out"
    return
  }
  waits_for=$(unit_key X-Waits-For "$1")
  [ -n "$waits_for" ] || return 0
  # shellcheck disable=SC2086 # a command line
  { timeout 30 $waits_for 2>/dev/null || true; } | while IFS= read -r machine; do
    warn "$1 waits for $machine"
  done
}

# What --check, --version and the end of an installation say.

checks='' checks_made=0 checks_failed=0 checks_warned=0

# run_check WHAT COMMAND [ARGUMENT]...: notes how the check went.
run_check() {
  what_checked=$1 faults_then=$faults warnings_then=$warnings
  shift
  "$@"
  checks_made=$((checks_made + 1))
  if [ "$faults" -ne "$faults_then" ]; then
    checks_failed=$((checks_failed + 1))
    note_check failed "$what_checked"
  elif [ "$warnings" -ne "$warnings_then" ]; then
    checks_warned=$((checks_warned + 1))
    note_check warning "$what_checked"
  else
    note_check ok "$what_checked"
  fi
}

# run_check_of LIST WHAT COMMAND: a check that has nothing to look at is not needed.
run_check_of() {
  if [ -n "$1" ]; then run_check "$2" "$3"; else note_check "not needed" "$2"; fi
}

# note_check OUTCOME WHAT
note_check() {
  checks="$checks$(printf '  %-11s  %s' "$1" "$2")
"
}

run_preflight() {
  for requirement in $preflight; do
    run_check "$(requirement_in_words "$requirement")" "require_$requirement"
  done
  [ -n "$preflight" ] || note_check "not needed" "host name, cgroups, swap and what else pods need"
}

requirement_in_words() {
  case $1 in
  cgroup_v1) say "cgroup version 1" ;;
  no_swap) say "swap is off" ;;
  host_name) say "the host name is $node" ;;
  machine_id) say "the machine's ID" ;;
  kernel_modules) say "kernel modules" ;;
  iptables) say "a good version of iptables" ;;
  only_runtime) say "no other container runtime" ;;
  glibc) say "the C library" ;;
  *) say "$1" ;;
  esac
}

show_checks() {
  ! $dry_run || printf 'Checks of %s:\n%s' "$(describe_bundle "$here")" "$checks"
}

# stop_at_faults: shows all of them before that.
stop_at_faults() {
  [ "$faults" -ne 0 ] || return 0
  show_checks
  ! $dry_run || printf '%s of %s checks failed, see above.\n' "$checks_failed" "$checks_made" >&2
  give_up_on_faults
}

# stop_at_new_faults: at those of the last check, without which no other can be made.
stop_at_new_faults() { [ "$faults" -eq "$faults_then" ] || stop_at_faults; }

say_verdict() {
  case $checks_warned in
  0) say "All $checks_made checks passed. Nothing was changed." ;;
  *) say "All $checks_made checks passed, $checks_warned of them with a warning. Nothing was changed." ;;
  esac
}

show_version() {
  [ -f "$here/bundle.conf" ] || fault "$here has no bundle.conf" "run install.sh from the unpacked archive"
  [ "$faults" -eq 0 ] || return 1
  say "$(describe_bundle "$here")"
  if [ "$(id -u)" -ne 0 ]; then
    say "Only root can see what is installed here."
  elif [ ! -f "$state/installed/FILES" ]; then
    say "It is not installed here."
  elif [ "$(digest "$state/installed/SHA256SUMS")" = "$(digest "$here/SHA256SUMS")" ]; then
    say "Installed here on $(time_of "$state/installed/FILES")"
  else
    say "Another one is installed here since $(time_of "$state/installed/FILES"):"
    say "$(describe_bundle "$state/installed")"
  fi
}

# say_next: health checks are units' own.
say_next() {
  say "Next: see whether all is well, now or later:"
  say "  $state/installed/install.sh --status"
  for unit in $units; do
    health=$(unit_key X-Health "$unit")
    [ -z "$health" ] || say "  $health"
  done
  say "Machines of the cluster are installed in any order, and wait for each other."
  say "People need operator/admin.kubeconfig of the bundle for kubectl; no machine has it."
}

# What is installed here, and whether it is well. Needs root, and these parts: common.sh, records.sh, unit_keys.sh,
# units.sh, queue.sh, lock.sh, connections.sh. `state` is the caller's to set.

# describe_bundle DIRECTORY: in one line, by its bundle.conf. Earlier versions wrote down no build.
describe_bundle() {
  build=$(setting "$1" build)
  printf '%s of cluster %s, Kubernetes %s%s' "$(setting "$1" node)" "$(setting "$1" cluster)" "$(setting "$1" version)" \
    "${build:+, build $build}"
}

# time_of FILE: when it was last written.
time_of() { date -u -d "@$(stat -c %Y "$1")" '+%F %T UTC'; }

row() { printf '  %-34s %s\n' "$1" "$2"; }

# show_status: returns 1 if something is wrong.
show_status() {
  if [ "$(id -u)" -ne 0 ]; then
    fault "only root can see what is installed" "run it with sudo"
    return 1
  fi
  record=$state/installed missing='' still_sealed=false unmade=false
  [ ! -f "$state/package/bundle.conf" ] || record=$state/package
  if [ -f "$record/bundle.conf" ]; then
    units=$(setting "$record" units) ports=$(setting "$record" ports) address=$(setting "$record" address)
    show_bundle
    show_interrupted
    show_first_boot
    show_connections
    show_units
    show_ports
    show_files
  else
    show_interrupted
    show_first_boot
    [ "$faults" -ne 0 ] || fault "nothing is installed here" "run install.sh, or install this machine's package"
  fi
  case $faults,$unmade in
  0,false) say "All is well." ;;
  0,true) say "All that could be checked is well." ;;
  1,*) printf '1 thing is wrong, see above.\n' >&2 ;;
  *) printf '%s things are wrong, see above.\n' "$faults" >&2 ;;
  esac
  [ "$faults" -eq 0 ]
}

show_bundle() {
  say "$(describe_bundle "$record")"
  if [ "$record" = "$state/installed" ]; then
    say "Installed from an archive on $(time_of "$record/FILES")"
    return
  fi
  package=$(setting "$record" cluster)-$(setting "$record" node)
  package_state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  say "Installed as the package $package"
  [ "$package_state" = installed ] ||
    fault "the package is ${package_state:-unknown to dpkg}, not installed completely" "dpkg --configure -a"
  [ -z "$(setting "$record" seal)" ] ||
    [ "$(cat "$state/unsealed/of" 2>/dev/null)" = "$(digest /usr/lib/kube-bundle/secrets.cms)" ] || {
    still_sealed=true
    fault "the secrets of this machine are encrypted yet" "kube-bundle-unseal"
  }
}

# show_interrupted: what an installation of an archive left when it was stopped, or has still to do.
show_interrupted() {
  if lock_is_held; then
    say "Process ${holder%-*} is installing or removing at this moment."
  else
    # In a subshell, which alone takes `*` for a pattern.
    left=$(set +f && for pending_left in "$state"/pending-*; do [ ! -d "$pending_left" ] || printf x; done)
    [ -z "$left" ] || fault "an installation was stopped half-way" "run install.sh again"
  fi
  [ ! -s /run/kube-bundle.owed ] ||
    fault "files have changed, and the units were not restarted yet" "run install.sh again without --no-start"
}

# show_first_boot: how the installation by cloud-init ended, where there was one. What somebody has completed since then is
# no fault.
show_first_boot() {
  stamp_read=$(cat /var/lib/cloud/instance/kube-bundle 2>/dev/null || true)
  case $faults,$stamp_read in
  *,) ;;
  *,installed*) row "first boot" "$stamp_read" ;;
  0,*) row "first boot" "$stamp_read; it is installed now" ;;
  *) fault "the installation at the first boot has not ended well: $stamp_read" "see /var/log/kube-bundle-boot.log" ;;
  esac
}

# show_connections: before the units, which may be down for the want of one.
show_connections() {
  find_down_unit
  [ -n "$down" ] || return 0
  answers=$(probe_connections)
  [ -n "$answers" ] || return 0
  say "What the units need of other machines:"
  while read -r url answer; do
    case $answer in
    ok) row "$url" "answers over TLS" ;;
    open) row "$url" "answers" ;;
    unknown) row "$url" "not checked: openssl is not installed" ;;
    other-ca)
      row "$url" "another CA"
      fault "$url answers with a certificate of another CA" "see which cluster that machine belongs to"
      ;;
    none)
      row "$url" "no answer"
      fault "$url does not answer; what follows may come from that" "look at that machine first"
      ;;
    esac
  done <<END
$answers
END
}

# is_at_work UNIT: whether it is one that does one thing and stays, and has not done it yet.
is_at_work() { [ "$(property RemainAfterExit "$1")" = yes ] && [ "$(property SubState "$1")" = running ]; }

show_units() {
  say "Units:"
  for unit in $units; do
    since=$(property ActiveEnterTimestamp "$unit")
    if is_at_work "$unit"; then
      row "$unit" "at work, not done yet"
      fault "$unit has not done its work yet" "look again in a minute; if it goes on: journalctl --unit=$unit"
      report_waiting "$unit"
    elif [ -n "$(starts_before "$unit")" ]; then
      row "$unit" "queued"
      fault "$unit is not up: it is queued" "look at what it waits for: systemctl list-jobs"
      report_waiting "$unit"
    elif ! is_up "$unit"; then
      row "$unit" "$(active_state "$unit") ($(property SubState "$unit"))"
      fault "$unit is not up" "$(way_to_mend "$unit")"
      report_waiting "$unit"
    elif ! is_settled "$unit"; then
      row "$unit" "active for a few seconds"
      fault "$unit was started just now, and may not stay up" "look again in ten seconds"
    else
      # Without the day of the week.
      row "$unit" "active since ${since#* }"
      show_health "$unit"
    fi
    show_last_run "$unit"
    check_enabled "$unit"
  done
}

# check_enabled UNIT: an installation that was killed before it enabled units leaves some that no boot starts.
check_enabled() {
  case $(systemctl is-enabled "$1" 2>/dev/null || true) in
  disabled) fault "$1 is not enabled, and no boot starts it" "systemctl enable $1" ;;
  masked*) fault "$1 is masked, and nothing starts it" "systemctl unmask $1 && systemctl enable $1" ;;
  esac
}

# show_last_run TIMER: a timer is up, however what it starts has ended.
show_last_run() {
  case $1 in *.timer) ;; *) return 0 ;; esac
  timed=$(property Unit "$1")
  result=$(property Result "$timed")
  [ "$result" = success ] || {
    row "  its last run" "failed ($result)"
    fault "the last run of $timed failed" "see journalctl --unit=$timed"
  }
}

# way_to_mend UNIT: one that somebody stopped has nothing to say.
way_to_mend() {
  case $(active_state "$1") in
  inactive) say "systemctl start $1" ;;
  *) say "see journalctl --unit=$1" ;;
  esac
}

show_ports() {
  [ -n "$ports" ] || return 0
  say "Ports:"
  for port in $ports; do
    if is_listening "$port"; then
      row "$port" "listens"
    else
      row "$port" "nobody listens"
      fault "nobody listens on port $port" "see the units above"
    fi
  done
}

# show_health UNIT: what its own health check says, if it has one. Exit status 69 means that it could not be made.
show_health() {
  health=$(unit_key X-Health "$1")
  [ -n "$health" ] || return 0
  code=0
  # shellcheck disable=SC2086 # a command line
  said=$(timeout 20 $health 2>&1) || code=$?
  said=$(reason_in "$said")
  case $code in
  0) row "  its health check" passed ;;
  69)
    unmade=true
    row "  its health check" "not made: $said"
    ;;
  *)
    row "  its health check" failed
    fault "the health check of $1 failed${said:+: $said}" "see what it says: $health"
    ;;
  esac
}

# reason_in TEXT: its first error, or else its last line.
reason_in() {
  reason=
  while IFS= read -r line; do
    case $line in
    'error: '*)
      say "${line#error: }"
      return
      ;;
    *) reason=$line ;;
    esac
  done <<END
$1
END
  say "$reason"
}

# show_files: how long certificates of this bundle are still valid, also those inside kubeconfigs; and what is missing.
show_files() {
  say "Certificates:"
  now=$(date +%s)
  command -v openssl >/dev/null ||
    show_days "the first that ends; openssl, to tell which, is missing" "$(setting "$record" not_after)" "a certificate of this bundle"
  while read -r _ sum path _; do
    if [ "$sum" = - ] || { [ "$sum" = sealed ] && $still_sealed; }; then continue; fi
    if exists "/$path"; then show_certificate "/$path"; else missing="$missing /$path"; fi
  done <"$record/FILES"
  [ -z "$missing" ] || fault "files of this bundle are missing:$missing" "$(way_to_restore)"
}

# way_to_restore: dpkg takes a missing file below /etc for one that the administrator wants gone.
way_to_restore() {
  case $record in
  */package) say "install its packages again: dpkg --force-confmiss -i" ;;
  *) say "run install.sh of this bundle again" ;;
  esac
}

# show_certificate FILE: nothing of a file that is none.
show_certificate() {
  case $1 in
  *-key.pem) return ;;
  *.pem | *.kubeconfig) command -v openssl >/dev/null || return 0 ;;
  *) return ;;
  esac
  case $1 in
  *.pem) ends=$(openssl x509 -noout -enddate -in "$1" 2>/dev/null || true) ;;
  *) ends=$(certificate_in "$1" | openssl x509 -noout -enddate 2>/dev/null || true) ;;
  esac
  [ -n "$ends" ] || {
    has_no_end "$1" || fault "no certificate can be read in $1" "$(way_to_restore)"
    return 0
  }
  show_days "$1" "$(date -d "${ends#notAfter=}" +%s)" "$1"
}

# has_no_end FILE: a public key, or a kubeconfig with a token.
has_no_end() {
  while read -r line; do
    case $line in "-----BEGIN PUBLIC KEY-----" | "token: "*) return 0 ;; esac
  done <"$1"
  return 1
}

# show_days ROW END SUBJECT: END in seconds.
show_days() {
  days=$((($2 - now) / 86400))
  printf '  %-56s %5s days left\n' "$1" "$days"
  [ "$days" -ge 30 ] || fault "$3 ends soon, or has ended" "kube-bundle pki renew, build, and install the new bundle"
}

# certificate_in KUBECONFIG: nothing if it holds none.
certificate_in() {
  [ -f "$1" ] || return 0
  while read -r key value; do
    [ "$key" = client-certificate-data: ] || continue
    # It may stand on a line of its own.
    [ "$value" != ">-" ] || read -r value
    printf '%s' "$value" | base64 -d 2>/dev/null
    return
  done <"$1"
}

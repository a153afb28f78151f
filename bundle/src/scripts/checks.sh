# What must be true of a machine before anything is changed on it. The settings are the caller's to make: start,
# no_start (how to ask for that), address, node, units, ports, not_before, not_after.

# temporary_fault WHAT FIX: of a check that may pass later by itself.
temporary_fault() {
  fault "$@"
  temporary_faults=$((temporary_faults + 1))
}

# not_yet WHAT: notes what must be true only when the units start.
warnings=0
not_yet() {
  warn "$1"
  warnings=$((warnings + 1))
}

check_clock() {
  clock=$(date +%s)
  if [ "$clock" -lt "$not_before" ] || [ "$clock" -gt "$not_after" ]; then
    temporary_fault "this machine's clock says $(date -u -d "@$clock" +%FT%TZ), and the certificates are valid from $(date -u -d "@$not_before" +%FT%TZ) to $(date -u -d "@$not_after" +%FT%TZ)" \
      "set the clock, or, if it is right, build the bundle again after \`kube-bundle pki renew\`"
  fi
}

check_address() {
  previous=
  while read -r first second rest; do
    case "$first $second $rest" in
    "|-- "* | "+-- "*) previous=$second ;;
    "/32 host LOCAL"*) [ "$previous" != "$address" ] || return 0 ;;
    esac
  done </proc/net/fib_trie
  what="no interface of this machine has the address $address of $node"
  if $start; then
    temporary_fault "$what" "install the bundle of this machine, give it the address, or prepare it with $no_start"
  else
    not_yet "$what yet"
  fi
}

# Ports that our own units hold are theirs to hold.
check_ports() {
  for unit in $units; do
    case $(active_state "$unit") in active | activating | reloading | deactivating) return 0 ;; esac
  done
  for port in $ports; do
    ! is_listening "$port" || fault "port $port is in use" "stop what listens there; \`ss -ltnp 'sport = :$port'\` names it"
  done
}

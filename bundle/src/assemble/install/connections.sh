# Whether what the units connect to answers: other members of etcd, API servers. Units name it in X-Connects-To, behind the
# certificate of the CA that it must have.

check_connections() {
  unit_root=$here/root
  for unit in $units; do
    # shellcheck disable=SC2046 # a path and URLs
    set -- $(unit_key X-Connects-To "$unit")
    [ $# -gt 1 ] || continue
    authority=$here/root$1
    shift
    for url; do check_connection "$url"; done
  done
  unit_root=
}

# check_connection URL: no answer is a warning, because machines are installed one after another.
check_connection() {
  # What this machine itself is to run can't answer yet.
  case $1 in "https://$address:"*) case " $ports " in *" ${1##*:} "*) return 0 ;; esac ;; esac
  command -v openssl >/dev/null || {
    note_check "not checked" "$1: openssl is not installed"
    return 0
  }
  checks_made=$((checks_made + 1))
  answer=$(timeout 4 openssl s_client -connect "${1#https://}" -CAfile "$authority" </dev/null 2>/dev/null || true)
  case $answer in
  *"BEGIN CERTIFICATE"*"Verify return code: 0 "* | *"BEGIN CERTIFICATE"*"Verification: OK"*)
    note_check ok "$1 answers over TLS"
    return 0
    ;;
  *"BEGIN CERTIFICATE"*) note_check warning "$1: its certificate is of another CA" ;;
  *) note_check warning "$1: no answer; it may be installed later" ;;
  esac
  checks_warned=$((checks_warned + 1))
}

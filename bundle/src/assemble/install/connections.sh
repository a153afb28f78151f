# Whether what the units connect to answers: other members of etcd, API servers. Units name it in X-Connects-To, behind the
# certificate of the CA that it must have.

# check_connections: all at the same time. No answer is a warning, because machines are installed one after another.
check_connections() {
  answers=$(list_connections | while read -r authority url; do answer_of "$authority" "$url" & done | sort)
  while read -r url answer; do
    case $answer in
    '') continue ;;
    ok) note_check ok "$url answers over TLS" ;;
    other-ca) note_check warning "$url: its certificate is of another CA" ;;
    none) note_check warning "$url: no answer; it may be installed later" ;;
    unknown)
      note_check "not checked" "$url: openssl is not installed"
      continue
      ;;
    esac
    checks_made=$((checks_made + 1))
    [ "$answer" = ok ] || checks_warned=$((checks_warned + 1))
  done <<END
$answers
END
}

# list_connections: a line "CA URL" for each, without what this machine itself is to run.
list_connections() {
  unit_root=$here/root
  for unit in $units; do
    # shellcheck disable=SC2046 # a path and URLs
    set -- $(unit_key X-Connects-To "$unit")
    [ $# -gt 1 ] || continue
    authority=$1
    shift
    for url; do is_own "$url" || say "$authority $url"; done
  done
}

# is_own URL
is_own() {
  [ "${1%:*}" = "https://$address" ] || return 1
  case " $ports " in *" ${1##*:} "*) ;; *) return 1 ;; esac
}

# answer_of CA URL: "URL ok", "URL other-ca", "URL none", or "URL unknown" without openssl.
answer_of() {
  command -v openssl >/dev/null || {
    say "$2 unknown"
    return
  }
  said=$(timeout 4 openssl s_client -connect "${2#https://}" -CAfile "$here/root$1" </dev/null 2>/dev/null || true)
  case $said in
  *"BEGIN CERTIFICATE"*"Verify return code: 0 "* | *"BEGIN CERTIFICATE"*"Verification: OK"*) say "$2 ok" ;;
  *"BEGIN CERTIFICATE"*) say "$2 other-ca" ;;
  *) say "$2 none" ;;
  esac
}

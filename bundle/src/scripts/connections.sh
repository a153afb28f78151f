# Whether what the units connect to answers: other members of etcd, API servers. Units name it in X-Connects-To, behind the
# certificate of the CA that it must have.

# probe_connections: a line "URL ANSWER" for each, asked at the same time. Needs unit_keys.sh, and the settings units, address
# and ports; with unit_root, it looks at an unpacked bundle.
probe_connections() {
  list_connections | while read -r authority url; do answer_of "$authority" "$url" & done | sort
}

# list_connections: a line "CA URL" for each, without what this machine itself is to run.
list_connections() {
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

# answer_of CA URL: "URL ok", "URL other-ca" or "URL none"; without openssl "URL open", "URL none", or "URL unknown".
answer_of() {
  command -v openssl >/dev/null || {
    say "$2 $(answer_without_tls "${2#https://}")"
    return
  }
  said=$(timeout 4 openssl s_client -connect "${2#https://}" -CAfile "${unit_root-}$1" </dev/null 2>/dev/null || true)
  case $said in
  *"BEGIN CERTIFICATE"*"Verify return code: 0 "* | *"BEGIN CERTIFICATE"*"Verification: OK"*) say "$2 ok" ;;
  *"BEGIN CERTIFICATE"*) say "$2 other-ca" ;;
  *) say "$2 none" ;;
  esac
}

# answer_without_tls HOST:PORT: whether anybody listens there; only bash can connect by itself.
answer_without_tls() {
  command -v bash >/dev/null || {
    say unknown
    return
  }
  # shellcheck disable=SC2016 # for bash to expand
  if timeout 4 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "${1%:*}" "${1##*:}" 2>/dev/null; then say open; else say none; fi
}

# warn_of_connections: what doesn't answer is why units here don't come up.
warn_of_connections() {
  probe_connections | while read -r url answer; do
    case $answer in
    none) warn "$url does not answer; units here need it" ;;
    other-ca) warn "$url answers with a certificate of another CA; units here need one of theirs" ;;
    esac
  done
}

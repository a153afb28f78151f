# Who vouches for this bundle: a signature of SHA256SUMS by a key that this machine knows, or that --trust names. Keys that
# came with the bundle would prove nothing.

known_keys=/etc/kube-bundle/trust

# check_origin: sets what the table of checks says of it.
check_origin() {
  [ -n "$trust" ] || [ ! -d "$known_keys" ] || trust=$known_keys
  if [ -n "$trust" ]; then
    run_check "a signature by a key in $trust" require_signature
    return
  fi
  note_check "not checked" "who signed it: $known_keys has no keys"
  [ -z "$archive" ] || fault "the signature of $archive can not be checked: no trusted keys are here" \
    "name keys that came another way than this bundle: --trust DIR"
}

require_signature() {
  case $(readlink -f "$trust")/ in
  "$here"/*)
    fault "the keys in $trust came with this bundle, so they prove nothing" "name keys that came another way"
    return
    ;;
  esac
  program=$(verifier)
  if [ -z "$program" ]; then
    fault "no program here verifies signatures with the keys in $trust" \
      "install one of openssh-client (8.1 or later), gpgv, sqv, openssl (3.0 or later)"
  elif is_signed "$here"; then
    return 0
  elif [ -n "$archive" ]; then
    require_signed_archive
  else
    fault "SHA256SUMS of this bundle has no signature by a key in $trust, or was changed" \
      "if the bundle was signed after it was built, install with --archive FILE, the archive that this was unpacked from, with the bundle's SHA256SUMS and SHA256SUMS.sig beside it; if not, get it from who signs it: nothing in it can be trusted, not even this script"
  fi
}

# is_signed DIRECTORY: whether its SHA256SUMS has a signature by one of the keys.
is_signed() {
  signed=$1
  "signed_for_$program" >/dev/null 2>&1
}

# The list of a bundle that was signed after it was built names the archive as a whole, and that has the list of what is here.
require_signed_archive() {
  list=$(dirname "$archive")/SHA256SUMS
  # In a whole bundle the archive lies in nodes/NAME.
  [ -f "$list" ] || list=$(dirname "$archive")/../../SHA256SUMS
  if [ ! -f "$list" ]; then
    fault "there is no SHA256SUMS beside $archive" "copy SHA256SUMS and SHA256SUMS.sig of the bundle to where it lies"
    return
  fi
  # It is read more than once.
  faults_before=$faults sticky_parents=true
  directories_fix="copy it with SHA256SUMS and SHA256SUMS.sig to /root, as root, and name it there"
  for source in "$archive" "$list"; do
    check_directories_to "$(dirname "$source")"
    check_source_path "$source"
  done
  directories_fix='' sticky_parents=false checked_directories=''
  [ "$faults" -eq "$faults_before" ] || return 0
  if ! is_signed "${list%/*}"; then
    fault "$list has no signature by a key in $trust, or was changed" "get this bundle from who signs it"
    return
  fi
  name=$(name_in_list "$(digest "$archive")")
  if [ -z "$name" ]; then
    fault "$archive is not what was signed: $list has no such file" "copy the archive again, and unpack it again"
  elif [ "$(tar -xzOf "$archive" "$name/SHA256SUMS" 2>/dev/null)" != "$(cat "$here/SHA256SUMS")" ]; then
    fault "$here is not what $archive holds" "unpack that archive, and run the install.sh in it"
  fi
}

# name_in_list SUM: the name of the file with this sum, which is also that of the directory in an archive.
name_in_list() {
  while read -r sum path; do
    [ "$sum" != "$1" ] || basename "$path" .tar.gz
  done <"$list"
}

# verifier: the first program that is here and can read one of the signatures, and has a key to compare with.
verifier() {
  if [ -f "$trust/allowed_signers" ] && can_verify_ssh; then
    say ssh_keygen
  elif [ -f "$trust/apt.gpg" ] && command -v gpgv >/dev/null; then
    say gpgv
  elif [ -f "$trust/apt.gpg" ] && command -v sqv >/dev/null; then
    say sqv
  elif [ -f "$trust/release.pem" ] && command -v openssl >/dev/null; then
    # Version 1.1.1 has no -rawin.
    case $(openssl version) in "OpenSSL "[3-9]*) say openssl ;; esac
  fi
}

# can_verify_ssh: versions before 8.1 do not know -Y at all.
can_verify_ssh() {
  command -v ssh-keygen >/dev/null || return 1
  case $(ssh-keygen -Y verify 2>&1 </dev/null) in *"unknown option"* | *"llegal option"*) return 1 ;; esac
}

signed_for_ssh_keygen() {
  set -- -n kube-bundle -f "$trust/allowed_signers"
  [ ! -f "$trust/revoked_keys" ] || set -- "$@" -r "$trust/revoked_keys"
  for signature in "$signed/SHA256SUMS.sig" $(further_files "$signed/SHA256SUMS" sig); do
    [ -f "$signature" ] || continue
    who=$(ssh-keygen -Y find-principals -f "$trust/allowed_signers" -s "$signature") || continue
    # Each line of the list that has the key gives a line, with names separated by commas.
    who=$(say "$who" | head -n 1 | cut -d , -f 1)
    if ssh-keygen -Y verify "$@" -I "$who" -s "$signature" <"$signed/SHA256SUMS"; then return 0; fi
  done
  return 1
}

# further_files STEM ENDING: the names of what second and later signers wrote.
further_files() {
  for number in 2 3 4 5 6 7 8 9; do say "$1.$number.$2"; done
}

signed_for_sqv() { sqv --keyring "$trust/apt.gpg" "$signed/SHA256SUMS.asc" "$signed/SHA256SUMS"; }

# Its exit status would refuse a good signature beside one by an unknown key.
signed_for_gpgv() {
  said=$(gpgv --status-fd 1 --keyring "$trust/apt.gpg" "$signed/SHA256SUMS.asc" "$signed/SHA256SUMS") || true
  case $said in *"[GNUPG:] BADSIG "*) return 1 ;; esac
  case $said in *"[GNUPG:] VALIDSIG "*) return 0 ;; esac
  return 1
}

signed_for_openssl() {
  raw=$(mktemp)
  for key in "$trust/release.pem" $(further_files "$trust/release" pem); do
    for signature in "$signed/SHA256SUMS.ed25519" $(further_files "$signed/SHA256SUMS" ed25519); do
      if [ -f "$key" ] && [ -f "$signature" ] && openssl base64 -d -in "$signature" -out "$raw" &&
        openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$signed/SHA256SUMS" -sigfile "$raw"; then
        rm -f "$raw"
        return 0
      fi
    done
  done
  rm -f "$raw"
  return 1
}

# Opening what is encrypted. With `seal` set, files with keys and tokens are not below root/ but in secrets.cms, a tar archive
# with checksums, and FILES has `sealed` instead of their digests. It is opened in memory, before anything changes, and
# what was opened is gone when this script ends.

# Where FILES with all digests lies.
lists=$here
sealed=$here
may_ask=true
by_key_file="run this with --key FILE" ask_in_terminal=this

# source_of PATH: the file that is to be installed there.
source_of() {
  if [ -n "$opened" ] && exists "$opened/root/$1"; then say "$opened/root/$1"; else say "$here/root/$1"; fi
}

# The checksums of the bundle were compared before: CBC, which openssl of 2019 reads, does not notice a changed byte.
open_secrets() {
  # That only root can install was said already.
  [ "$(id -u)" -eq 0 ] || return 0
  command -v openssl >/dev/null || {
    fault "openssl is not installed, and keys in this bundle are encrypted" "install it"
    return
  }
  leave_at_end
  opened=$(mktemp -d /run/kube-bundle.XXXXXX)
  if find_key; then
    rm -f "$opened/key.pem"
    list_opened
  elif [ -n "$key_file" ]; then
    fault "the key in $key_file does not open the secrets of $node" \
      "name the key of this machine, $node.pem, or the recovery key"
  else
    fault "no key is here that opens the secrets of $node" "$(how_to_open)"
    # A disk may come later.
    temporary_faults=$((temporary_faults + 1))
  fi
}

# list_opened: FILES with the digests that came out of secrets.cms.
list_opened() {
  while read -r mode sum path owner; do
    if [ "$sum" = sealed ]; then
      sum=$(sum_of_opened "root/$path")
      [ -n "$sum" ] || fault "secrets.cms lacks /$path, which FILES has" "get this bundle again from who built it"
    fi
    say "$mode $sum $path${owner:+ $owner}"
  done <"$here/FILES" >"$opened/FILES"
  lists=$opened
}

# Opening what is encrypted. With `seal` set, files with keys and tokens are not below root/ but in secrets.cms, a tar archive
# with checksums, and FILES has `sealed` instead of their digests. It is opened in memory, before anything changes, and
# what was opened is gone when this script ends.

# Where FILES with all digests lies, and what was opened.
lists=$here
opened=

# source_of PATH: the file that is to be installed there.
source_of() {
  if [ -n "$opened" ] && exists "$opened/root/$1"; then say "$opened/root/$1"; else say "$here/root/$1"; fi
}

forget_secrets() {
  [ -z "$opened" ] || rm -rf "$opened"
  opened=
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
      "name the key of this machine, $node.pem, or the recovery key; see docs/secrets.md"
  else
    fault "no key is here that opens the secrets of $node" "$(how_to_open)"
    # A disk may come later.
    temporary_faults=$((temporary_faults + 1))
  fi
}

how_to_open() {
  case $seal in
  ssh-host) say "was /etc/ssh/ssh_host_ecdsa_key made again? build with the new key as \`recipient\` of $node, or run this with --key FILE" ;;
  passphrase) say "run this in a terminal, which asks for the passphrase, or with --key FILE" ;;
  *) say "attach the key disk, a file system labelled KBKEY with the file $node.pem, or run this with --key FILE" ;;
  esac
}

find_key() {
  if [ -n "$key_file" ]; then
    opens_with "$key_file"
    return
  fi
  for way in key_disk credential host_key terminal; do
    ! "opens_with_$way" || return 0
  done
  return 1
}

# opens_with KEY: openssl asks on the terminal for the passphrase of a key that has one.
opens_with() {
  [ -f "$1" ] || return 1
  openssl cms -decrypt -binary -inform DER -in "$here/secrets.cms" -inkey "$1" -out "$opened/secrets.tar" \
    </dev/null >/dev/null 2>&1 || return 1
  (cd "$opened" && tar -xf secrets.tar && sha256sum --quiet -c SHA256SUMS) >/dev/null 2>&1
}

# A second stick or disk, for this machine or for several.
opens_with_key_disk() {
  for device in $(blkid -c /dev/null -t LABEL=KBKEY -o device 2>/dev/null || true); do
    mkdir -p "$opened/disk"
    mount -o ro,nosuid,nodev,noexec "$device" "$opened/disk" 2>/dev/null || continue
    cp "$opened/disk/$node.pem" "$opened/key.pem" 2>/dev/null || true
    umount "$opened/disk" || umount -l "$opened/disk"
    ! opens_with "$opened/key.pem" || return 0
  done
  return 1
}

# What the hypervisor hands over (systemd.exec(5), SetCredential; SMBIOS needs version 252).
opens_with_credential() { opens_with /run/credentials/@system/kube-bundle.key; }

opens_with_host_key() {
  host_key=/etc/ssh/ssh_host_ecdsa_key
  if [ "$seal" != ssh-host ] || [ ! -f "$host_key" ]; then return 1; fi
  cp "$host_key" "$opened/key.pem"
  # openssl does not read the format of OpenSSH.
  ssh-keygen -q -p -P '' -N '' -m PKCS8 -f "$opened/key.pem" </dev/null >/dev/null 2>&1 || return 1
  opens_with "$opened/key.pem"
}

# The key that came with the bundle needs a passphrase, and somebody who knows it.
opens_with_terminal() {
  if [ ! -f "$here/secrets-key.pem" ] || ! (: </dev/tty) 2>/dev/null; then return 1; fi
  for try in 1 2 3; do
    say "The passphrase of cluster $cluster opens the secrets of $node (try $try of 3):"
    ! opens_with "$here/secrets-key.pem" || return 0
  done
  return 1
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

sum_of_opened() {
  while read -r sum_opened name; do
    [ "$name" != "$1" ] || say "$sum_opened"
  done <"$opened/SHA256SUMS"
}

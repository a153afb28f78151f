# Opening secrets.cms, in which files with keys and tokens come encrypted: a tar archive with SHA256SUMS and root/. The
# caller sets: sealed (the directory with it), seal, node, cluster, key_file, may_ask; by_key_file and ask_in_terminal, for
# messages.

# A directory in memory, while there is something in it.
opened=

forget_secrets() {
  [ -z "$opened" ] || rm -rf "$opened"
  opened=
}

how_to_open() {
  case $seal in
  ssh-host) say "was /etc/ssh/ssh_host_ecdsa_key made again? build with the new key as \`recipient\` of $node, or $by_key_file" ;;
  passphrase) say "run $ask_in_terminal in a terminal, which asks for the passphrase, or $by_key_file" ;;
  *) say "attach the key disk, a file system labelled KBKEY with the file $node.pem, or $by_key_file" ;;
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
  openssl cms -decrypt -binary -inform DER -in "$sealed/secrets.cms" -inkey "$1" -out "$opened/secrets.tar" \
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
  if ! $may_ask || [ ! -f "$sealed/secrets-key.pem" ] || ! (: </dev/tty) 2>/dev/null; then return 1; fi
  for try in 1 2 3; do
    say "The passphrase of cluster $cluster opens the secrets of $node (try $try of 3):"
    ! opens_with "$sealed/secrets-key.pem" || return 0
  done
  return 1
}

sum_of_opened() {
  while read -r sum_opened name; do
    [ "$name" != "$1" ] || say "$sum_opened"
  done <"$opened/SHA256SUMS"
}

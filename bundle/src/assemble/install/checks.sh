# Checks of the bundle and of what it would replace. Each notes its faults; none changes anything.

# Files must not change between check and installation, so only root may have write permission.
check_source() {
  faults_before=$faults
  directories_fix="unpack the archive again, as root, in /root or in a directory that mktemp -d made"
  sticky_parents=true
  check_directories_to "$here"
  while read -r _ name; do
    check_source_path "$here/$name"
  done <"$here/SHA256SUMS"
  while read -r _ sum path _; do
    [ "$sum" != - ] || check_source_path "$here/root/$path"
  done <"$here/FILES"
  check_source_path "$here/SHA256SUMS"
  check_source_path "$here/root"
  directories_fix='' sticky_parents=false checked_directories=''
}

# check_source_path PATH: one fault is enough to say that somebody else had a hand in it.
check_source_path() {
  if [ "$faults" -ne "$faults_before" ] || [ ! -e "$1" ]; then return 0; fi
  read_rights "$1"
  [ "$uid" -eq 0 ] || fault "$1 belongs to user $uid, who could change what is installed" "$directories_fix"
  [ -z "$writers" ] || fault "$writers may write to $1, and so change what is installed" "$directories_fix"
}

verify_bundle() {
  damaged=
  while read -r sum name; do
    if [ ! -f "$here/$name" ]; then
      damaged="$damaged  $name: missing
"
    elif [ "$(digest "$here/$name")" != "$sum" ]; then
      damaged="$damaged  $name: changed
"
    fi
  done <"$here/SHA256SUMS"
  while read -r _ sum path _; do
    case $sum in
    - | sealed) continue ;;
    '->'*) [ "$(content_of "$here/root/$path")" = "$sum" ] || damaged="$damaged  root/$path: not the link that FILES has
" ;;
    *) has_line "$here/SHA256SUMS" "$sum  root/$path" || damaged="$damaged  root/$path: without a checksum
" ;;
    esac
  done <"$here/FILES"
  [ -z "$damaged" ] || {
    printf '%s' "$damaged" >&2
    fault "this bundle is damaged; the lines above name the files" \
      "copy the archive again, compare it with SHA256SUMS of the bundle, and unpack it into an empty directory"
  }
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fault "only root can install" "run it with sudo"
  [ -d /run/systemd/system ] || fault "this machine was not booted with systemd" "install on a machine that runs systemd"
  [ "$(uname -m)" = x86_64 ] || fault "this machine is $(uname -m), and the programs are for x86_64" "install on an x86-64 machine"
}

check_archive_identity() {
  if [ -f "$state/package/bundle.conf" ]; then
    package="$(setting "$state/package" cluster)-$(setting "$state/package" node)"
    fault "the package $package has installed a control plane here, and units of an archive would hide its own" \
      "install the packages of this bundle, or run \`apt-get purge $package\` first; etcd keeps the cluster's objects"
  else
    check_package_ownership
  fi
  for record in $(records); do
    was="$(setting "$record" node) of cluster $(setting "$record" cluster)"
    [ "$was" = "$node of cluster $cluster" ] || {
      fault "this machine is $was, and the bundle is for $node of cluster $cluster" \
        "install this machine's own bundle, or run $record/install.sh --uninstall first"
      return
    }
  done
}

# What a package owns it may replace or remove at any time, its configuration even after its own removal.
check_package_ownership() {
  command -v dpkg-query >/dev/null || return 0
  there=
  while read -r _ sum path _; do
    if [ "$sum" != - ] && exists "/$path"; then there="$there /$path"; fi
  done <"$lists/FILES"
  [ -n "$there" ] || return 0
  # shellcheck disable=SC2086 # a list of paths
  owned=$(dpkg-query --search $there 2>/dev/null || true)
  [ -z "$owned" ] || fault "this belongs to the package ${owned%%:*}: ${owned#*: }" "purge it first: apt-get purge ${owned%%:*}"
}

check_targets() {
  if [ -d "$state" ]; then check_directories_to "$state"; else check_directories_to "${state%/*}"; fi
  while read -r _ sum path owner; do
    target=/$path
    if [ "$sum" = - ]; then
      check_target_directory "$target" "$owner"
      [ -z "$owner" ] || check_way_to "$target" "${owner%%:*}"
    elif [ -d "$target" ] && [ ! -L "$target" ]; then
      fault "$target is in the way: it is a directory" "move it away"
    elif exists "$target" && [ -z "$(digests_of "$path")" ] && ! $replace && [ "$(content_of "$target")" != "$sum" ]; then
      fault "$target is in the way: this bundle did not put it there" \
        "move it away, or install with --replace, which keeps it in $state/replaced"
    fi
  done <"$lists/FILES"
}

# check_target_directory DIRECTORY [OWNER:GROUP]: data that are kept from a system before may have the number that its user
# had there.
check_target_directory() {
  if [ -d "$1" ]; then
    ! is_in_data "${1#/}" || chown_options=-hR
    # shellcheck disable=SC2046 # nothing, or a number
    check_directories_to "$1" $(id -u "${2%%:*}" 2>/dev/null || true)
    chown_options=
  elif exists "$1"; then
    fault "$1 is in the way: a directory is wanted there" "move it away"
  fi
}

# Who is to own a file has to be there, or to be created.
check_file_owners() {
  unknown=
  while read -r _ _ _ owner; do
    [ -n "$owner" ] || continue
    case " $users " in *" ${owner%%:*}:"*) ;; *) user_exists "${owner%%:*}" || unknown="$unknown user ${owner%%:*}" ;; esac
    case " $users " in *" ${owner#*:}:"*) ;; *) [ -n "$(group_id "${owner#*:}")" ] || unknown="$unknown group ${owner#*:}" ;; esac
  done <"$lists/FILES"
  [ -z "$unknown" ] || fault "files of this bundle belong to users or groups that are not here:$unknown" "create them"
}

# need PATH BYTES: adds up what each file system is to take, by the directory that PATH lies in, since PATH itself may
# be a link to anywhere. Device numbers name the variables.
devices=
need() {
  place=${1%/*}
  while [ ! -e "$place" ]; do place=${place%/*}; done
  place=${place:-/}
  device=$(stat -Lc %d "$place")
  case " $devices " in *" $device "*) ;; *) devices="$devices $device" ;; esac
  eval "where_$device=\$place need_$device=\$((\${need_$device:-0} + $2))"
}

check_space() {
  need "$state" 1048576
  for target in $changed; do
    need "$target" "$(stat -c %s "$(source_of "${target#/}")")"
  done
  for target in $foreign; do
    need "$state" "$(stat -Lc %s "$target" 2>/dev/null || printf 0)"
  done
  for device in $devices; do
    bytes=0
    eval "bytes=\$need_$device place=\$where_$device"
    want=$((bytes / 1024 + 4096))
    free=$(df -Pk "$place" | { read -r _ && read -r _ _ _ free _ && printf '%s' "$free"; })
    [ "$free" -ge "$want" ] ||
      fault "$place has $((free / 1024)) MB free, and $((want / 1024)) MB are needed" "make room there"
  done
}

# check_connections: what the units connect to; no answer is a warning, because machines are installed one after another.
check_connections() {
  unit_root=$here/root
  answers=$(probe_connections)
  unit_root=
  while read -r url answer; do
    case $answer in
    '') continue ;;
    ok) note_check ok "$url answers over TLS" ;;
    other-ca) note_check warning "$url: its certificate is of another CA" ;;
    none) note_check warning "$url: no answer; it may be installed later" ;;
    open)
      note_check "not checked" "$url answers; openssl is missing to see its certificate"
      continue
      ;;
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

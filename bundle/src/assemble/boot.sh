# Runs once, at the end of a machine's first boot: finds what is to be installed, checks every byte of it, installs it.
# The digests stand above; whatever lies on a disk or on a web server is nothing without them.
umask 077
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
unset CDPATH

#include common.sh

#include unit_keys.sh

#include units.sh

log=/var/log/kube-bundle-boot.log
# Whoever waits for the first boot waits for this file, of one line: `started`, then `installed VERSION`, `failed`, or
# `sealed`: installed, but no key was there that opens the secrets, and the next boot tries again.
stamp=/var/lib/cloud/instance/kube-bundle
# Mounts and scratch, gone with the next boot.
work=/run/kube-bundle/boot
wait=300
start=true

finish() {
  printf '%s\n' "$1" >"$stamp.new"
  chmod 0644 "$stamp.new"
  # Empty after a power cut, it would say nothing.
  sync
  mv -f "$stamp.new" "$stamp"
}

# mount_labelled LABEL: a disk that comes late is waited for by nobody; all are there when this runs.
mount_labelled() {
  for device in $(blkid -c /dev/null -t "LABEL=$1" -o device); do
    place=$work/${device##*/}
    mkdir -p "$place"
    # Where somebody has it mounted already, to write even, it is read there.
    mount -o ro,nosuid,nodev,noexec "$device" "$place" || place=$(mounted_at "$device")
    if [ -n "$place" ]; then
      places="$places $place"
      say "Found $device, labelled $1"
    else
      warn "$device, labelled $1, can't be mounted"
    fi
  done
}

# mounted_at DEVICE
mounted_at() {
  while read -r device_mounted directory _; do
    [ "$device_mounted" != "$1" ] || {
      printf '%s' "$directory"
      return
    }
  done </proc/mounts
}

fetched=
# download URL FILE
download() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --connect-timeout 20 --speed-limit 1 --speed-time 60 --output "$2" "$1"
  elif command -v wget >/dev/null; then
    wget --no-verbose --tries=1 --timeout=60 --output-document="$2" "$1"
  else
    # cloud-init is written in it.
    python3 -c 'import shutil, sys, urllib.request as u; shutil.copyfileobj(u.urlopen(sys.argv[1], timeout=60), open(sys.argv[2], "wb"))' "$1" "$2"
  fi
}

fetch_all() {
  fetched=$(mktemp -d /var/tmp/kube-bundle-boot.XXXXXX)
  places=$fetched
  while read -r _ path; do
    # A server that boots beside this machine may come up later.
    tries=0
    until download "$mirror/$path" "$fetched/${path##*/}"; do
      tries=$((tries + 1))
      [ "$tries" -lt 10 ] || {
        fault "$mirror/$path can't be fetched" "serve the bundle's output directory there; /var/tmp has to hold it"
        return
      }
      sleep 6
    done
  done <<END
$payload
END
  give_up_on_faults
}

# Sets files. Of several places that have a file the first one with the right digest counts.
verify_all() {
  files='' count=0
  while read -r sum path; do
    name=${path##*/} found='' wrong=''
    for place in $places; do
      [ -f "$place/$name" ] || continue
      is=$(digest "$place/$name") || is="an error while it was read"
      if [ "$is" = "$sum" ]; then
        found=$place/$name
        break
      fi
      wrong="$place/$name: expected sha256 $sum, got $is"
    done
    if [ -n "$found" ]; then
      files="$files $found"
      count=$((count + 1))
    elif [ -n "$wrong" ]; then
      fault "$wrong" "write this machine's seed again, as the bundle has it"
    else
      fault "$name is nowhere: looked in${places:- no place, since no disk is labelled cidata}" \
        "attach this machine's seed, and, if seeds are split, the image with the programs"
    fi
  done <<END
$payload
END
  give_up_on_faults
}

# Whoever signed this bundle signs the next ones, too: install.sh looks here. Keys of the machine's image stay.
plant_trusted_keys() {
  keys=/etc/kube-bundle/trust
  [ -z "$trusted" ] || [ -e $keys ] || (umask 022 && mkdir -p $keys && say "$trusted" >$keys/allowed_signers)
}

# check_room: KiB that the packages say they take, and what is free below /usr.
check_room() {
  want=0
  for file in $files; do
    size=$(dpkg-deb --field "$file" Installed-Size)
    want=$((want + size))
  done
  free=$(df -Pk /usr | { read -r _ && read -r _ _ _ free _ && printf '%s' "$free"; })
  [ "$free" -ge "$want" ] ||
    fault "/usr has $((free / 1024)) MB free, and $((want / 1024)) MB are needed" "give the machine a larger disk"
}

# dpkg compares the places of files only while it unpacks, and then it is late for the packages before.
check_file_conflicts() {
  ours=
  for file in $files; do
    name=${file##*/}
    ours="$ours ${name%%_*}"
  done
  for file in $files; do
    replaced=$(dpkg-deb --field "$file" Replaces)
    dpkg-deb --ctrl-tarfile "$file" | tar -xOf - ./md5sums >"$work/paths"
    while read -r _ path; do
      exists "/$path" || continue
      owner=$(dpkg-query --search "/$path" 2>/dev/null) || continue
      owner=${owner%%[:,]*}
      case " $ours " in *" $owner "*) continue ;; esac
      case ", $replaced," in *", $owner,"*) continue ;; esac
      fault "/$path belongs to the package $owner" "take that package out of the machine's image"
    done <"$work/paths"
  done
}

# retry_checks COMMAND...: a clock that is still being set, and an address that is still on its way, are waited for.
retry_checks() {
  deadline=$(($(cut -d. -f1 /proc/uptime) + 60))
  while :; do
    checked=0
    KUBE_BUNDLE_TEMPORARY_STATUS=3 "$@" >"$work/said" 2>&1 </dev/null || checked=$?
    [ "$checked" -ne 0 ] || return 0
    if [ "$checked" -ne 3 ] || [ "$(cut -d. -f1 /proc/uptime)" -ge "$deadline" ]; then
      grep -v '^Nothing was changed' "$work/said" || true
      return 1
    fi
    sleep 5
  done
}

# What dpkg would ask each package, asked before any is unpacked, so that all of them are refused or none.
check_before_dpkg() {
  command -v dpkg >/dev/null || {
    fault "this system has no dpkg" "build with \`payload = \"tarball\"\` in [output.seed]"
    give_up_on_faults
  }
  check_room
  for file in $files; do
    name=${file##*/}
    # The word that dpkg would say.
    case $(dpkg-query --show --showformat='${db:Status-Status}' "${name%%_*}" 2>/dev/null || true) in
    '' | not-installed | config-files) verb=install ;;
    *) verb=upgrade ;;
    esac
    dpkg-deb --ctrl-tarfile "$file" | tar -xOf - ./preinst >"$work/preinst"
    retry_checks sh "$work/preinst" "$verb" || faults=$((faults + 1))
  done
  check_file_conflicts
  give_up_on_faults
}

# The image's own updates may hold dpkg's lock for a while. dpkg exits with 2 when it can't have its database, and with 1
# when a package fails.
install_packages() {
  check_before_dpkg
  # This script waits itself, and longer.
  export KUBE_BUNDLE_WAIT=0
  tries=0
  # Nobody is here to be asked about files that were changed by hand: they stay, as dpkg's default is.
  while :; do
    code=0
    # shellcheck disable=SC2086 # a list of files
    dpkg --force-confdef --force-confold --install $files >"$work/said" 2>&1 </dev/null || code=$?
    [ "$code" -ne 0 ] || break
    tries=$((tries + 1))
    [ "$tries" -gt 1 ] || cat "$work/said"
    if [ "$tries" -gt 60 ] || [ "$code" -ne 2 ]; then
      fault "dpkg failed half-way" "see the lines above, then \`dpkg --configure -a\`"
      return 1
    fi
    sleep 5
  done
  cat "$work/said"
  say "Installed $node of cluster $cluster, Kubernetes $version."
  is_sealed || wait_for_units || true
}

# Whether the packages are here, and their secrets are still encrypted.
is_sealed() {
  sealed=/usr/lib/kube-bundle/secrets.cms
  [ -f $sealed ] && [ "$(cat /var/lib/kube-bundle/unsealed/of 2>/dev/null)" != "$(digest $sealed)" ]
}

# What an earlier boot installed without a key.
look_for_key() {
  say "Looking again for the key of $node, cluster $cluster"
  if KUBE_BUNDLE_WAIT=0 kube-bundle-unseal </dev/null; then wait_for_units || true; fi
}

install_archive() {
  place=$(mktemp -d /var/tmp/kube-bundle-boot.XXXXXX)
  # shellcheck disable=SC2086 # one file
  if tar -xzf $files -C "$place"; then
    code=0
    # 75: installed, and something is not up yet.
    if retry_checks sh "$place"/*/install.sh --dry-run; then sh "$place"/*/install.sh --wait "$wait" || code=$?; else code=1; fi
    [ "$code" -ne 75 ] || code=0
    [ "$code" -ne 1 ] || say "Nothing was changed."
  else
    fault "the archive can't be unpacked in /var/tmp" "give the machine a larger disk"
    code=1
  fi
  rm -rf "$place"
  return "$code"
}

# Keys lie in what was installed from; where it is a copy on this machine's own disk, it goes.
remove_copies() {
  for file in $files; do
    name=${file##*/}
    rm -f "/run/kube-bundle/seed/$name" "/var/lib/cloud/seed/nocloud/$name" || true
  done
}

# Going back to an earlier seed has to install it again: its instance must not be one that was set up already.
clear_other_instances() {
  this=$(readlink -f "${stamp%/*}")
  for other in "${this%/*}"/*/; do
    [ "${other%/}" = "$this" ] || rm -f "${other}kube-bundle" "${other}sem/config_runcmd" "${other}sem/config_scripts_user"
  done
}

tidy() {
  for place in "$work"/*/; do
    umount "$place" 2>/dev/null || umount -l "$place" 2>/dev/null || true
  done
  rm -rf --one-file-system "$work" "$fetched" || true
}

set_up() {
  mkdir -p "$work"
  trap tidy EXIT
  # What a power cut left: keys may be in it.
  rm -rf /var/tmp/kube-bundle-boot.*
  say "First boot of $node, cluster $cluster, Kubernetes $version"
  places=
  if [ -n "$mirror" ]; then
    fetch_all
    say "Fetched from $mirror"
  else
    for place in /run/kube-bundle/seed /var/lib/cloud/seed/nocloud; do
      if [ -d "$place" ]; then
        places="$places $place"
        say "Found $place"
      fi
    done
    for label in cidata CIDATA kube-bundle KUBE-BUNDLE; do
      mount_labelled "$label"
    done
  fi
  verify_all
  plant_trusted_keys
  say "Verified: $count files, each with the sha256 that this machine's user data names"
  case $files in
  *.deb) install_packages ;;
  *) install_archive ;;
  esac
  remove_copies
  clear_other_instances
}

# What cloud-init shows of this depends on the image; the console and the log get it in any case.
report() {
  console=/dev/console
  [ -w "$console" ] || console=/dev/null
  while IFS= read -r line || [ -n "$line" ]; do
    # A log or a console that takes no more must not stop what is under way.
    printf 'kube-bundle: %s\n' "$line" >"$console" || true
    printf '%s\n' "$line" >>"$log" || true
  done 2>/dev/null
}

before=$(cat "$stamp" 2>/dev/null || true)
case $before in installed*) exit 0 ;; esac
[ "$before" = sealed ] || finish started
{
  trap '' PIPE
  # Inside an `if` nothing that fails would end it.
  set +e
  (
    set -e
    if [ "$before" = sealed ]; then look_for_key; else set_up; fi
  ) 2>&1
  code=$?
  if [ "$code" -eq 0 ] && is_sealed; then
    finish sealed
    say "Secrets are still encrypted. The next boot looks for the key again."
  elif [ "$code" -eq 0 ]; then
    finish "installed $version"
    say "Done."
  else
    finish failed
    say "This machine was not set up. $log has it all."
  fi
} | report
case $(cat "$stamp") in installed*) ;; *) exit 1 ;; esac

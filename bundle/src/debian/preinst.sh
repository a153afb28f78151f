# Refuses before anything is unpacked: dpkg would put its files over those that nobody told it of, and a machine that
# is another one, or whose clock is off, gets a control plane that trusts nobody.
#include common.sh

#include records.sh

#include owners.sh

#include checks.sh

#include data.sh

#include machine.sh

#include unit_keys.sh

#include paths.sh

unchanged="Nothing of this package was changed."
state=/var/lib/kube-bundle
start=true
no_start=KUBE_BUNDLE_START=no
[ "${KUBE_BUNDLE_START:-yes}" != no ] || start=false

# One machine, one identity. Packages of other nodes are in no conflict by their control files, or apt would offer to
# remove the node that is here.
check_package_identity() {
  for record in "$state/installed" "$state"/pending-*; do
    [ ! -f "$record/FILES" ] || {
      fault "a control plane was installed here from an archive, and its units would hide those of this package" \
        "run $record/install.sh --uninstall first; etcd keeps the cluster's objects"
      return
    }
  done
  was="$(setting "$state/package" node) of cluster $(setting "$state/package" cluster)"
  [ ! -f "$state/package/bundle.conf" ] || [ "$was" = "$node of cluster $cluster" ] ||
    fault "this machine is $was, and $package is for $node of cluster $cluster" \
      "install this machine's own package, or purge that of $was first"
}

# The units of the version that is installed.
check_dropped_units() {
  for unit in $(setting "$state/package" units); do
    case " $units " in *" $unit "*) ;; *) check_dropped_unit "$unit" KUBE_BUNDLE_FORCE=yes ;; esac
  done
}

# dpkg removes files that only the version before has: its keys, where this one has them encrypted. Without a key that
# opens those, postinst puts the old ones back.
: "${seal:=}"
keep_secrets() {
  if [ -z "$seal" ] || [ ! -f "$state/package/FILES" ] || [ -n "$(setting "$state/package" seal)" ]; then return 0; fi
  while read -r mode sum path _; do
    if [ "$mode" != 0600 ] || [ "$sum" = - ] || [ ! -f "/$path" ]; then continue; fi
    (umask 077 && mkdir -p "$state/kept/${path%/*}")
    cp -pf "/$path" "$state/kept/$path"
  done <"$state/package/FILES"
}

case ${1-} in
install | upgrade) ;;
*) exit 0 ;;
esac
# Another root than this machine's can't be judged from here.
[ -z "${DPKG_ROOT:-}" ] || exit 0
check_package_identity
# The rest is about a machine that runs, not about an image in the making.
if [ -d /run/systemd/system ]; then
  check_clock
  check_address
  check_ports
  check_preflight
  [ "${KUBE_BUNDLE_FORCE:-no}" = yes ] || check_dropped_units
fi
# When dpkg was killed, files that it had put in place are written down nowhere, and the next run is an upgrade.
[ "$1" != install ] || check_unowned_files
check_package_directories
# Directories that are to be a user's.
for entry in $user_directories; do check_way_to "/${entry%%:*}" "${entry#*:}"; done
check_data
give_up_on_faults
keep_secrets

# Refuses before anything is unpacked: dpkg would put its files over those that nobody told it of, and a machine that
# is another one, or whose clock is off, gets a control plane that trusts nobody.
#include common.sh

#include checks.sh

state=/var/lib/kube-bundle
start=true
no_start=KUBE_BUNDLE_START=no
[ "${KUBE_BUNDLE_START:-yes}" != no ] || start=false

# One machine, one identity. Packages of other nodes are in no conflict by their control files, or apt would offer to
# remove the node that is here.
check_identity() {
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

# Files that no package owns are somebody's.
check_paths() {
  there=
  for path in $paths; do
    if exists "/$path"; then there="$there /$path"; fi
  done
  [ -n "$there" ] || return 0
  # shellcheck disable=SC2086 # a list of paths
  owned=$(dpkg-query --search $there 2>/dev/null || true)
  for path in $there; do
    case "$owned
" in
    *": $path
"*) ;;
    *) fault "$path is in the way: no package put it there" "move it away" ;;
    esac
  done
}

case ${1-} in
install | upgrade) ;;
*) exit 0 ;;
esac
if [ -n "$node" ]; then
  check_identity
  # The rest is about a machine that runs, not about an image in the making.
  if [ -d /run/systemd/system ] && [ -z "${DPKG_ROOT:-}" ]; then
    check_clock
    check_address
    check_ports
  fi
fi
check_paths
give_up_on_faults

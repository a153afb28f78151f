#!/bin/sh
# Shows what kube-bundle has installed on this machine, and whether it is well.
set -eu
unset CDPATH
export LC_ALL=C PATH=/sbin:/usr/sbin:/bin:/usr/bin
# Lists are split at spaces, and nothing in them is a pattern.
set -f

state=/var/lib/kube-bundle
start=true
wait=0

#include common.sh

#include records.sh

#include unit_keys.sh

#include units.sh

#include queue.sh

#include lock.sh

#include connections.sh

#include status.sh

case $#${1-} in
0) ;;
1-h | 1--help)
  cat <<END
Usage: $0
Shows what is installed here, its units, ports and certificates, and what is wrong.

Exit status: 0 all is well; 1 something is wrong; 2 wrong usage.
END
  exit 0
  ;;
*)
  printf 'error: unknown option %s\n  fix: %s --help\n' "$1" "$0" >&2
  exit 2
  ;;
esac
show_status

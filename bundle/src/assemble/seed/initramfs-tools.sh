#!/bin/sh
# initramfs-tools(7): run by /init when the root is mounted at $rootmnt.
[ "${1-}" != prereqs ] || exit 0
root=$rootmnt
. /kube-bundle/plant.sh

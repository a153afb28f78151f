# Refuses before anything is unpacked: dpkg would put a program over one that nobody told it of.

#include common.sh

#include owners.sh

#include paths.sh

unchanged="Nothing of this package was changed."
# Programs are root's.
users=

# When dpkg was killed, files that it had put in place are written down nowhere, and the next run is an upgrade.
[ "${1-}" != install ] || [ -n "${DPKG_ROOT:-}" ] || check_unowned_files
case ${1-} in install | upgrade) [ -n "${DPKG_ROOT:-}" ] || check_package_directories ;; esac
give_up_on_faults

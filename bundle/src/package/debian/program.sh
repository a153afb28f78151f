# Refuses before anything is unpacked: dpkg would put a program over one that nobody told it of.

#include common.sh

#include paths.sh

# When dpkg was killed, files that it had put in place are written down nowhere, and the next run is an upgrade.
[ "${1-}" != install ] || [ -n "${DPKG_ROOT:-}" ] || check_paths
give_up_on_faults

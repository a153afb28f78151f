#!/bin/sh
# Opens the secrets that the package of this machine has encrypted, puts them in their places, and starts the units.
set -eu
unset CDPATH
export LC_ALL=C PATH=/sbin:/usr/sbin:/bin:/usr/bin

record=/var/lib/kube-bundle/package

#include common.sh

#include records.sh

key_file=
case $#${1-} in
0) ;;
2--key) key_file=$2 ;;
1-h | 1--help)
  cat <<END
Usage: $0 [--key FILE]
Opens the secrets of this machine's package, which came encrypted, and starts its units.

  --key FILE   the private key; default: one on a file system labelled KBKEY, from the
               hypervisor, of the SSH server, or with a passphrase

Exit status: 0 done; 1 no key opens them, or something else is wrong; 2 wrong usage.
END
  exit 0
  ;;
*)
  printf 'error: unknown option %s\n  fix: %s --help\n' "$1" "$0" >&2
  exit 2
  ;;
esac
[ "$(id -u)" -eq 0 ] || fault "only root can do this" "run it with sudo"
[ -z "$key_file" ] || [ -f "$key_file" ] || fault "$key_file is no file" "name a file with a private key"
[ -n "$(setting "$record" seal)" ] || fault "nothing that is encrypted is installed here" "there is nothing to do"
give_up_on_faults
package=$(setting "$record" cluster)-$(setting "$record" node)

# unseal_with KEY: postinst puts the secrets in their places, and starts units. It does not say whether it found a key.
unseal_with() {
  # deb-systemd-helper(1p) wants to know for whom it works.
  export DPKG_MAINTSCRIPT_PACKAGE="$package" DPKG_MAINTSCRIPT_NAME=postinst
  KUBE_BUNDLE_KEY=$1 sh "/var/lib/dpkg/info/$package.postinst" configure "$(setting "$record" version)" || {
    printf 'error: it is not for the want of a key that %s could not be configured: see above\n' "$package" >&2
    printf '  fix: mend that, then: kube-bundle-unseal\n' >&2
    exit 1
  }
  [ "$(cat /var/lib/kube-bundle/unsealed/of 2>/dev/null)" = "$(digest /usr/lib/kube-bundle/secrets.cms)" ]
}

if unseal_with "$key_file"; then exit 0; fi
# The key that came with the package has a passphrase.
if [ -z "$key_file" ] && [ -f /usr/lib/kube-bundle/secrets-key.pem ] && (: </dev/tty) 2>/dev/null; then
  say "The passphrase of cluster $(setting "$record" cluster) opens the secrets:"
  if unseal_with /usr/lib/kube-bundle/secrets-key.pem; then exit 0; fi
fi
exit 1

#!/bin/sh
# Installs the files beside this script on this machine, or removes them again.
# Needs a POSIX shell, coreutils and systemd. Nothing is changed before every check has passed.
set -eu
umask 077
unset CDPATH
export LC_ALL=C PATH=/sbin:/usr/sbin:/bin:/usr/bin
# Lists are split at spaces, and nothing in them is a pattern.
set -f

# /var/lib/kube-bundle holds
#   package/     what a Debian package has installed; then this script refuses to
#   installed/   what is installed: FILES, SHA256SUMS, TRIGGERS, bundle.conf, install.sh
#   pending-*/   the same of installations that are under way, or were interrupted
#   previous/    our own files that the last installation replaced
#   replaced/    files of others that we replaced; foreign lists them, foreign-units what their units did
#   created      directories that we made; modes, owners: what directories were that we closed or gave to a user
#   data         directories that nothing but --purge removes
state=/var/lib/kube-bundle
new=.kube-bundle-new
# Paths of what has changed since this boot and no unit was restarted for yet.
pending_restarts=/run/kube-bundle.owed

here=$(dirname "$(readlink -f "$0")")
action=install
dry_run=false
verbose=false
trust=
archive=
key_file=
replace=false
force=false
start=true
no_start=--no-start
wait=90

usage() {
  cat <<END
Usage: $0 [OPTION]...
Installs what this machine is to have of the cluster, from this directory.

  --check          check everything, say what would change and whether what this machine
                   needs answers; change nothing
  --verbose        with --check: list the files
  --dry-run        --check --verbose; with --uninstall or --purge: say what would be removed
  --trust DIR      require a signature by a key in DIR, such as \`kube-bundle trust init\` writes;
                   default: $known_keys, if it is there
  --archive FILE   the archive that this was unpacked from, for a bundle that was signed after it
                   was built, whose SHA256SUMS and SHA256SUMS.sig are to lie beside FILE
  --key FILE       open encrypted secrets with the private key in FILE; default: one on a file system
                   labelled KBKEY, from the hypervisor, of the SSH server, or with a passphrase
  --replace        install over files that something else put there; they are kept
                   in $state/replaced and put back on removal
  --force          restart units even where the cluster may not bear it, such as etcd
                   while another member is down, and remove them where others need them
  --no-start       enable the units, and leave starting them to the next boot
  --wait SECONDS   how long to wait for the units (default: $wait)
  --uninstall      remove what was installed; logs, data and changed files stay
  --purge          remove what was installed, its logs, and its data
  --status         show what is installed here and whether it is well; change nothing
  --version        say which bundle this is
  -h, --help       this text

Exit status: 0 done, or all is well; 1 a check failed and nothing was changed, or with
--status: something is wrong; 2 wrong usage;
70, 129, 130, 143 stopped half-way, run it again; 75 installed, but not every unit stays up yet.
END
}

#include common.sh

#include records.sh

#include owners.sh

#include needs.sh

#include checks.sh

#include data.sh

#include machine.sh

#include unit_keys.sh

#include cleanup.sh

#include units.sh

#include queue.sh

#include lock.sh

#include connections.sh

#include status.sh

#include install/report.sh

#include install/checks.sh

#include install/origin.sh

#include unseal.sh

#include install/secrets.sh

#include install/plan.sh

#include install/transaction.sh

#include install/units.sh

#include install/removal.sh

refuse_argument() {
  printf 'error: %s\n' "$1" >&2
  exit 2
}

run_checks() {
  run_check "root, systemd, x86-64" check_machine
  if [ "$(id -u)" -eq 0 ]; then
    run_check "only root can change this bundle" check_source
    stop_at_new_faults
  fi
  check_origin
  stop_at_new_faults
  run_check "the files of this bundle are undamaged" verify_bundle
  stop_at_new_faults
  if [ -n "$seal" ]; then
    run_check "a key opens the secrets of this machine" open_secrets
    stop_at_new_faults
  fi
  run_check "the clock, compared with the certificates" check_clock
  run_check "no other node and no package is installed here" check_archive_identity
  run_check "the address $address" check_address
  run_check_of "$ports" "free ports: $ports" check_ports
  run_preflight
  run_check_of "$commands" "commands that the units need" check_commands
  run_check_of "$users" "system users" check_users
  run_check "owners of files" check_file_owners
  run_check "no files of others in the way, and safe directories" check_targets
  run_check_of "$data_of" "data that are here already are of this cluster" check_data
  run_check_of "$(online_waits)" "systemd's wait for the network" check_online
  compute_changes
  run_check "disk space" check_space
  stop_at_faults
  run_check_of "$dropped$(units_to_restart)" "units may be stopped or restarted now" check_restarts
  stop_at_faults
}

install_bundle() {
  [ "$(id -u)" -ne 0 ] || $dry_run || take_lock
  run_checks
  if $dry_run; then
    check_connections
    show_checks
    describe_changes
    say_verdict
    return
  fi
  had_record=$(records)
  pending=$state/pending-$(date +%s)-$$
  made=
  except=$(missing_users)
  except=${except:+, but for the system users}
  mkdir -p "$state"
  trap 'undo_placing; leave
    printf "error: the files could not be placed, see above. Nothing was changed%s.\n" "$except" >&2; exit 1' EXIT
  create_users
  keep_foreign
  write_record "$pending"
  place_new_files
  trap interrupted EXIT
  commit
  if [ -n "$had_record" ]; then note_data true; else note_data false; fi
  if [ -n "$changed$obsolete$dropped" ]; then
    say "Installed $node of cluster $cluster, Kubernetes $version."
  else
    say "$node of cluster $cluster was installed already; no file changed."
  fi
  start_or_restart_units
  leave
  trap - EXIT
  code=0
  wait_for_units || code=$?
  [ "$code" -ne 75 ] || warn_of_connections
  say_next
  return "$code"
}

while [ $# -gt 0 ]; do
  case $1 in
  --check) dry_run=true ;;
  --dry-run) dry_run=true verbose=true ;;
  --verbose) verbose=true ;;
  --replace) replace=true ;;
  --force) force=true ;;
  --no-start) start=false ;;
  --wait)
    shift
    case ${1-} in '' | *[!0-9]* | 0?* | ???????*)
      usage >&2
      exit 2
      ;;
    esac
    wait=$1
    ;;
  --trust)
    shift
    trust=${1-}
    [ -d "$trust" ] || refuse_argument "--trust: $trust is no directory"
    ;;
  --archive)
    shift
    archive=${1-}
    [ -f "$archive" ] || refuse_argument "--archive: $archive is no file"
    ;;
  --key)
    shift
    key_file=${1-}
    [ -f "$key_file" ] || refuse_argument "--key: $key_file is no file"
    ;;
  --uninstall) action=uninstall ;;
  --purge) action=purge ;;
  --status) action=status ;;
  --version) action=version ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    printf 'error: unknown option %s\n' "$1" >&2
    usage >&2
    exit 2
    ;;
  esac
  shift
done

case $action in
uninstall | purge)
  uninstall_bundle
  exit
  ;;
status)
  show_status
  exit
  ;;
version)
  show_version
  exit
  ;;
esac

if [ "$here" = "$state/installed" ]; then
  fault "this install.sh stayed here to show and to remove what was installed" \
    "add --status, --version, --uninstall or --purge; to install, run the one in an unpacked archive"
  give_up_on_faults
fi
for needed in FILES SHA256SUMS TRIGGERS bundle.conf root; do
  if [ ! -e "$here/$needed" ]; then
    fault "$here has no $needed" "run install.sh from the unpacked archive"
  fi
done
give_up_on_faults
# Settings of the bundle; one that an earlier version did not write is empty.
cluster=$(setting "$here" cluster)
node=$(setting "$here" node)
version=$(setting "$here" version)
address=$(setting "$here" address)
units=$(setting "$here" units)
ports=$(setting "$here" ports)
data=$(setting "$here" data)
data_of=$(setting "$here" data_of)
users=$(setting "$here" users)
commands=$(setting "$here" commands)
preflight=$(setting "$here" preflight)
modules=$(setting "$here" modules)
not_before=$(setting "$here" not_before)
not_after=$(setting "$here" not_after)
seal=$(setting "$here" seal)
install_bundle

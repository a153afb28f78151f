# What roles ask of a machine beside commands, users and ports. The settings are the caller's to make: preflight, a list of
# the checks below, without their prefix; modules, those that the bundle has the kernel load. Needs checks.sh and unit_keys.sh.

check_preflight() {
  for requirement in $preflight; do "require_$requirement"; done
}

# The kubelet of v1.16 reads controllers of version 1 and ends without them.
require_cgroup_v1() {
  missing=
  for controller in cpu cpuacct cpuset memory pids devices freezer; do
    is_mounted_controller "$controller" || missing="$missing $controller"
  done
  [ -z "$missing" ] || fault "the kubelet of v1.16 needs cgroup version 1, and these controllers are not mounted:$missing" \
    "add systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 to the kernel's command line, for systemd 256 and 257 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 as well, and reboot; systemd 258 and later can't do it"
}

is_mounted_controller() {
  while read -r _ _ type options _; do
    case "$type,$options," in cgroup,*",$1,"*) return 0 ;; esac
  done </proc/mounts
  return 1
}

require_no_swap() {
  [ -r /proc/swaps ] || return 0
  swaps=
  while read -r area _; do
    case $area in Filename) ;; *) swaps="$swaps $area" ;; esac
  done </proc/swaps
  [ -z "$swaps" ] || fault "swap is on, and the kubelet does not start with it:$swaps" \
    "swapoff -a, and remove the lines from /etc/fstab (mask the units that \`systemctl --type swap\` lists)"
}

# The kubelet registers the node by it, and its certificates name the node.
require_host_name() {
  name=$(cat /proc/sys/kernel/hostname)
  [ "$name" != "$node" ] || return 0
  if $start; then
    temporary_fault "this machine is called $name, and the bundle is for $node" "hostnamectl set-hostname $node"
  else
    not_yet "this machine is called $name, and not $node yet"
  fi
}

require_machine_id() {
  id=$(cat /etc/machine-id 2>/dev/null || true)
  case $id in
  ????????????????????????????????) ;;
  *) fault "this machine has no ID in /etc/machine-id" "systemd-machine-id-setup; a clone of another machine needs one of its own" ;;
  esac
}

require_kernel_modules() {
  missing=
  for module in $modules; do
    has_module "$module" || load_module "$module" || missing="$missing $module"
  done
  [ -z "$missing" ] || fault "the kernel has no modules$missing" "install the complete kernel of the distribution, and reboot into it"
}

# has_module NAME: whether the kernel has it, built in or loaded, as far as that can be seen.
has_module() {
  case $1 in
  overlay) has_filesystem overlay ;;
  br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] ;;
  nf_conntrack) [ -e /proc/sys/net/netfilter/nf_conntrack_max ] ;;
  *) [ -d "/sys/module/$1" ] ;;
  esac
}

has_filesystem() {
  while read -r first second; do
    [ "${second:-$first}" != "$1" ] || return 0
  done </proc/filesystems
  return 1
}

# load_module NAME: whether it could be loaded; nothing is loaded yet.
load_module() {
  for modprobe in /sbin/modprobe /usr/sbin/modprobe; do
    [ ! -x "$modprobe" ] || {
      "$modprobe" --dry-run "$1" 2>/dev/null
      return
    }
  done
  return 1
}

# 1.8.1 and 1.8.2 add kubelet's rules again and again (kubernetes#82361).
require_iptables() {
  command -v iptables >/dev/null || return 0
  case $(iptables --version 2>/dev/null || true) in
  *" v1.8.1 "* | *" v1.8.2 "*) fault "iptables of this version repeats rules without end: $(iptables --version)" "install 1.8.3 or later, or 1.6" ;;
  esac
}

# Ours would take over what another one runs, and remove it at the end.
require_only_runtime() {
  # That of the bundle says how it is removed.
  [ -z "$(unit_key X-Cleanup containerd.service)" ] || return 0
  [ ! -S /run/containerd/containerd.sock ] ||
    fault "another containerd runs on this machine, perhaps Docker's" "remove it (apt-get purge containerd docker.io, or containerd.io): a worker's containerd is the bundle's"
}

require_glibc() {
  command -v getconf >/dev/null || return 0
  found=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
  case $found in
  "glibc "*) ;;
  *)
    fault "this machine has no GNU C library, which containerd is linked to" "install on a distribution that has it"
    return 0
    ;;
  esac
  found=${found#glibc }
  [ "${found%%.*}" -gt 2 ] || [ "${found#*.}" -ge 31 ] ||
    fault "the C library is $found, and containerd needs 2.31" "install on Debian 11, Ubuntu 20.04 or later"
}

# Copies the seed from the initramfs to the root that is about to be booted, or, with `kube-bundle=run` on the kernel's
# command line, to /run, which is gone with the next boot. $root is set; all there is here may be klibc's cat, mkdir and
# mount.
umask 022
from=/kube-bundle/seed
to=$root/var/lib/cloud/seed/nocloud
for word in $(cat /proc/cmdline); do
  [ "$word" != kube-bundle=run ] || to=/run/kube-bundle/seed
done

tell_console() { echo "kube-bundle: $1" >/dev/console; }

options='' run_options=''
while read -r _ directory _ mounted _; do
  [ "$directory" != "$root" ] || options=$mounted
  [ "$directory" != /run ] || run_options=$mounted
done </proc/mounts

# What this seed installs may be installed (the instance's name stands in quotes): then only the small files are wanted, for the instance to stay the same.
instance='' stamp=''
while read -r key value; do
  [ "$key" != instance-id: ] || instance=$value
done <"$from/meta-data"
instance=${instance#?}
instance=${instance%?}
[ ! -f "$root/var/lib/cloud/instances/$instance/kube-bundle" ] ||
  read -r stamp _ <"$root/var/lib/cloud/instances/$instance/kube-bundle"

plant() {
  mkdir -p "${to%/*}"
  umask 077
  mkdir -p "$to"
  # Without it nothing here is a seed, so it goes first and comes last.
  : >"$to/meta-data"
  for file in "$to"/*.deb "$to"/*.tar.gz; do
    # An earlier seed's, with its keys.
    [ ! -f "$file" ] || [ -f "$from/${file##*/}" ] || : >"$file"
  done
  for file in "$from"/*; do
    name=${file##*/}
    case $name in
    meta-data) continue ;;
    *.deb | *.tar.gz) [ "$stamp" != installed ] || continue ;;
    esac
    cat "$file" >"$to/$name" || return 1
  done
  cat "$from/meta-data" >"$to/meta-data"
}

same() { [ -f "$to/meta-data" ] && [ "$(cat "$to/meta-data")" = "$(cat "$from/meta-data")" ]; }

if [ "$stamp" = installed ] && same; then
  tell_console "the seed in $to is this one already"
else
  case $to in
  /run/*)
    # A tenth of the memory is too little for programs, and that is what it is made with.
    [ "$stamp" = installed ] || mount -o "remount,$run_options,size=50%" none /run
    options=
    ;;
  esac
  case $options in ro | ro,*) mount -o "remount,rw${options#ro}" none "$root" ;; esac
  if plant; then tell_console "seeded $to"; else tell_console "error: the seed can't be written to $to; is that disk full?"; fi
  case $options in ro | ro,*) mount -o "remount,$options" none "$root" ;; esac
fi

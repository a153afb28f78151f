# Copies the seed from the initramfs to the root that is about to be booted, or, with `kube-bundle=run` on the kernel's
# command line, to /run, which is gone with the next boot. $root is set; all there is here may be klibc's
# cat, mkdir and mount.
umask 022
from=/kube-bundle/seed
to=$root/var/lib/cloud/seed/nocloud
for word in $(cat /proc/cmdline); do
  [ "$word" != kube-bundle=run ] || to=/run/kube-bundle/seed
done

options=
while read -r _ directory _ mounted _; do
  [ "$directory" != "$root" ] || options=$mounted
done </proc/mounts

plant() {
  mkdir -p "${to%/*}"
  umask 077
  mkdir -p "$to"
  for file in "$from"/*; do
    name=${file##*/}
    [ "$name" = meta-data ] || cat "$file" >"$to/$name" || return 1
  done
  # Without it nothing here is a seed, so it comes last.
  cat "$from/meta-data" >"$to/meta-data"
}

say() { echo "kube-bundle: $1" >/dev/console; }

case $to in
/run/*)
  # A tenth of the memory is too little for programs, and that is what it is made with.
  mount -o remount,size=50% none /run
  options=
  ;;
esac
if [ -f "$to/meta-data" ] && [ "$(cat "$to/meta-data")" = "$(cat "$from/meta-data")" ]; then
  say "the seed in $to is this one already"
else
  case $options in ro | ro,*) mount -o remount,rw none "$root" ;; esac
  if plant; then say "seeded $to"; else say "error: the seed can't be written to $to; is that disk full?"; fi
  case $options in ro | ro,*) mount -o remount,ro none "$root" ;; esac
fi

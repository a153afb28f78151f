# Sourced by initramfs-tools' /init before it runs any script. The distribution's own list of scripts stays as it is,
# and gets a line more.
mkdir -p /scripts/init-bottom
echo '/scripts/init-bottom/kube-bundle "$@"' >>/scripts/init-bottom/ORDER

# What systemd has not started yet. Not for a first boot, when the network is up and user data has to be small.

# Tells units.sh that this is here.
queue_of=starts_before

# starts_before UNIT: what is before it in systemd's queue, such as a network that is not up.
starts_before() {
  case $(active_state "$1"),$(property Job "$1") in inactive,?*) ;; *) return 0 ;; esac
  for other in $(property After "$1"); do
    [ -z "$(property Job "$other")" ] || printf ' %s' "$other"
  done
}

# online_waits: those of systemd's services that wait for the network and are on here.
online_waits() {
  for unit in systemd-networkd-wait-online.service NetworkManager-wait-online.service; do
    case $(active_state "$unit") in active | activating | failed) printf '%s ' "$unit" ;; esac
  done
}

# check_online: all our units start after it.
check_online() {
  for unit in $(online_waits); do
    state_seen=$(active_state "$unit")
    [ "$state_seen" = active ] ||
      not_yet "$unit is $state_seen: the units wait until it times out, at each boot; see \`networkctl\` or \`nmcli\`"
  done
}

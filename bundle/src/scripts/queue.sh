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

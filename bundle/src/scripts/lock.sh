# The lock of installations is a link that names its holder, made in one step: "PID-START", since a number alone may have
# come round.
lock=/run/kube-bundle.lock

# started_at PID: in clock ticks since the machine was booted (proc(5), stat); empty if the process has ended.
started_at() {
  { read -r process <"/proc/$1/stat"; } 2>/dev/null || return 0
  # The name, which stands in parentheses, may hold anything.
  # shellcheck disable=SC2086 # fields
  set -- ${process##*) }
  printf '%s' "${20}"
}

# lock_is_held: whether the holder, which is set, still runs.
lock_is_held() {
  holder=$(readlink "$lock" || true)
  [ -n "$holder" ] && [ "$(started_at "${holder%-*}")" = "${holder#*-}" ]
}

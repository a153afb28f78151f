# What installations have written down.

# setting DIRECTORY KEY: the value of KEY=VALUE in its bundle.conf, which is read and never run.
setting() {
  [ -f "$1/bundle.conf" ] || return 0
  while IFS='=' read -r key value; do
    [ "$key" != "$2" ] || printf '%s' "$value"
  done <"$1/bundle.conf"
}

# has_line FILE LINE
has_line() {
  [ -f "$1" ] || return 1
  while IFS= read -r line; do
    [ "$line" != "$2" ] || return 0
  done <"$1"
  return 1
}

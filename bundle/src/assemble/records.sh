# What installations have written down.
# FILES has a line for each entry: MODE SUM PATH [OWNER:GROUP]. SUM is the sha256 of a file, `->TARGET` for a symbolic
# link, `-` for a directory. The last column is missing where both are root, and in lists of earlier versions.

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

# content_of PATH: what FILES would say of it as SUM; `missing` if nothing is there.
content_of() {
  if [ -L "$1" ]; then
    printf '%s' "->$(readlink "$1")"
  elif [ -f "$1" ]; then
    digest "$1"
  elif [ -d "$1" ]; then
    printf '%s' -
  else
    printf missing
  fi
}

# What units need of a machine. The settings are the caller's to make: users, a list of NAME:HOME, and commands, a list of
# COMMAND or COMMAND:PACKAGE.

user_exists() { id -u "$1" >/dev/null 2>&1; }

# group_id GROUP
group_id() {
  { getent group "$1" 2>/dev/null || cat /etc/group; } | while IFS=: read -r group _ gid _; do
    [ "$group" != "$1" ] || printf '%s' "$gid"
  done
}

missing_users() {
  for user in $users; do
    user_exists "${user%%:*}" || printf '%s ' "$user"
  done
}

# Looked for before anything is changed.
check_users() {
  [ -n "$(missing_users)" ] || return 0
  command -v useradd >/dev/null || command -v systemd-sysusers >/dev/null ||
    fault "no command here creates system users, and these are needed: $(missing_users)" "install useradd, or create them"
}

# They are never deleted: files of theirs may be anywhere.
create_users() {
  for user in $(missing_users); do
    create_user "${user%%:*}" "${user#*:}" || {
      printf 'error: the system user %s could not be created, see above\n' "${user%%:*}" >&2
      return 1
    }
    say "Created the system user ${user%%:*}"
  done
}

# create_user NAME HOME: with a group of the same name, no password and no shell.
create_user() {
  shell=/usr/sbin/nologin
  [ -x "$shell" ] || shell=/bin/false
  if command -v useradd >/dev/null; then
    own_group=--user-group
    [ -z "$(group_id "$1")" ] || own_group=--gid=$1
    useradd --system "$own_group" --home-dir "$2" --no-create-home --shell "$shell" "$1" >&2
  else
    printf 'u %s - - %s %s\n' "$1" "$2" "$shell" >/run/kube-bundle-sysusers.conf
    systemd-sysusers /run/kube-bundle-sysusers.conf >&2
  fi
}

# One fault names all that are missing.
check_commands() {
  missing='' missing_packages=''
  for wanted in $commands; do
    ! command -v "${wanted%%:*}" >/dev/null || continue
    missing="$missing, ${wanted%%:*}"
    case $wanted in
    *:*) case " $missing_packages " in *" ${wanted#*:} "*) ;; *) missing_packages="$missing_packages ${wanted#*:}" ;; esac ;;
    esac
  done
  [ -z "$missing" ] || fault "commands are missing: ${missing#, }" \
    "${missing_packages:+apt-get install$missing_packages, or }install what provides them"
}

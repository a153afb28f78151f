# Whose the data are that units leave. The settings are the caller's to make: cluster, data, and data_of, the sha256 of the
# public key of the CA that the data belong to.

# A file in each directory of data, with a line "SHA256 CLUSTER". It stays and goes with them, also to another machine.
data_note=.kube-bundle-cluster

# holds_files DIRECTORY: whether there is anything but directories, and our note, in it.
holds_files() {
  case $(ls -lAR --ignore="$data_note" "/$1" 2>/dev/null) in -* | *"
-"*) return 0 ;; esac
  return 1
}

# check_data: etcd would take up another cluster's objects without a word, and nothing could decrypt their Secrets.
check_data() {
  [ -n "$data_of" ] || return 0
  for directory in $data; do
    noted=/$directory/$data_note
    if [ ! -r "$noted" ] || ! holds_files "$directory"; then continue; fi
    while read -r noted_sum noted_cluster; do
      [ "$noted_sum" = "$data_of" ] ||
        fault "/$directory holds the data of cluster $noted_cluster, of another CA than the one of this bundle" \
          "keep them and begin anew: mv /$directory /$directory.of-$noted_cluster; if they are this cluster's all the same: rm $noted"
    done <"$noted"
  done
}

# is_in_data PATH: whether it is a directory of data, or lies in one.
is_in_data() {
  for directory_of_data in $data; do
    case $1/ in "$directory_of_data"/*) return 0 ;; esac
  done
  return 1
}

# give PATH OWNER:GROUP: data go with all that is in them: a system before may have had another number for their user.
give() {
  if [ ! -d "/$1" ]; then
    chown -h "$2" "/$1"
  elif is_in_data "$1" && [ "$(stat -Lc %u "/$1")" != "$(id -u "${2%%:*}")" ]; then
    chown -hR "$2" "/$1/"
  else
    chown "$2" "/$1"
  fi
}

# note_data ARE_OURS: writes down whose the data are; not of those that were there before us.
note_data() {
  [ -n "$data_of" ] || return 0
  for directory in $data; do
    noted=/$directory/$data_note
    if [ ! -d "/$directory" ] || has_line "$noted" "$data_of $cluster"; then continue; fi
    $1 || ! holds_files "$directory" || continue
    rm -f "$noted"
    # It follows no link that somebody else could have made.
    (set -C && umask 022 && printf '%s %s\n' "$data_of" "$cluster" >"$noted")
  done
}

# forget_empty_data DIRECTORY: a note about nothing.
forget_empty_data() { holds_files "$1" || rm -f "/$1/$data_note"; }

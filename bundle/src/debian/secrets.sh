# Secrets that come encrypted are put in their places here, since dpkg knows nothing of them.
#   unsealed/   SUMS, "digest path" of the files that were put in place, and `of`, the digest of what they came from
#   kept/       those of the version before, which had them in the clear
: "${seal:=}"
sealed=/usr/lib/kube-bundle
key_file=${KUBE_BUNDLE_KEY:-}
# Whoever runs kube-bundle-unseal is there to be asked; openssl asks for the passphrase of the key that this names.
may_ask=false
by_key_file="run \`kube-bundle-unseal --key FILE\`" ask_in_terminal=\`kube-bundle-unseal\`

# unseal: ends the script if there is no key; everything but the units is as it should be then.
unseal() {
  if [ -z "$seal" ] || is_unsealed; then return 0; fi
  trap forget_secrets EXIT
  opened=$(mktemp -d /run/kube-bundle.XXXXXX)
  find_key || {
    restore_kept
    warn "no key is here that opens the secrets of $node, so its units stay as they are"
    printf '  fix: %s\n  then: kube-bundle-unseal\n' "$(how_to_open)" >&2
    exit 0
  }
  plant_secrets
  forget_secrets
  trap - EXIT
}

is_unsealed() {
  [ "$(cat "$state/unsealed/of" 2>/dev/null)" = "$(digest "$sealed/secrets.cms")" ] || return 1
  while read -r sum path; do
    [ "$(content_of "/$path")" = "$sum" ] || return 1
  done <"$state/unsealed/SUMS"
}

plant_secrets() {
  mkdir -p "$state/unsealed"
  rm -f "$state/unsealed/of"
  touch "$state/unsealed/SUMS"
  while read -r mode sum path _; do
    [ "$sum" = sealed ] || continue
    install -m "$mode" "$opened/root/$path" "/$path.kube-bundle-new"
    mv -fT "/$path.kube-bundle-new" "/$path"
    printf '%s %s\n' "$(sum_of_opened "root/$path")" "$path"
  done <"$state/package/FILES" >"$state/unsealed/SUMS.new"
  # Those that the version before had.
  while read -r _ path; do
    has_line_ending "$state/unsealed/SUMS.new" " $path" || rm -f "/$path"
  done <"$state/unsealed/SUMS"
  mv -f "$state/unsealed/SUMS.new" "$state/unsealed/SUMS"
  # After a power cut, `of` must not speak of keys whose bytes are lost.
  sync
  digest "$sealed/secrets.cms" >"$state/unsealed/of"
  rm -rf "$state/kept"
}

restore_kept() {
  [ -d "$state/kept" ] || return 0
  mkdir -p "$state/unsealed"
  while read -r _ sum path _; do
    if [ "$sum" != sealed ] || [ ! -f "$state/kept/$path" ] || exists "/$path"; then continue; fi
    cp -p "$state/kept/$path" "/$path.kube-bundle-new"
    sync
    mv -fT "/$path.kube-bundle-new" "/$path"
    printf '%s %s\n' "$(digest "/$path")" "$path" >>"$state/unsealed/SUMS"
  done <"$state/package/FILES"
}

# has_line_ending FILE END
has_line_ending() {
  while IFS= read -r line; do
    case $line in *"$2") return 0 ;; esac
  done <"$1"
  return 1
}

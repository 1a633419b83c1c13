#!/usr/bin/env bash
# Installs the Debian packages of scripts/packages.txt that are missing, as root or through sudo; needs no network when none is.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=()
while read -r package; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done < <(sed 's/#.*//' "$root/scripts/packages.txt" | grep -o '[^[:space:]]\+')
[ ${#missing[@]} -eq 0 ] && exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo > /dev/null && { sudo -n true 2> /dev/null || [ -t 0 ]; }; then
  as_root=(sudo)
else
  printf 'error: %d packages are missing and this user cannot install them. Run as root:\n\n' "${#missing[@]}" >&2
  printf '  apt-get update && %s\n\n' "${install[*]}" >&2
  exit 1
fi
say "installing ${#missing[@]} packages: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}"

#!/usr/bin/env bash
# From a bare Debian 12 to a styled photo: installs what is missing, fetches the network's weights, builds, paints a style and applies it.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << EOF
usage: scripts/demo.sh [--device D] [CONTENT STYLE]

Paints CONTENT (a photo) in the manner of STYLE (a painting); both are PNG, JPEG or BMP files.
Without them: a cup of coffee, in the manner of a night sky that Noyau itself paints.
The results are in demo/: content.png, style.png, result.png, trace.json.
EOF
}

device=()
pictures=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --device) [ $# -ge 2 ] || { usage >&2; exit 2; }; device=(--device "$2"); shift 2 ;;
    --device=*) device=("$1"); shift ;;
    -*) usage >&2; exit 2 ;;
    *) pictures+=("$1"); shift ;;
  esac
done
[ ${#pictures[@]} -eq 0 ] || [ ${#pictures[@]} -eq 2 ] || { usage >&2; exit 2; }
for picture in "${pictures[@]}"; do [ -f "$picture" ] || fail "there is no file $picture"; done

"$root/scripts/install_packages.sh"
"$root/scripts/fetch_assets.sh"
build_targets programs

demo=$root/demo
bin=$build/bin
mkdir -p "$demo"
if [ ${#pictures[@]} -eq 2 ]; then
  content=${pictures[0]} style=${pictures[1]}
else
  content=$data/coffee.png
  style=$build/painting.png
  if [ ! -f "$style" ] || [ "$bin/noyau-paint" -nt "$style" ]; then
    say "painting a style"
    "$bin/noyau-paint" "${device[@]}" -o "$style"
  fi
fi
"$bin/noyau" convert "$content" "$demo/content.png"
"$bin/noyau" convert "$style" "$demo/style.png"

say "styling"
"$bin/noyau-style" "$demo/content.png" "$demo/style.png" -o "$demo/result.png" --trace "$demo/trace.json" "${device[@]}"

cat << EOF

The picture is  $demo/result.png
made from       $demo/content.png
in the style of $demo/style.png
timings, losses $demo/trace.json

Try your own:   scripts/demo.sh PHOTO.jpg PAINTING.jpg
More options:   ${bin#"$PWD/"}/noyau-style --help
EOF

# What the tests of programs share; sourced. BIN: the programs, SOURCE: the source tree.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

data=${XDG_DATA_HOME:-$HOME/.local/share}/noyau
weights=$data/squeezenet-v1.1.safetensors
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export NOYAU_CACHE_DIR=$work/cache
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}
finish() {
  [ "$failures" -eq 0 ] && echo "all as expected"
  exit $((failures > 0))
}
need_assets() {
  for file in "$weights" "$data/coffee.png" "$data/chelsea.png"; do
    if [ ! -f "$file" ]; then
      echo "skipped: $file is missing; run scripts/fetch_assets.sh"
      exit 77
    fi
  done
}

# expect CODE COMMAND...: runs it, its output in $output, and compares the exit code.
expect() {
  local wanted=$1 code=0
  shift
  output=$("$@" 2>&1) || code=$?
  [ "$code" -eq "$wanted" ] || fail "exit code $code, not $wanted: $* -- $output"
}
# says TEXT...: each is in the output of the last command.
says() {
  for text in "$@"; do
    case $output in *"$text"*) ;; *) fail "no '$text' in: $output" ;; esac
  done
}
# A picture of 48 x 32 pixels, made by the program that paints.
small_picture() { "$BIN/noyau-paint" -o "$1" --width 48 --height 32 --oversampling 1 --seed "${2:-1}"; }

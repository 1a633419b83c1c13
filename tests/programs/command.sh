# The noyau command: doctor, devices, version, convert.
source "$(dirname "$0")/common.sh"

expect 0 "$BIN/noyau" doctor
says cpu:0 llvm
expect 0 "$BIN/noyau" devices
says "cpu:0" runs "null:0" plans
expect 0 "$BIN/noyau" version
[[ $output =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "a strange version: $output"
expect 2 "$BIN/noyau"
expect 2 "$BIN/noyau" dance

# A module that is not there is reported with the path and the loader's words, and cpu:0 is no more.
mkdir modules
expect 0 env NOYAU_MODULE_PATH="$work/modules" "$BIN/noyau" doctor
says "$work/modules/noyau_llvm.so"

small_picture a.png
for ending in bmp png jpg; do expect 0 "$BIN/noyau" convert a.png "b.$ending"; done
cmp a.png b.png || fail "a PNG converted to PNG is another"
expect 0 "$BIN/noyau" convert b.bmp c.png
cmp a.png c.png || fail "by way of BMP it is another picture"
expect 1 "$BIN/noyau" convert a.png b.gif
says b.gif
finish

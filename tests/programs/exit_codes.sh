# Exit codes and help of every program.
source "$(dirname "$0")/common.sh"

for program in noyau-style noyau-paint noyau-matrix noyau-convolution noyau-bench noyau; do
  expect 0 "$BIN/$program" --help
  says "$program"
  expect 2 "$BIN/$program" --no-such-option
done
expect 0 "$BIN/noyau-style" --help
says --size --scales --iterations --lr --content-weight --style-weight --tv-weight --content-layers \
  --style-layers --init --jitter --ema --seed --weights --device --save-every --progress \
  --check-gradient --benchmark --list-layers --features --trace "Exit codes" 130

expect 2 "$BIN/noyau-style"
says CONTENT
expect 2 "$BIN/noyau-style" a.png b.png
expect 2 "$BIN/noyau-style" a.png b.png -o c.png --content-layers fire99
says fire99
expect 2 "$BIN/noyau-style" a.png b.png -o c.png --scales 64,128 --iterations 1,2,3
expect 2 "$BIN/noyau-style" a.png b.png -o c.png --size 7
expect 2 "$BIN/noyau-convolution"
expect 2 "$BIN/noyau-matrix" none

expect 3 "$BIN/noyau-style" a.png b.png -o c.png --weights "$work/none.safetensors"
says "$work/none.safetensors" scripts/fetch_assets.sh --weights
expect 3 env XDG_DATA_HOME="$work/nowhere" "$BIN/noyau-style" --features a.png
says "$work/nowhere/noyau/squeezenet-v1.1.safetensors"

expect 0 "$BIN/noyau-style" --list-layers
says conv1 fire2 fire9
expect 0 "$BIN/noyau-style" --list-devices
says cpu:0
expect 1 "$BIN/noyau-paint" -o a.png --device cuda:97
says cuda:97 cpu:0
[ -e a.png ] && fail "a picture without a device"
finish

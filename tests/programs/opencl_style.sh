# A small run on OpenCL, without float64: the same picture again, nothing compiled the second time.
source "$(dirname "$0")/common.sh"
need_assets
export NOYAU_OPENCL_POSE=float32

style() {
  "$BIN/noyau-style" "$data/coffee.png" "$data/chelsea.png" --device opencl:0 --size 80 --scales 64,80 --iterations 8,4 "$@"
}

expect 0 style -o first.png --trace first.json
grep -q '"kernels_compiled": 0,' first.json && fail "the first run compiled nothing"
expect 0 style -o second.png --trace second.json
cmp first.png second.png || fail "another picture with the same seed"
grep -q '"kernels_compiled": 0,' second.json || fail "a second run compiled: $(grep kernels second.json)"
expect 0 env NOYAU_DEBUG=3 "$BIN/noyau-style" "$data/coffee.png" "$data/chelsea.png" --device opencl:0 --size 80 \
  --scales 64,80 --iterations 8,4 -o third.png
says "found " " on disk, "
case $output in *"noyau: compiled "*) fail "a third run optimised: $(grep 'compiled ' <<< "$output" | head -3)" ;; *) ;; esac
finish

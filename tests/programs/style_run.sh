# A small run: result, trace, progress, the same bits again, nothing compiled the second time.
source "$(dirname "$0")/common.sh"
need_assets

style() { "$BIN/noyau-style" "$data/coffee.png" "$data/chelsea.png" --size 96 --scales 64,96 --iterations 12,6 "$@"; }

expect 0 style -o first.png --trace first.json --progress json --print-every 1
[ "$(grep -c '"iteration"' <<< "$output")" -eq 18 ] || fail "18 lines of progress, not: $output"
python3 - << 'PYTHON' || fail "the trace"
import json
trace = json.load(open("first.json"))
assert trace.keys() == {"device", "kernels_compiled", "cache_hits", "pool_peak_bytes", "rss_peak_bytes",
                        "seconds", "iterations"}, trace.keys()
steps = trace["iterations"]
assert len(steps) == 18 and [s["scale"] for s in steps] == [64] * 12 + [96] * 6
assert all(s.keys() == {"scale", "iteration", "content", "style", "tv", "total", "seconds"} for s in steps)
assert steps[11]["style"] < steps[0]["style"], "the style loss falls"
assert abs(3 * steps[3]["content"] + 30 * steps[3]["style"] + .005 * steps[3]["tv"] - steps[3]["total"]) < 1e-4
assert 0 < trace["pool_peak_bytes"] and 0 < trace["rss_peak_bytes"] and trace["kernels_compiled"] > 0
PYTHON

expect 0 style -o second.png --trace second.json --progress lines
says "iteration" "it/s" "left"
cmp first.png second.png || fail "another picture with the same seed"
grep -q '"kernels_compiled": 0,' second.json || fail "a second run compiled: $(grep kernels second.json)"

expect 0 env NOYAU_THREADS=1 "$BIN/noyau-style" "$data/coffee.png" "$data/chelsea.png" --size 96 --scales 64,96 \
  --iterations 12,6 -o one_thread.png
cmp first.png one_thread.png || fail "one thread gives another picture"
for tier in 0 1; do
  expect 0 env NOYAU_TIER=$tier NOYAU_CACHE_DIR="$work/cache$tier" "$BIN/noyau-style" "$data/coffee.png" \
    "$data/chelsea.png" --size 96 --scales 64,96 --iterations 12,6 -o tier.png
  cmp first.png tier.png || fail "tier $tier gives another picture"
done
expect 0 style -o other.png --seed 2
cmp -s first.png other.png && fail "the same picture with another seed"
expect 0 style -o bar.png --progress bar
says "[####" "18/18"
for init in noise gray style "$data/chelsea.png"; do expect 0 style -o init.png --init "$init" --ema 0; done

expect 0 "$BIN/noyau-style" "$data/coffee.png" "$data/chelsea.png" --size 96 --benchmark 3
says '"ms"' '"device"'
expect 0 style --check-gradient
says "they agree"
finish

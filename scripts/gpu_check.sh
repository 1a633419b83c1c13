#!/usr/bin/env bash
# Builds Noyau on a machine with an NVIDIA GPU, CMake, a C++20 compiler, the CUDA toolkit and Python, runs the GPU's tests
# and benchmarks, and leaves logs, JSON and a Markdown table in OUTDIR. LLVM, oneDNN and Debian's packages are not needed
# with a folder that scripts/pack_deps.sh packed: in $NOYAU_DEPS, or deps/ in the project.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 1 ] || fail "usage: scripts/gpu_check.sh OUTDIR"
mkdir -p "$1"
out=$(cd "$1" && pwd)
deps=${NOYAU_DEPS:-$root/deps}
device=${NOYAU_GPU:-cuda:0}
build=$root/build/gpu
options=(-DCMAKE_BUILD_TYPE=Release)
[ -d "$deps" ] && options+=("-DNOYAU_DEPS=$deps")
command -v ninja > /dev/null && options+=(-G Ninja)

say "building in $build"
cmake -S "$root" -B "$build" "${options[@]}" > "$out/configure.log" 2>&1 || { cat "$out/configure.log" >&2; fail "CMake failed"; }
cmake --build "$build" -j "$(nproc)" > "$out/build.log" 2>&1 || { tail -n 40 "$out/build.log" >&2; fail "the build failed"; }

export PATH=$build/bin:$PATH
noyau doctor | tee "$out/doctor.txt"
noyau devices | grep -q "^$device" || fail "there is no $device; $out/doctor.txt says why"
{ nvidia-smi || true; nvcc --version || true; } > "$out/machine.txt" 2>&1

failed=0
say "testing on $device"
(cd "$build" && ctest -L gpu --output-on-failure --no-tests=error --output-junit "$out/tests.xml") > "$out/tests.log" 2>&1 || failed=1
tail -n 15 "$out/tests.log"

say "benchmarks on $device"
: > "$out/bench.json"
for case in $(noyau-bench --list | awk '{print $1}'); do
  noyau-bench --device "$device" --case "$case" >> "$out/bench.json" 2> "$out/bench-$case.log" || {
    failed=1
    say "the case $case failed: $(tail -n 1 "$out/bench-$case.log")"
  }
done
python3 - "$out/bench.json" > "$out/bench.md" << 'EOF'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1]) if line.strip().startswith("{")]
keys = list(dict.fromkeys(key for row in rows for key in row))
print("| " + " | ".join(keys) + " |\n|" + "---|" * len(keys))
for row in rows:
    print("| " + " | ".join(str(row.get(key, "")) for key in keys) + " |")
EOF
cat "$out/bench.md"
say "everything is in $out"
exit $failed

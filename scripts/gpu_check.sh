#!/usr/bin/env bash
# Builds Noyau on a machine with an NVIDIA GPU, CMake, a C++20 compiler, the CUDA toolkit and Python, runs the GPU's tests
# and its benchmarks beside PyTorch, CuPy and JAX, and leaves seven files in OUTDIR: machine.txt, build.log, tests.log,
# tests.xml, bench.md, bench.json, bench.log. LLVM, oneDNN and Debian's packages are not needed with a folder that
# scripts/pack_deps.sh packed: deps/ in the project (git ignores it: copy it there along with the tree, 5 MB), or
# $NOYAU_DEPS. Each step has a time of its own, and what it has found by then is kept: all are done in ten minutes.
# SPDX-License-Identifier: Apache-2.0
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << EOF
usage: scripts/gpu_check.sh OUTDIR [build] [test] [bench]

Does the named steps, or all. From the environment:
  NOYAU_GPU          the device (cuda:0)
  NOYAU_GPU_BUILD    where to build (build/gpu)
  NOYAU_GPU_SECONDS  for all (560): the build gets 200 at most, the tests 150, the benchmarks what is left
  NOYAU_GPU_SIZES    of the benchmarks (gpu): tiny tries them out
  NOYAU_GPU_PEERS    the device of the other libraries (cuda)
  NOYAU_DEPS         what scripts/pack_deps.sh packed (deps/)
  PYTHON             that has the other libraries (python3)
EOF
}

[ $# -ge 1 ] || { usage >&2; exit 2; }
case $1 in -h | --help) usage; exit 0 ;; esac
mkdir -p "$1" || fail "there is no folder $1"
out=$(cd "$1" && pwd)
shift
steps=${*:-build test bench}
for step in $steps; do case $step in build | test | bench) ;; *) usage >&2; exit 2 ;; esac done

deps=${NOYAU_DEPS:-$root/deps}
device=${NOYAU_GPU:-cuda:0}
build=${NOYAU_GPU_BUILD:-$root/build/gpu}
python=${PYTHON:-python3}
end=$((SECONDS + ${NOYAU_GPU_SECONDS:-560}))
failed=0

wants() { case " $steps " in *" $1 "*) return 0 ;; *) return 1 ;; esac }
# seconds_for MOST: so many, or what is left.
seconds_for() { local left=$((end - SECONDS)); echo $((left < 5 ? 5 : left < $1 ? left : $1)); }
problem() {
  say "PROBLEM: $*" | tee -a "$out/machine.txt"
  failed=1
}

# What PyTorch brings along of NVIDIA's libraries: cuDNN comes with nothing else.
nvidia_libraries() {
  "$python" -c 'import glob, sys; print(":".join(d for p in sys.path for d in sorted(glob.glob(p + "/nvidia/*/lib"))))' 2> /dev/null
}

configure_and_build() {
  local options=(-DCMAKE_BUILD_TYPE=Release -DNOYAU_WERROR=OFF) package
  for package in LLVM dnnl OpenCL; do options+=("-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON"); done
  [ -d "$deps" ] && options+=("-DNOYAU_DEPS=$deps")
  command -v ninja > /dev/null && options+=(-G Ninja)
  if [ ! -f "$build/CMakeCache.txt" ]; then
    cmake -S "$root" -B "$build" "${options[@]}" || return 1
  fi
  # What measures first, so that it is there when the tests do not compile.
  timeout "$(seconds_for 200)" cmake --build "$build" -j "$(nproc)" --target noyau_modules noyau_command noyau-bench || return 1
  timeout "$(seconds_for 150)" cmake --build "$build" -j "$(nproc)" --target test_device
}

machine() {
  date -u
  uname -srm
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv 2>&1
  nvcc --version 2>&1 | tail -n 2
  "$python" --version
  git -C "$root" rev-parse HEAD 2> /dev/null
  timeout 60 "$build/bin/noyau" doctor
}

run_tests() {
  local code=0
  # Fewer random programs than elsewhere: each has kernels to compile.
  (cd "$build" && NOYAU_TEST_PROGRAMS=${NOYAU_TEST_PROGRAMS:-200} timeout "$(seconds_for 130)" ctest -L gpu -j "$(nproc)" --timeout 60 --output-on-failure \
    --no-tests=error --output-junit "$out/tests.xml") || code=$?
  echo "== the device under two names"
  NOYAU_DEVICES="$device*2" timeout "$(seconds_for 30)" "$build/bin/test_device" \
    "--gtest_filter=*Transfer.*/${device%:*}_*" --gtest_brief=1 || code=$?
  return "$code"
}

run_benchmarks() {
  "$python" "$root/bench/gpu_peers.py" --bench "$build/bin/noyau-bench" --device "$device" \
    --sizes "${NOYAU_GPU_SIZES:-gpu}" --peer-device "${NOYAU_GPU_PEERS:-cuda}" --seconds "$1" \
    --json "$out/bench.json" --md "$out/bench.md" --log "$out/bench.log"
}

if wants build; then
  say "building in $build"
  configure_and_build > "$out/build.log" 2>&1 || { tail -n 40 "$out/build.log"; problem "the build failed or took too long; see build.log"; }
fi

mkdir -p -m 700 "$build/cache"
export NOYAU_CACHE_DIR=$build/cache LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(nvidia_libraries)
machine 2>&1 | tee "$out/machine.txt"
"$build/bin/noyau" devices 2> /dev/null | grep -q "^$device " || problem "there is no $device; machine.txt says why"

if wants test; then
  say "testing on $device"
  run_tests > "$out/tests.log" 2>&1 || problem "tests failed or took too long; see tests.log"
  grep -E "tests passed|\*\*\*(Failed|Timeout|Not Run|Exception)|PASSED|FAILED" "$out/tests.log" | tail -n 25
fi

if wants bench; then
  seconds=$(seconds_for 420)
  say "benchmarks on $device, in $seconds seconds"
  run_benchmarks "$seconds" || problem "not all cases ran; see bench.md"
  cat "$out/bench.md"
fi
say "everything is in $out"
exit $failed

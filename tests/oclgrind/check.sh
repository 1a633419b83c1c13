# check.sh CHECK: runs kernels of every kind in oclgrind, which must have nothing to report.
#   races          accesses out of bounds and data races: every schedule, shared memory, atomics, barriers
#   races_gpu      the same with the schedules that GPUs get
#   uninitialized  reads of what was never written
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

command -v oclgrind > /dev/null || {
  echo "skipped: there is no oclgrind; scripts/install_packages.sh installs it"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

programs=HandWritten:Atomics:BlocksOfEveryShape:RowsOfBlocks:PrivateArrays:ShufflesAndVotes
filter=
for test in ${programs//:/ }; do filter+="*Programs.$test/opencl*:"; done
filter+="*KernelCounts*/opencl*:*ScheduleCases*/opencl*"
# Unoptimised: its check of uninitialised values does not know all that the optimiser makes. On one
# core, so that one thread compiles: it crashes when two do.
core=$(taskset -pc $$ | grep -o '[0-9]*$')
options=(--build-options -cl-opt-disable --check-api --max-errors 20 --log "$work/log")
# Sums in chunks are left out: blocks tell each other by a fence and a ticket, which it takes for a
# race, and what clEnqueueFillBuffer wrote, their tickets, for unwritten (a plain fill and a read show
# that). In the accumulators of products it finds uninitialised values that the interpreter, which
# checks for them too, does not.
filter+=":-*LongSum*"
case $1 in
  races) options+=(--data-races) ;;
  races_gpu) options+=(--data-races) && export NOYAU_OPENCL_POSE=gpu ;;
  uninitialized) options+=(--uninitialized) && filter+=":*Product*" ;;
esac

code=0
NOYAU_CACHE=0 NOYAU_TEST_DEVICES=opencl taskset -c "$core" oclgrind "${options[@]}" "$BIN/test_device" --gtest_filter="$filter" \
  > "$work/output" 2>&1 || code=$?
tail -n 5 "$work/output"
ran=$(grep -c '^\[       OK' "$work/output" || true)
if [ "$code" -ne 0 ] || [ -s "$work/log" ] || [ "$ran" -lt 20 ]; then
  grep -E '^\[  FAILED|Failure' "$work/output" | head -n 20 || true
  head -n 60 "$work/log"
  echo "FAILED: exit code $code, $ran tests ran"
  exit 1
fi
echo "oclgrind has nothing to report of $ran tests"

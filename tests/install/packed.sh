# Packs the small dependencies, and configures a build for GPUs alone with them.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}

"$SOURCE/scripts/pack_deps.sh" "$work/deps" > "$work/log" 2>&1 || fail "packing: $(cat "$work/log")"
options=(-DNOYAU_DEPS="$work/deps" -DCMAKE_BUILD_TYPE=Debug)
for package in LLVM dnnl OpenCL; do options+=("-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON"); done
cmake -S "$SOURCE" -B "$work/build" -G Ninja "${options[@]}" > "$work/log" 2>&1 || fail "configuring: $(cat "$work/log")"
for package in fmt CLI11 nlohmann_json GTest; do
  grep -q "^${package}_DIR:PATH=$work/deps/" "$work/build/CMakeCache.txt" || fail "$package is another one"
done

# What they include lies in the folder too: none of Debian's may be used.
for header in fmt/format.h xxhash.h stb/stb_image.h nlohmann/json.hpp CLI/CLI.hpp gtest/gtest.h; do
  echo "#include <$header>" | "${CXX:-c++}" -std=c++20 -x c++ -DFMT_HEADER_ONLY -isystem "$work/deps/include" -M - > "$work/headers"
  grep -q "$work/deps/include/$header" "$work/headers" || fail "$header is not packed"
  if grep -E " /usr/include/(fmt|xx|stb|nlohmann|CLI|gtest)" "$work/headers"; then fail "$header includes what is not packed"; fi
done
echo "all as expected"

#!/usr/bin/env bash
# Packs the small dependencies from their Debian packages into a folder for -DNOYAU_DEPS=FOLDER, to build on a machine
# that has none of them: fmt, xxhash, nlohmann-json, CLI11, stb and GoogleTest, as headers and sources alone.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 1 ] || fail "usage: scripts/pack_deps.sh FOLDER"
out=$1
mkdir -p "$out/include" "$out/src/googletest"
for package in libfmt-dev libxxhash-dev nlohmann-json3-dev libcli11-dev libstb-dev libgtest-dev; do
  dpkg -s "$package" > /dev/null 2>&1 || fail "the package $package is not installed; scripts/install_packages.sh does that"
done
cp -rL /usr/include/{fmt,nlohmann,CLI,stb,gtest} /usr/include/{xxhash,xxh3}.h "$out/include/"
cp -r /usr/src/googletest/googletest/src "$out/src/googletest/"

# package NAME TARGET [DEFINITION]: a CMake package that is nothing but headers.
package() {
  local folder=$out/lib/cmake/$1
  mkdir -p "$folder"
  cat > "$folder/$(tr A-Z a-z <<< "$1")-config.cmake" << EOF
if(NOT TARGET $2)
  add_library($2 INTERFACE IMPORTED)
  target_include_directories($2 SYSTEM INTERFACE "\${CMAKE_CURRENT_LIST_DIR}/../../../include")
  target_compile_definitions($2 INTERFACE ${3:-})
endif()
EOF
}
package fmt fmt::fmt FMT_HEADER_ONLY
package nlohmann_json nlohmann_json::nlohmann_json
package CLI11 CLI11::CLI11
mkdir -p "$out/lib/cmake/GTest"
cat > "$out/lib/cmake/GTest/gtest-config.cmake" << 'EOF'
if(NOT TARGET GTest::gtest)
  get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  find_package(Threads REQUIRED)
  add_library(gtest STATIC "${root}/src/googletest/src/gtest-all.cc")
  target_include_directories(gtest SYSTEM PUBLIC "${root}/include" PRIVATE "${root}/src/googletest")
  target_link_libraries(gtest PUBLIC Threads::Threads)
  add_library(gtest_main STATIC "${root}/src/googletest/src/gtest_main.cc")
  target_link_libraries(gtest_main PUBLIC gtest)
  add_library(GTest::gtest ALIAS gtest)
  add_library(GTest::gtest_main ALIAS gtest_main)
endif()
EOF
say "packed $(du -sh "$out" | cut -f1) into $out"

# What the scripts share; sourced, not run.
# SPDX-License-Identifier: Apache-2.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/release
data=${XDG_DATA_HOME:-$HOME/.local/share}/noyau

say() { printf '== %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# build_targets TARGET...: configures build/release when that was not done, then builds. A tree that
# was configured somewhere else (copied, or another checkout mounted here) is configured afresh.
build_targets() {
  local home=
  if [ -f "$build/CMakeCache.txt" ]; then
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt")
    [ "$home" = "$root" ] || rm -rf "$build"
  fi
  if [ ! -f "$build/build.ninja" ]; then
    say "configuring $build"
    mkdir -p "$build"
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release > "$build/configure.log" 2>&1 || {
      cat "$build/configure.log" >&2
      fail "CMake could not configure the build"
    }
  fi
  say "building"
  cmake --build "$build" --target "$@"
}

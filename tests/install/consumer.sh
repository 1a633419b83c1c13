# Installs into a prefix, builds the README's program against it, then once more with the prefix elsewhere.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}

cmake --install "$BUILD" --prefix "$work/prefix" > "$work/log" || fail "install: $(cat "$work/log")"

# build PREFIX: configures, builds and runs the consumer.
build() {
  cmake -S "$SOURCE/tests/install/consumer" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$1" > "$work/log" 2>&1 &&
    cmake --build "$work/build" >> "$work/log" 2>&1 || fail "build: $(cat "$work/log")"
  env -u LD_LIBRARY_PATH NOYAU_CACHE_DIR="$work/cache" "$work/build/app" > "$work/output" || fail "the program: exit code $?"
  grep -q '^area 1.772' "$work/output" || fail "the program says: $(cat "$work/output")"
  rm -rf "$work/build"
}
build "$work/prefix"
mv "$work/prefix" "$work/moved elsewhere"
build "$work/moved elsewhere"

# The README shows the very program that was built.
awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$SOURCE/README.md" > "$work/readme.cpp"
diff "$SOURCE/tests/install/consumer/main.cpp" "$work/readme.cpp" || fail "the README's program is another one"

# The installed programs find their library, and that needs no vendor's.
"$work/moved elsewhere/bin/noyau" doctor > "$work/output" || fail "noyau doctor: exit code $?"
grep -q cpu:0 "$work/output" || fail "no device: $(cat "$work/output")"
library=$(find "$work/moved elsewhere" -name libnoyau.so)
readelf -d "$library" | grep NEEDED > "$work/needed"
if grep -iE 'llvm|dnnl|opencl|cuda|nvrtc|blas|gomp' "$work/needed"; then fail "libnoyau.so needs a vendor's library"; fi
headers=$(cd "$SOURCE/include" && find noyau -type f | sort)
installed=$(cd "$work/moved elsewhere/include" && find noyau -type f | sort)
[ "$headers" = "$installed" ] || fail "other headers are installed: $installed"
echo "all as expected"

#!/usr/bin/env bash
# Builds everything and runs all tests, installing what they need; arguments go to ctest (-R name, -L label, -j 4).
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/scripts/install_packages.sh"
"$root/scripts/fetch_assets.sh"
build_targets all
say "testing"
cd "$build"
ctest --output-on-failure --no-tests=error "$@"

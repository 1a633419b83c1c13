# noyau-paint: a picture of the asked size, the same for the same seed; and the two small samples.
source "$(dirname "$0")/common.sh"

small_picture a.png 1
small_picture b.png 1
small_picture c.png 2
cmp a.png b.png || fail "the same seed gives another picture"
cmp -s a.png c.png && fail "another seed gives the same picture"
python3 - << 'PYTHON' || fail "not 48 x 32"
import struct
assert struct.unpack(">II", open("a.png", "rb").read()[16:24]) == (48, 32)
PYTHON

expect 0 "$BIN/noyau-convolution" a.png
says blurred.png sharpened.png edges.png
for picture in blurred sharpened edges; do [ -s $picture.png ] || fail "no $picture.png"; done
expect 0 "$BIN/noyau-matrix" 64
says "largest eigenvalue"
finish

# The first ten losses of Adam as a user's run gives them, against the values of the recipe in float64: crops of two
# photos, one size, no shifts, no average; in float32 with any number of threads, and in float64.
source "$(dirname "$0")/common.sh"
need_assets

python3 - "$data" << 'PYTHON' || fail "the crops"
import struct, sys, zlib

def chunks(png):
    at = 8
    while at < len(png):
        size, = struct.unpack(">I", png[at:at + 4])
        yield png[at + 4:at + 8], png[at + 8:at + 8 + size]
        at += size + 12

def rows(path):
    """The rows of an RGB picture of 8 bits that is not interlaced."""
    png = open(path, "rb").read()
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", next(chunks(png))[1])
    assert (depth, colour, interlaced) == (8, 2, 0)
    raw = zlib.decompress(b"".join(data for name, data in chunks(png) if name == b"IDAT"))
    before, pitch = bytearray(3 * width), 3 * width
    for y in range(height):
        kind, line = raw[y * (pitch + 1)], bytearray(raw[y * (pitch + 1) + 1:(y + 1) * (pitch + 1)])
        for i in range(pitch):
            a, b, c = (line[i - 3], before[i], before[i - 3]) if i >= 3 else (0, before[i], 0)
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
        before = line
        yield line

def crop(source, target, row, column, total):
    lines = [line[3 * column:3 * (column + 96)] for y, line in enumerate(rows(source)) if row <= y < row + 128]
    assert sum(map(sum, lines)) == total, source
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    open(target, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 128, 8, 2, 0, 0, 0)) +
                             chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))) + chunk(b"IEND", b""))

crop(sys.argv[1] + "/coffee.png", "content.png", 136, 252, 3901626)
crop(sys.argv[1] + "/chelsea.png", "style.png", 60, 180, 3995867)
PYTHON

check() { # check TOLERANCE THREADS OPTIONS...
  expect 0 env NOYAU_THREADS="$2" "$BIN/noyau-style" content.png style.png -o out.png --size 128 --scales 1 \
    --iterations 300 --init content --jitter 0 --ema 0 --trace trace.json "${@:3}"
  python3 - "$1" << 'PYTHON' || fail "the losses with $2 threads ${*:3}"
import json, sys
golden = [(0, 2.693812567, 2.351129627, 80.82613265), (.1973831606, 1.903590805, 3.148961456, 57.71561843),
          (.3513012149, 1.715804111, 4.136156001, 52.54870777), (.4289484258, 1.581602412, 5.051982983, 48.76017757),
          (.4854491993, 1.440258596, 5.853668793, 44.69337382), (.5226525031, 1.301314851, 6.53783345, 40.64009222),
          (.5464497540, 1.168898904, 7.121369024, 36.74192324), (.5625472041, 1.045197763, 7.620334261, 33.08167618),
          (.5730962101, .9328205261, 8.048102021, 29.74414492), (.5808447536, .8324822921, 8.415939286, 26.75908272)]
steps = json.load(open("trace.json"))["iterations"]
assert len(steps) == 300
for step, expected in zip(steps, golden):
    for name, value in zip(("content", "style", "tv", "total"), expected):
        assert abs(step[name] - value) <= float(sys.argv[1]) * value, (step["iteration"], name, step[name], value)
PYTHON
}
if [ "${NOYAU_DEVICE:-cpu:0}" != cpu:0 ]; then # in float64 and with other threads: tests/device/style_test.cpp
  check 1e-5 2
  finish
fi
check 1e-5 1
check 1e-5 2
[ "$(nproc)" -lt 3 ] || check 1e-5 3
check 2e-9 2 --precision fp64
finish

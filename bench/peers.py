# The cases of noyau-bench as users of NumPy, PyTorch, CuPy and JAX write them; compare.py and gpu_peers.py time them.
# SPDX-License-Identifier: Apache-2.0
"""Each library has an adapter with the same names; make(case, adapter, sizes) gives a function and its inputs.

Inputs have the shapes, distributions and dtype (float32) of noyau-bench, from each library's own
generator; nobody gets zeros. Results are made anew each time, as Noyau's are, and products are in
float32, not tf32.
"""
import functools
import importlib
import math
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """As sizes_named in cases.cpp."""
    elements: int
    images: int
    resolution: int
    picture: int
    vgg_picture: int
    bf16: int = 8192  # of the probe

    @property
    def side(self):
        return math.isqrt(self.elements)


SIZES = {"cpu": Sizes(1 << 24, 1, 1, 512, 224), "gpu": Sizes(1 << 28, 16, 1, 512, 512),
         "tiny": Sizes(1 << 14, 2, 14, 64, 32, 64)}


class Numpy:
    """How NumPy makes inputs and spells what differs from PyTorch."""

    def __init__(self, device="cpu", threads=1, compiled=False, module="numpy"):
        self.m = importlib.import_module(module)
        self.version = f"{module} {self.m.__version__}"
        self.random = self.m.random.default_rng(1)
        self.wrap = lambda f: f

    def uniform(self, shape, low, high):
        return self.random.random(shape, dtype=self.m.float32) * self.m.float32(high - low) + self.m.float32(low)

    def normal(self, *shape):
        return self.random.standard_normal(shape, dtype=self.m.float32)

    def sync(self, result):
        pass

    def sums(self, x, axis):
        return x.sum(axis=axis)

    def transpose(self, x):
        return self.m.ascontiguousarray(x.T)

    def softmax(self, x):
        e = self.m.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def layernorm(self, x, scale, shift):
        centred = x - x.mean(axis=1, keepdims=True)
        return centred / self.m.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5) * scale + shift

    def copy(self, x):
        return x.copy()

    def fill(self, x):
        x.fill(0)
        return x


class CuPy(Numpy):
    """The same names as NumPy, on the GPU."""

    def __init__(self, device="cuda", threads=1, compiled=False):
        super().__init__(module="cupy")
        self.m.cuda.runtime.getDeviceCount()  # an error here says why not

    def sync(self, result):
        self.m.cuda.Device().synchronize()

    def softmax(self, x):
        return importlib.import_module("cupyx.scipy.special").softmax(x, axis=1)


class Jax(Numpy):
    """JAX: every function compiled."""

    def __init__(self, device="cuda", threads=1, compiled=True):
        jax = importlib.import_module("jax")
        jax.config.update("jax_platforms", device)
        jax.config.update("jax_default_matmul_precision", "highest")
        self.jax, self.m, self.version = jax, jax.numpy, f"jax {jax.__version__} on {jax.devices()[0].device_kind}"
        self.wrap, self.calls = jax.jit, 0

    def key(self):
        self.calls += 1
        return self.jax.random.key(self.calls)

    def uniform(self, shape, low, high):
        return self.jax.random.uniform(self.key(), shape, minval=low, maxval=high)

    def normal(self, *shape):
        return self.jax.random.normal(self.key(), shape)

    def sync(self, result):
        self.jax.block_until_ready(result)

    def softmax(self, x):
        return self.jax.nn.softmax(x, axis=1)

    def transpose(self, x):
        return x.T

    def fill(self, x):
        return self.m.zeros_like(x)

    def conv(self, x, w, back):
        call = lambda y, v: self.jax.lax.conv(y, v, (1, 1), "SAME")
        if not back:
            return call
        return lambda dy, v: self.jax.vjp(lambda y: call(y, v), x)[1](dy)[0]


class Torch:
    """PyTorch, eager or compiled."""

    def __init__(self, device="cuda", threads=1, compiled=False):
        self.m = m = importlib.import_module("torch")
        m.manual_seed(1)
        m.set_num_threads(threads)
        m.set_grad_enabled(False)
        m.backends.cuda.matmul.allow_tf32 = m.backends.cudnn.allow_tf32 = False
        m.backends.cudnn.benchmark = True
        self.device = m.device(device)
        m.empty(1, device=self.device)  # an error here says why not
        name = m.cuda.get_device_name() if device == "cuda" else "the CPU"
        self.version = f"torch {m.__version__}{' compiled' if compiled else ''} on {name}"
        self.wrap = m.compile if compiled else lambda f: f

    def uniform(self, shape, low, high):
        return self.m.empty(shape, device=self.device).uniform_(low, high)

    def normal(self, *shape):
        return self.m.randn(shape, device=self.device)

    def sync(self, result):
        if self.device.type == "cuda":
            self.m.cuda.synchronize()

    def sums(self, x, axis):
        return x.sum(axis)

    def transpose(self, x):
        return x.t().contiguous()

    def softmax(self, x):
        return self.m.softmax(x, 1)

    def layernorm(self, x, scale, shift):
        return self.m.nn.functional.layer_norm(x, x.shape[1:], scale, shift, 1e-5)

    def copy(self, x):
        return x.clone()

    def fill(self, x):
        return x.zero_()

    def conv(self, x, w, back):
        if back:
            return lambda dy, v: self.m.nn.grad.conv2d_input(x.shape, v, dy, padding=1)
        return lambda y, v: self.m.nn.functional.conv2d(y, v, padding=1)

    def style(self, layers, style_layers, content_layer, side):
        """Loss and gradient with random weights; layers: (name, channels, window, stride, what comes before)."""
        f = self.m.nn.functional
        weights = {}

        def convolve(x, name, channels, window, **options):
            if name not in weights:
                deviation = math.sqrt(2 / (x.shape[1] * window * window))
                weights[name] = (deviation * self.normal(channels, x.shape[1], window, window),
                                 0.1 * self.normal(channels))
            return f.relu(f.conv2d(x, *weights[name], **options))

        def features(x):
            found = {}
            for name, build in layers:
                x = found[name] = build(f, convolve, x)
            return found

        def gram(t):
            m = t[0].flatten(1)
            return m @ m.T / m.numel()

        def picture():
            return self.uniform((1, 3, side, side), -128.0, 128.0)

        content, style = features(picture())[content_layer], features(picture())
        style = {name: gram(style[name]) for name in style_layers}

        def loss(x):
            found = features(x)
            near = ((found[content_layer] - content) ** 2).sum() / (content ** 2).sum()
            like = sum(((gram(found[n]) - a) ** 2).sum() / (a ** 2).sum() for n, a in style.items())
            return 3 * near + 30 / len(style) * like

        judge = self.wrap(loss)

        def iteration(x):
            with self.m.enable_grad():
                leaf = x.detach().requires_grad_()
                value = judge(leaf)
                return self.m.autograd.grad(value, leaf)[0]

        return iteration, [picture()]


def vgg_layers():
    def layer(name, channels, pooled):
        def build(f, convolve, x):
            return convolve(f.max_pool2d(x, 2) if pooled else x, name, channels, 3, padding=1)
        return f"relu{name}", build
    blocks = [(64, 2), (128, 2), (256, 4), (512, 4), (512, 1)]
    return [layer(f"{b + 1}_{k + 1}", channels, b > 0 and k == 0)
            for b, (channels, count) in enumerate(blocks) for k in range(count)]


def squeeze_layers():
    def fire(name, squeezed, pooled):
        def build(f, convolve, x):
            s = convolve(f.max_pool2d(x, 3, 2, ceil_mode=True) if pooled else x, name, squeezed, 1)
            return importlib.import_module("torch").cat(
                [convolve(s, name + "a", 4 * squeezed, 1), convolve(s, name + "b", 4 * squeezed, 3, padding=1)], 1)
        return name, build
    first = ("conv1", lambda f, convolve, x: convolve(x, "conv1", 64, 3, stride=2))
    return [first] + [fire(f"fire{n}", s, n in (2, 4, 6)) for n, s in zip(range(2, 8), (16, 16, 32, 32, 48, 48))]


STYLES = {
    "style_squeeze": (squeeze_layers, ["conv1", "fire2", "fire3", "fire4", "fire5", "fire7"], "fire3", "picture"),
    "style_vgg": (vgg_layers, [f"relu{n}_1" for n in range(1, 6)], "relu4_2", "vgg_picture"),
}


def chain10(m, x, y):
    t = m.sqrt(x * y + x) - y
    t = x / (t * t + 1.0) + y
    return m.sqrt(t) * 0.5


def call_price(m, s, k, t):
    def cumulative(x):
        return 0.5 + 0.5 * m.tanh(0.79788456 * (x + 0.044715 * x * x * x))

    v = 0.3 * m.sqrt(t)
    d = (m.log(s / k) + 0.065 * t) / v
    return s * cumulative(d) - k * m.exp(-0.02 * t) * cumulative(d - v)


def make(name, lib, sizes):
    """A case's function (compiled, where the library does that), its inputs and how often it is to be called and waited
    for in one timing; None: this library has no such thing."""
    m, n, side = lib.m, sizes.elements, sizes.side
    many = lambda low, high: lib.uniform((n,), low, high)
    simple = {
        "copy": lambda: (lib.copy, [lib.normal(n)]),
        "fill": lambda: (lib.fill, [lib.normal(n)]),
        "saxpy": lambda: (lambda x, y: 2.5 * x + y, [lib.normal(n), lib.normal(n)]),
        "chain10": lambda: (functools.partial(chain10, m), [many(0.5, 1.5), many(0.5, 1.5)]),
        "chain20": lambda: (lambda x, y: chain10(m, x, chain10(m, x, y) + 0.5), [many(0.5, 1.5), many(0.5, 1.5)]),
        "exp": lambda: (lambda x: m.exp(x), [many(-5, 5)]),
        "sin": lambda: (lambda x: m.sin(x), [many(-10, 10)]),
        "blackscholes": lambda: (functools.partial(call_price, m), [many(10, 50), many(10, 50), many(0.2, 2)]),
        "sum": lambda: (lambda x: m.sum(x), [many(-1, 2)]),
        "rowsum": lambda: (lambda x: lib.sums(x, 1), [lib.uniform((side, side), -1, 2)]),
        "colsum": lambda: (lambda x: lib.sums(x, 0), [lib.uniform((side, side), -1, 2)]),
        "softmax": lambda: (lib.softmax, [lib.normal(side, side)]),
        "layernorm": lambda: (lib.layernorm, [lib.normal(side, side), lib.uniform((side,), 1.5, 1.5),
                                              lib.uniform((side,), 0.25, 0.25)]),
        "transpose": lambda: (lib.transpose, [lib.normal(side, side)]),
    }
    if name in simple:
        function, inputs = simple[name]()
        return lib.wrap(function), inputs, 1
    if name == "dispatch":
        return lib.wrap(lambda x, y: x + y), [lib.uniform((1,), 0, 1), lib.uniform((1,), 0, 1)], 1000
    if found := re.fullmatch(r"sgemm(\d+)", name):
        square = lambda: lib.normal(int(found[1]), int(found[1]))
        return lib.wrap(lambda a, b: m.matmul(a, b)), [square(), square()], 1
    if (found := re.fullmatch(r"conv(back)?(64|256|512)", name)) and hasattr(lib, "conv"):
        channels, s = int(found[2]), {"64": 224, "256": 56, "512": 28}[found[2]] // sizes.resolution
        x, w = lib.normal(sizes.images, channels, s, s), lib.normal(channels, channels, 3, 3) / channels
        return lib.wrap(lib.conv(x, w, bool(found[1]))), [x, w], 1
    if name in STYLES and hasattr(lib, "style"):
        layers, style_layers, content_layer, side_of = STYLES[name]
        return *lib.style(layers(), style_layers, content_layer, getattr(sizes, side_of)), 1
    return None

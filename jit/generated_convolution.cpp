// Generated convolutions and their two gradients: chains of fma, one for each result.
// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "jit/generated_tools.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

constexpr std::int64_t batch = 0, channel = 1;

/// What the three have in common: x[n, c, h, w], weights[o, c / groups, kh, kw], y[n, o, oh, ow].
struct Convolution {
  GeneratedBuilder g;
  StridedBuffer x, weights, y;
  const WindowAttributes* window;
  Value extent[2], windows[2], kernel[2];  ///< of x, of y, of the weights
  Value group_channels, group_outputs, batches;

  explicit Convolution(const char* name) : g(name) {}

  void declare(const TensorView& xv, const TensorView& wv, const TensorView& yv,
               const WindowAttributes& attributes) {
    window = &attributes;
    for (int d = 0; d < 2; ++d) {
      extent[d] = g.number(xv.shape[2 + d], "extent");
      windows[d] = g.number(yv.shape[2 + d], "windows");
      kernel[d] = g.number(wv.shape[2 + d], "kernel");
    }
    batches = g.number(xv.shape[batch], "batches");
    group_channels = g.number(wv.shape[1], "group_channels");
    group_outputs = g.number(wv.shape[0] / attributes.groups, "group_outputs");
  }
  /// The position that cell k of window o reads.
  Value position(int d, Value o, Value k) {
    return g.plus(g.add(g.times(o, window->stride[d]), g.times(k, window->dilation[d])),
                  -window->low[d]);
  }
  /// The window whose cell k reads `position`; `found` says whether there is one.
  Value window_at(int d, Value at, Value k, Value& found) {
    const Value from = g.subtract(g.plus(at, window->low[d]), g.times(k, window->dilation[d]));
    const Value o = g.divided(g.maximum(from, g.ir().constant_i64(0)), window->stride[d]);
    found = g.ir().binary(Opcode::bit_and,
                          g.ir().compare(Opcode::equal, g.times(o, window->stride[d]), from),
                          g.ir().compare(Opcode::less, o, windows[d]));
    return o;
  }
  /// The group of channel `c` of `per_group` each, and c's number in it.
  Value group_of(Value c, Value per_group, Value& within) {
    if (window->groups == 1) {
      within = c;
      return g.ir().constant_i64(0);
    }
    const Value group = g.ir().binary(Opcode::divide, c, per_group);
    within = g.subtract(c, g.multiply(group, per_group));
    return group;
  }
  Value nested(Value count, std::span<const Value> sum,
               const std::function<Value(Value, std::span<const Value>)>& body) {
    return g.loop(g.ir().constant_i64(0), count, sum, [&](Value k, std::span<const Value> before) {
      return std::vector<Value>{body(k, before)};
    })[0];
  }
  Value when(Value condition, std::span<const Value> sum,
             const std::function<Value(std::span<const Value>)>& body) {
    return g.when(condition, sum, [&](std::span<const Value> before) {
      return std::vector<Value>{body(before)};
    })[0];
  }
};

using Sum = std::span<const Value>;

GeneratedKernel forward(const TensorView& x, const TensorView& weights, const TensorView& y,
                        const WindowAttributes& window) {
  Convolution c("convolution");
  GeneratedBuilder& g = c.g;
  c.x = g.input(x, "x");
  c.weights = g.input(weights, "weights");
  c.y = g.output(y, "y");
  c.declare(x, weights, y, window);
  const std::vector<Value> i = g.spread(y.shape, y.strides);
  Value within = no_value;
  const Value first = g.multiply(c.group_of(i[channel], c.group_outputs, within), c.group_channels);
  const Value start[] = {g.zero(y.dtype)};
  const Value sum = c.nested(c.group_channels, start, [&](Value k, Sum of_channel) {
    return c.nested(c.kernel[0], of_channel, [&](Value kh, Sum of_row) {
      const Value h = c.position(0, i[2], kh);
      return c.when(g.inside(h, c.extent[0]), of_row, [&](Sum in_row) {
        return c.nested(c.kernel[1], in_row, [&](Value kw, Sum of_cell) {
          const Value w = c.position(1, i[3], kw);
          return c.when(g.inside(w, c.extent[1]), of_cell, [&](Sum before) {
            const Value at = g.load(c.x, std::vector<Value>{i[batch], g.add(first, k), h, w});
            const Value by = g.load(c.weights, std::vector<Value>{i[channel], k, kh, kw});
            return g.multiply_add(at, by, before[0]);
          });
        });
      });
    });
  });
  g.store(c.y, i, sum);
  return g.take();
}

GeneratedKernel input_gradient(const TensorView& y, const TensorView& weights, const TensorView& x,
                               const WindowAttributes& window) {
  Convolution c("convolution_input_gradient");
  GeneratedBuilder& g = c.g;
  c.y = g.input(y, "dy");
  c.weights = g.input(weights, "weights");
  c.x = g.output(x, "dx");
  c.declare(x, weights, y, window);
  const std::vector<Value> i = g.spread(x.shape, x.strides);
  Value within = no_value;
  const Value first = g.multiply(c.group_of(i[channel], c.group_channels, within), c.group_outputs);
  const Value start[] = {g.zero(x.dtype)};
  const Value sum = c.nested(c.group_outputs, start, [&](Value k, Sum of_output) {
    const Value o = g.add(first, k);
    return c.nested(c.kernel[0], of_output, [&](Value kh, Sum of_row) {
      Value row_found = no_value;
      const Value oh = c.window_at(0, i[2], kh, row_found);
      return c.when(row_found, of_row, [&](Sum in_row) {
        return c.nested(c.kernel[1], in_row, [&](Value kw, Sum of_cell) {
          Value found = no_value;
          const Value ow = c.window_at(1, i[3], kw, found);
          return c.when(found, of_cell, [&](Sum before) {
            const Value at = g.load(c.y, std::vector<Value>{i[batch], o, oh, ow});
            const Value by = g.load(c.weights, std::vector<Value>{o, within, kh, kw});
            return g.multiply_add(at, by, before[0]);
          });
        });
      });
    });
  });
  g.store(c.x, i, sum);
  return g.take();
}

GeneratedKernel weight_gradient(const TensorView& x, const TensorView& y, const TensorView& weights,
                                const WindowAttributes& window) {
  Convolution c("convolution_weight_gradient");
  GeneratedBuilder& g = c.g;
  c.x = g.input(x, "x");
  c.y = g.input(y, "dy");
  c.weights = g.output(weights, "dweights");
  c.declare(x, weights, y, window);
  const std::vector<Value> i = g.spread(weights.shape, weights.strides);
  Value within = no_value;
  const Value from =
      g.add(g.multiply(c.group_of(i[0], c.group_outputs, within), c.group_channels), i[1]);
  const Value start[] = {g.zero(weights.dtype)};
  const Value sum = c.nested(c.batches, start, [&](Value n, Sum of_image) {
    return c.nested(c.windows[0], of_image, [&](Value oh, Sum of_row) {
      const Value h = c.position(0, oh, i[2]);
      return c.when(g.inside(h, c.extent[0]), of_row, [&](Sum in_row) {
        return c.nested(c.windows[1], in_row, [&](Value ow, Sum of_cell) {
          const Value w = c.position(1, ow, i[3]);
          return c.when(g.inside(w, c.extent[1]), of_cell, [&](Sum before) {
            const Value at = g.load(c.x, std::vector<Value>{n, from, h, w});
            const Value by = g.load(c.y, std::vector<Value>{n, i[0], oh, ow});
            return g.multiply_add(at, by, before[0]);
          });
        });
      });
    });
  });
  g.store(c.weights, i, sum);
  return g.take();
}

}  // namespace

GeneratedKernel convolution_kernel(LibraryCall::Kind kind, const TensorView& first,
                                   const TensorView& second, const TensorView& out,
                                   const WindowAttributes& window) {
  require(first.dtype == out.dtype && second.dtype == out.dtype, "convolution of mixed dtypes");
  switch (kind) {
    case LibraryCall::Kind::convolution:
      return forward(first, second, out, window);
    case LibraryCall::Kind::convolution_input_gradient:
      return input_gradient(first, second, out, window);
    case LibraryCall::Kind::convolution_weight_gradient:
      return weight_gradient(first, second, out, window);
    default:
      throw InternalError("generated kernel: no convolution of this kind");
  }
}

}  // namespace noyau::jit

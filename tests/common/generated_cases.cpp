// What the generated kernels must give, bit by bit: plain loops in the documented order.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/generated_cases.hpp"

#include <fmt/format.h>

#include "jit/generated_convolution.hpp"

namespace noyau::test {
namespace {

using Index = std::vector<std::int64_t>;
using jit::GeneratedKernel;

/// Layouts of [n, c, h, w]: as written, and channels last.
const std::vector<int> planes = {0, 1, 2, 3}, channels_last = {0, 2, 3, 1};

std::uint32_t seed = 1;
std::uint32_t next_number() {
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

/// Multiples of 1/8, so that there are ties; `nan`: one in so many is a NaN.
template <class T>
void fill(Strided& s, std::uint32_t nan = 0) {
  each(s.view.shape, [&](const Index& i) {
    T v = static_cast<T>(next_number() % 61);
    if constexpr (std::is_floating_point_v<T>) {
      v = (v - 30) / 8 + T(next_number() % 3) * T(1e-3);
      if (nan != 0 && next_number() % nan == 0) v = std::numeric_limits<T>::quiet_NaN();
    }
    s.set(i, v);
  });
}
template <class T>
Strided filled(Shape shape, std::vector<int> order = {}, std::int64_t gap = 1,
               std::vector<int> broadcast = {}) {
  Strided s(dtype_of<T>(), shape, std::move(order), gap, std::move(broadcast));
  fill<T>(s);
  return s;
}

template <class T>
T multiply_add(T a, T b, T sum) {
  if constexpr (std::is_floating_point_v<T>) return std::fma(a, b, sum);
  else
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b) +
                          static_cast<std::uint64_t>(sum));
}

int threads_of_blocks = 0;  ///< of the check that runs

/// f(0), and f of the check's threads.
void for_each_kind(const std::function<void(int)>& f) {
  f(0);
  if (threads_of_blocks > 0) f(threads_of_blocks);
}

// ---- matmul

template <class T>
void check_matmul(const Runner& run, const Strided& a, const Strided& b, Strided out,
                  const std::string& what) {
  const int rank = out.view.shape.rank();
  const auto m = static_cast<std::size_t>(rank - 2), n = m + 1;
  each(out.view.shape, [&](const Index& i) {
    T sum = 0;
    for (std::int64_t k = 0; k < a.view.shape[rank - 1]; ++k) {
      Index from_a = i, from_b = i;
      from_a[n] = k;
      from_b[m] = k;
      sum = multiply_add(a.get<T>(from_a), b.get<T>(from_b), sum);
    }
    out.set(i, sum);
  });
  check(run, jit::matmul_kernel(a.view, b.view, out.view), {&a, &b}, {out}, what);
  // The same bits from blocks of many threads; what is small there is as elsewhere.
  if (threads_of_blocks == 0 || std::min(out.view.shape[rank - 2], out.view.shape[rank - 1]) < 16)
    return;
  check(run, jit::matmul_kernel(a.view, b.view, out.view, threads_of_blocks), {&a, &b}, {out},
        what + " in blocks");
}

/// Every tile, whatever is best here: odd sizes beyond one block.
template <class T>
void check_tiles(const Runner& run) {
  if (threads_of_blocks < jit::ProductTiles::threads) return;
  const Strided a = filled<T>({2, 131, 37}, {0, 2, 1}), b = filled<T>({2, 37, 150});
  Strided out(dtype_of<T>(), {2, 131, 150});
  each(out.view.shape, [&](const Index& i) {
    T sum = 0;
    for (std::int64_t k = 0; k < 37; ++k)
      sum = multiply_add(a.get<T>({i[0], i[1], k}), b.get<T>({i[0], k, i[2]}), sum);
    out.set(i, sum);
  });
  for (const jit::ProductTile tile : {jit::ProductTile{8, 8}, {8, 4}, {4, 8}, {4, 4}})
    check(run, jit::matmul_in_blocks(a.view, b.view, out.view, false, tile), {&a, &b}, {out},
          fmt::format("matmul {}, {}x{} a thread", name(dtype_of<T>()), tile.rows, tile.columns));
}

template <class T>
void check_matmuls_of(const Runner& run) {
  const std::string type(name(dtype_of<T>()));
  const DType dtype = dtype_of<T>();
  struct Case {
    std::int64_t m, k, n;
  };
  for (const Case c : {Case{1, 1, 1},
                       {1, 5, 3},
                       {3, 5, 1},
                       {2, 3, 4},
                       {7, 1, 33},
                       {8, 9, 32},
                       {9, 4, 65},
                       {17, 13, 40},
                       {33, 300, 35}})
    for (const std::vector<int>& order : {std::vector<int>{0, 1}, {1, 0}})
      for (const std::vector<int>& out_order : {std::vector<int>{0, 1}, {1, 0}})
        for (const std::int64_t gap : {1, 3})
          check_matmul<T>(run, filled<T>({c.m, c.k}, order, gap), filled<T>({c.k, c.n}),
                          Strided(dtype, {c.m, c.n}, out_order, gap),
                          fmt::format("matmul {} {}x{}x{} order {}{} gap {}", type, c.m, c.k, c.n,
                                      order[0], out_order[0], gap));
  check_matmul<T>(run, filled<T>({2, 3, 5, 4}, {}, 1, {1}), filled<T>({2, 3, 4, 6}, {}, 1, {0}),
                  Strided(dtype, {2, 3, 5, 6}), "matmul of broadcast batches " + type);
  check_matmul<T>(run, filled<T>({2, 3, 5, 4}, {3, 0, 1, 2}), filled<T>({2, 3, 4, 6}, {1, 0, 3, 2}),
                  Strided(dtype, {2, 3, 5, 6}, {2, 1, 0, 3}), "matmul of odd batches " + type);
  check_matmul<T>(run, filled<T>({45, 270}), filled<T>({270, 3}, {1, 0}), Strided(dtype, {45, 3}),
                  "matmul of several blocks " + type);
  check_matmul<T>(run, filled<T>({2, 33, 7}, {2, 0, 1}), filled<T>({2, 7, 35}, {0, 2, 1}),
                  Strided(dtype, {2, 33, 35}, {}, 2), "matmul of packed batches " + type);
  check_matmul<T>(run, filled<T>({6, 1, 4}), filled<T>({6, 4, 1}), Strided(dtype, {6, 1, 1}),
                  "dot products " + type);
}

// ---- convolution

struct ConvolutionCase {
  std::int64_t n, c, h, w, o, kh, kw;
  WindowAttributes window;
  bool every_tile = false;  ///< in blocks of every size, whatever is best
};
std::int64_t windows_of(const WindowAttributes& a, std::size_t d, std::int64_t extent,
                        std::int64_t kernel) {
  return (extent + a.low[d] + a.high[d] - a.dilation[d] * (kernel - 1) - 1) / a.stride[d] + 1;
}

/// Calls f(x index, weight index, y index) for each product, in the order of (n, oh, ow) for the
/// weights' gradient and (channel, kh, kw) for the others.
template <class F>
void each_product(const ConvolutionCase& t, const Shape& y, bool windows_first, F f) {
  const std::int64_t group_channels = t.c / t.window.groups, group_outputs = t.o / t.window.groups;
  const auto product = [&](std::int64_t n, std::int64_t o, std::int64_t c, std::int64_t oh,
                           std::int64_t ow, std::int64_t kh, std::int64_t kw) {
    const std::int64_t h = oh * t.window.stride[0] + kh * t.window.dilation[0] - t.window.low[0];
    const std::int64_t w = ow * t.window.stride[1] + kw * t.window.dilation[1] - t.window.low[1];
    if (h < 0 || h >= t.h || w < 0 || w >= t.w) return;
    f(Index{n, o / group_outputs * group_channels + c, h, w}, Index{o, c, kh, kw},
      Index{n, o, oh, ow});
  };
  const Shape cells{group_channels, t.kh, t.kw}, places{t.n, t.o, y[2], y[3]};
  // The two orders differ in what is outermost; each sum sees its products in the right order.
  if (windows_first) {
    each(places, [&](const Index& p) {
      each(cells, [&](const Index& k) { product(p[0], p[1], k[0], p[2], p[3], k[1], k[2]); });
    });
  } else {
    each({t.o, group_channels, t.kh, t.kw}, [&](const Index& k) {
      each({t.n, y[2], y[3]},
           [&](const Index& p) { product(p[0], k[0], k[1], p[1], p[2], k[2], k[3]); });
    });
  }
}

template <class T>
void check_convolution(const Runner& run, const ConvolutionCase& t, const std::vector<int>& order,
                       const std::string& what, const std::vector<int>& weight_order = planes) {
  using Kind = LibraryCall::Kind;
  const DType dtype = dtype_of<T>();
  const Shape xs{t.n, t.c, t.h, t.w}, ws{t.o, t.c / t.window.groups, t.kh, t.kw},
      ys{t.n, t.o, windows_of(t.window, 0, t.h, t.kh), windows_of(t.window, 1, t.w, t.kw)};
  const Strided x = filled<T>(xs, order), weights = filled<T>(ws, weight_order),
                dy = filled<T>(ys, order);
  Strided y(dtype, ys, order), dx(dtype, xs, order), dw(dtype, ws, weight_order);
  for (Strided* s : {&y, &dx, &dw}) each(s->view.shape, [&](const Index& i) { s->set(i, T(0)); });
  each_product(t, ys, true, [&](const Index& i, const Index& k, const Index& o) {
    y.set(o, multiply_add(x.get<T>(i), weights.get<T>(k), y.get<T>(o)));
  });
  each_product(t, ys, false, [&](const Index& i, const Index& k, const Index& o) {
    dx.set(i, multiply_add(dy.get<T>(o), weights.get<T>(k), dx.get<T>(i)));
  });
  // Rows of windows in chunks of at least 512 windows, at most 128 of them; these in order.
  const std::int64_t rows = ys[0] * ys[2];
  const std::int64_t chunk = std::max((511 + ys[3]) / ys[3], (rows + 127) / 128);
  for (std::int64_t first = 0; first < rows; first += chunk) {
    Strided part = dw;
    each(ws, [&](const Index& k) { part.set(k, T(0)); });
    each_product(t, ys, false, [&](const Index& i, const Index& k, const Index& o) {
      const std::int64_t row = o[0] * ys[2] + o[2];
      if (row >= first && row < first + chunk)
        part.set(k, multiply_add(x.get<T>(i), dy.get<T>(o), part.get<T>(k)));
    });
    each(ws, [&](const Index& k) {
      dw.set(k, first == 0 ? part.get<T>(k) : static_cast<T>(dw.get<T>(k) + part.get<T>(k)));
    });
  }
  const auto kernel = [&](Kind kind, const Strided& a, const Strided& b, const Strided& out) {
    return jit::convolution_kernel(kind, a.view, b.view, out.view, t.window);
  };
  const auto in_blocks = [&](Kind kind, const Strided& a, const Strided& b, const Strided& out) {
    return jit::convolution_kernel(kind, a.view, b.view, out.view, t.window, threads_of_blocks);
  };
  check(run, kernel(Kind::convolution, x, weights, y), {&x, &weights}, {y}, what);
  if (threads_of_blocks > 0 && t.o / t.window.groups >= 8)
    check(run, in_blocks(Kind::convolution, x, weights, y), {&x, &weights}, {y},
          what + ", in blocks");
  if (threads_of_blocks > 0 && t.c / t.window.groups >= 8)
    check(run, in_blocks(Kind::convolution_input_gradient, dy, weights, dx), {&dy, &weights}, {dx},
          what + ", input gradient in blocks");
  check(run, kernel(Kind::convolution_input_gradient, dy, weights, dx), {&dy, &weights}, {dx},
        what + ", input gradient");
  check(run, kernel(Kind::convolution_weight_gradient, x, dy, dw), {&x, &dy}, {dw},
        what + ", weight gradient");
  if (threads_of_blocks > 0)
    check(run, in_blocks(Kind::convolution_weight_gradient, x, dy, dw), {&x, &dy}, {dw},
          what + ", weight gradient in blocks");
  if (threads_of_blocks < jit::ProductTiles::threads || !t.every_tile) return;
  for (const jit::ProductTile tile : {jit::ProductTile{8, 8}, {8, 4}, {4, 8}}) {
    const std::string tiled = fmt::format("{}, {}x{} a thread", what, tile.rows, tile.columns);
    jit::Sliding forward("convolution", false, x.view, weights.view, y.view, t.window,
                         threads_of_blocks);
    check(run, jit::convolution_by_blocks(forward, tile), {&x, &weights}, {y}, tiled);
    check(run, jit::weight_gradient_by_blocks(x.view, dy.view, dw.view, t.window, tile), {&x, &dy},
          {dw}, tiled + ", weight gradient");
  }
}

// ---- pooling

struct PoolCase {
  Shape x;
  WindowAttributes window;
  std::int64_t oh, ow;
};
PoolCase pool(Shape x, std::int64_t window, std::int64_t stride, std::int64_t low = 0,
              bool ceil = false) {
  PoolCase c{x, {}, 0, 0};
  for (int d = 0; d < 2; ++d) {
    c.window.window[d] = window;
    c.window.stride[d] = stride;
    c.window.low[d] = c.window.high[d] = low;
    const std::int64_t room = x[2 + d] + 2 * low - window;
    std::int64_t count = (room + (ceil ? stride - 1 : 0)) / stride + 1;
    if ((count - 1) * stride >= x[2 + d] + low) --count;
    (d == 0 ? c.oh : c.ow) = count;
  }
  return c;
}
std::vector<PoolCase> pools() {
  std::vector<PoolCase> cases = {
      pool({2, 3, 9, 7}, 3, 2),
      pool({1, 5, 8, 10}, 3, 2, 0, true),
      pool({1, 33, 6, 8}, 2, 2),
      pool({2, 3, 7, 9}, 2, 2, 1, true),
      pool({1, 2, 9, 9}, 3, 2, 1),
      pool({1, 2, 10, 12}, 3, 2, 1, true),
      pool({1, 3, 7, 6}, 3, 1, 1),
      pool({1, 3, 11, 40}, 5, 1, 2),
      pool({1, 3, 11, 40}, 5, 4, 2, true),
      pool({1, 2, 11, 9}, 2, 5, 1, true),
      pool({2, 2, 10, 11}, 2, 3),
      pool({1, 1, 1, 1}, 1, 1),
      pool({1, 35, 8, 8}, 8, 8),
      pool({1, 3, 20, 19}, 7, 3, 3, true),
      pool({1, 2, 14, 13}, 6, 1, 0),
      pool({1, 1, 3, 3}, 3, 2, 1, true),
      pool({1, 2, 1, 70}, 1, 2),
  };
  PoolCase tall = pool({1, 4, 12, 9}, 3, 2, 1);
  tall.window.window[1] = 2;
  tall.window.stride[1] = 1;
  tall.window.low[1] = tall.window.high[1] = 0;
  tall.ow = 8;
  cases.push_back(tall);
  return cases;
}
std::string name_of(const PoolCase& c, const char* kind) {
  return fmt::format("{} of {} window {} stride {} low {} to {}x{}", kind, to_string(c.x),
                     c.window.window[0], c.window.stride[0], c.window.low[0], c.oh, c.ow);
}

/// Calls f(h, w) for the cells of window (oh, ow) that are in the input; returns those that are in
/// the padded input.
template <class F>
std::int64_t each_cell(const PoolCase& c, const Index& out, F f) {
  std::int64_t begin[2], end[2], cells = 1;
  for (int d = 0; d < 2; ++d) {
    begin[d] = out[static_cast<std::size_t>(2 + d)] * c.window.stride[d] - c.window.low[d];
    end[d] = std::min(begin[d] + c.window.window[d], c.x[2 + d] + c.window.high[d]);
    cells *= end[d] - begin[d];
  }
  for (std::int64_t h = std::max<std::int64_t>(begin[0], 0); h < std::min(end[0], c.x[2]); ++h)
    for (std::int64_t w = std::max<std::int64_t>(begin[1], 0); w < std::min(end[1], c.x[3]); ++w)
      f(h, w);
  return cells;
}

template <class T>
void check_max_pool(const Runner& run, const PoolCase& c, const std::vector<int>& order) {
  const DType dtype = dtype_of<T>();
  const std::string what = name_of(c, "max_pool");
  const Shape ys{c.x[0], c.x[1], c.oh, c.ow};
  Strided x(dtype, c.x, order), values(dtype, ys, order), indices(int64, ys, order),
      dx(dtype, c.x, order);
  fill<T>(x, 23);
  each(ys, [&](const Index& o) {
    T best = 0;
    std::int64_t place = -1;
    each_cell(c, o, [&](std::int64_t h, std::int64_t w) {
      const T v = x.get<T>({o[0], o[1], h, w});
      if (place >= 0 && !(v > best || (std::isnan(v) && !std::isnan(best)))) return;
      best = v;
      place = h * c.x[3] + w;
    });
    values.set(o, best);
    indices.set(o, place);
  });
  for_each_kind([&](int threads) {
    check(run, jit::max_pool_kernel(x.view, values.view, indices.view, c.window, threads), {&x},
          {values, indices}, what);
    check(run, jit::max_pool_gather_kernel(x.view, indices.view, values.view, threads),
          {&x, &indices}, {values}, what + ", gather");
  });
  Strided dy = filled<T>(ys, order);
  each(c.x, [&](const Index& i) { dx.set(i, T(0)); });
  each(ys, [&](const Index& o) {
    const std::int64_t place = indices.get<std::int64_t>(o);
    const Index i{o[0], o[1], place / c.x[3], place % c.x[3]};
    dx.set(i, dx.get<T>(i) + dy.get<T>(o));
  });
  for_each_kind([&](int threads) {
    check(run, jit::max_pool_gradient_kernel(dy.view, indices.view, dx.view, c.window, threads),
          {&dy, &indices}, {dx}, what + ", gradient");
  });
}

template <class T>
void check_avg_pool(const Runner& run, const PoolCase& c, const std::vector<int>& order) {
  const DType dtype = dtype_of<T>();
  const std::string what = name_of(c, "avg_pool");
  const Shape ys{c.x[0], c.x[1], c.oh, c.ow};
  const Strided x = filled<T>(c.x, order), dy = filled<T>(ys, order);
  Strided y(dtype, ys, order), dx(dtype, c.x, order);
  each(c.x, [&](const Index& i) { dx.set(i, T(0)); });
  each(ys, [&](const Index& o) {
    T sum = 0;
    const auto cells = static_cast<T>(each_cell(c, o, [&](std::int64_t h, std::int64_t w) {
      sum += x.get<T>({o[0], o[1], h, w});
    }));
    y.set(o, sum / cells);
    each_cell(c, o, [&](std::int64_t h, std::int64_t w) {
      const Index i{o[0], o[1], h, w};
      dx.set(i, dx.get<T>(i) + dy.get<T>(o) / cells);
    });
  });
  for_each_kind([&](int threads) {
    check(run, jit::avg_pool_kernel(x.view, y.view, c.window, threads), {&x}, {y}, what);
    check(run, jit::avg_pool_gradient_kernel(dy.view, dx.view, c.window, threads), {&dy}, {dx},
          what + ", gradient");
  });
}

}  // namespace

void check_matmuls(const Runner& run, bool thorough, int block_threads) {
  threads_of_blocks = block_threads;
  seed = 1;
  check_matmuls_of<float>(run);
  check_matmuls_of<std::int8_t>(run);
  check_tiles<float>(run);
  check_tiles<double>(run);
  if (!thorough) return;
  check_matmuls_of<double>(run);
  check_matmuls_of<std::uint32_t>(run);
  check_matmuls_of<std::int64_t>(run);
}

void check_convolutions(const Runner& run, bool thorough, int block_threads) {
  threads_of_blocks = block_threads;
  seed = 2;
  const auto attributes = [](std::int64_t stride, std::int64_t low, std::int64_t high,
                             std::int64_t dilation, std::int64_t groups) {
    WindowAttributes w;
    for (int d = 0; d < 2; ++d) {
      w.stride[d] = stride;
      w.low[d] = low;
      w.high[d] = high;
      w.dilation[d] = dilation;
    }
    w.groups = groups;
    return w;
  };
  std::vector<ConvolutionCase> cases = {
      {1, 1, 1, 1, 1, 1, 1, attributes(1, 0, 0, 1, 1)},
      {2, 3, 7, 9, 5, 3, 3, attributes(1, 1, 1, 1, 1), true},
      {1, 5, 9, 37, 33, 1, 1, attributes(1, 0, 0, 1, 1)},
      {1, 3, 11, 12, 9, 3, 2, attributes(2, 1, 0, 1, 1)},
      {2, 4, 9, 8, 6, 3, 3, attributes(1, 2, 1, 2, 2)},
      {1, 6, 7, 6, 12, 2, 3, attributes(3, 1, 2, 1, 6)},
      {1, 30, 5, 21, 35, 3, 3, attributes(1, 1, 1, 1, 1)},
      {1, 2, 13, 31, 3, 9, 10, attributes(2, 4, 5, 1, 1)},
      {1, 3, 4, 70, 4, 1, 3, attributes(2, 0, 0, 3, 1)},
      {2, 16, 6, 7, 18, 3, 2, attributes(2, 1, 1, 1, 2), true},
      {2, 3, 24, 27, 9, 3, 3, attributes(1, 1, 1, 1, 1)},
      {1, 4, 31, 33, 4, 3, 3, attributes(1, 1, 1, 1, 4)},
      {1, 2, 5, 40, 3, 5, 5, attributes(2, 2, 2, 2, 1)},
  };
  cases.back().window.stride[1] = 1;
  check_convolution<float>(run, cases[1], channels_last, "convolution, weights [kh, kw, c, o]",
                           {2, 3, 1, 0});
  for (std::size_t k = 0; k < cases.size(); ++k)
    for (const std::vector<int>& order : {planes, channels_last}) {
      const std::string what = fmt::format("convolution {} order {}", k, order[1]);
      check_convolution<float>(run, cases[k], order, what);
      if (thorough) check_convolution<double>(run, cases[k], order, what + " float64");
    }
}

void check_max_pools(const Runner& run, bool thorough, int block_threads) {
  threads_of_blocks = block_threads;
  seed = 3;
  for (const PoolCase& c : pools())
    for (const std::vector<int>& order : {planes, channels_last}) {
      check_max_pool<float>(run, c, order);
      if (thorough) check_max_pool<double>(run, c, order);
    }
}

void check_avg_pools(const Runner& run, bool thorough, int block_threads) {
  threads_of_blocks = block_threads;
  seed = 4;
  for (const PoolCase& c : pools())
    for (const std::vector<int>& order : {planes, channels_last}) {
      check_avg_pool<float>(run, c, order);
      if (thorough) check_avg_pool<double>(run, c, order);
    }
}

}  // namespace noyau::test

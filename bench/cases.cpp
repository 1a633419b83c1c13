// The cases: elementwise, reductions, products, overheads, one style iteration.
// SPDX-License-Identifier: Apache-2.0
#include "bench/cases.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <span>

#include "bench/device_probe.hpp"
#include "bench/nvrtc_case.hpp"
#include "bench/style_case.hpp"

namespace ny = noyau;

namespace bench {
namespace {

using Floats = std::vector<float>;

ny::Array uniform(const ny::Shape& shape, double low, double high, std::uint64_t seed = 1) {
  ny::Array x = ny::random::Generator(seed).uniform(shape, low, high);
  x.wait();
  return x;
}
ny::Array normal(const ny::Shape& shape, std::uint64_t seed = 1) {
  ny::Array x = ny::random::Generator(seed).normal(shape);
  x.wait();
  return x;
}

/// Compares `count` elements spread over the result with what `expected(i)` says in float64.
double compare(const Floats& got, const std::function<double(std::size_t)>& expected,
               std::size_t count = 100003) {
  const std::size_t step = std::max<std::size_t>(1, got.size() / count);
  double difference = 0, largest = 1e-30;
  for (std::size_t i = 0; i < got.size(); i += step) {
    const double want = expected(i);
    if (!std::isfinite(got[i])) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, std::abs(got[i] - want));
    largest = std::max(largest, std::abs(want));
  }
  return difference / largest;
}

Floats host(const ny::Array& x) { return x.to_vector<float>(); }

/// The beginning, middle and end of a vector: as much of a large one as is worth checking.
Floats pieces(const ny::Array& x) {
  constexpr std::int64_t most = std::int64_t{1} << 22;
  const std::int64_t n = x.size(), length = std::min(n / 3, most);
  x.wait();
  Floats values;
  for (const std::int64_t begin : {std::int64_t{0}, (n - length) / 2, n - length}) {
    const Floats piece = host(x[ny::slice(begin, begin + length)]);
    values.insert(values.end(), piece.begin(), piece.end());
  }
  return values;
}

/// A function of arrays, checked element by element.
Run elementwise(std::vector<ny::Array> in,
                std::function<ny::Array(const std::vector<ny::Array>&)> f,
                std::function<double(const double*)> expected, Limit limit) {
  Run run = run_of([=] { return f(in); });
  run.error = [=] {
    std::vector<Floats> values;
    for (const ny::Array& x : in) values.push_back(pieces(x));
    return compare(pieces(f(in)), [&](std::size_t i) {
      double at[4] = {};
      for (std::size_t k = 0; k < values.size(); ++k) at[k] = values[k][i];
      return expected(at);
    });
  };
  run.limit = limit;
  return run;
}

ny::Array chain10(const ny::Array& x, const ny::Array& y) {
  ny::Array t = sqrt(x * y + x) - y;
  t = x / (t * t + 1.0) + y;
  return sqrt(t) * 0.5;
}
ny::Array chain20(const ny::Array& x, const ny::Array& y) {
  return chain10(x, chain10(x, y) + 0.5);
}
double chain10(double x, double y) {
  double t = std::sqrt(x * y + x) - y;
  t = x / (t * t + 1) + y;
  return std::sqrt(t) / 2;
}

ny::Array cumulative(const ny::Array& x) {
  return 0.5 + 0.5 * tanh(0.79788456 * (x + 0.044715 * x * x * x));
}
double cumulative(double x) {
  return 0.5 + 0.5 * std::tanh(0.79788456 * (x + 0.044715 * x * x * x));
}
ny::Array call_price(const ny::Array& s, const ny::Array& k, const ny::Array& t) {
  const ny::Array v = 0.3 * sqrt(t), d = (log(s / k) + 0.065 * t) / v;
  return s * cumulative(d) - k * exp(-0.02 * t) * cumulative(d - v);
}
double call_price(double s, double k, double t) {
  const double v = 0.3 * std::sqrt(t), d = (std::log(s / k) + 0.065 * t) / v;
  return s * cumulative(d) - k * std::exp(-0.02 * t) * cumulative(d - v);
}

Run sum_case(std::int64_t n) {
  const ny::Array x = uniform({n}, -1, 2);
  Run run = run_of([=] { return sum(x); });
  run.error = [=] {
    double total = 0;
    for (float v : host(x)) total += v;
    return std::abs(sum(x).item<float>() - total) / std::abs(total);
  };
  run.limit = {Probe::read, 4.0 * static_cast<double>(n)};
  return run;
}

/// A function of the rows of a square matrix; expected gives one row of results.
Run rows(const ny::Array& x, std::function<ny::Array(const ny::Array&)> f,
         std::function<std::vector<double>(std::span<const float>)> expected, Limit limit) {
  Run run = run_of([=] { return f(x); });
  run.error = [=] {
    const Floats in = host(x), got = host(f(x));
    const auto side = static_cast<std::size_t>(x.shape()[0]);
    const std::size_t width = got.size() / side;
    double worst = 0;
    for (std::size_t r = 0; r < side; r += 64) {
      const auto want = expected({in.data() + r * side, side});
      worst = std::max(worst, compare({got.begin() + static_cast<std::ptrdiff_t>(r * width),
                                       got.begin() + static_cast<std::ptrdiff_t>((r + 1) * width)},
                                      [&](std::size_t i) { return want[i]; }));
    }
    return worst;
  };
  run.limit = limit;
  return run;
}

std::vector<double> softmax_row(std::span<const float> x) {
  double top = x[0], total = 0;
  for (float v : x) top = std::max<double>(top, v);
  std::vector<double> e;
  for (float v : x) total += e.emplace_back(std::exp(v - top));
  for (double& v : e) v /= total;
  return e;
}
std::vector<double> sum_row(std::span<const float> x) {
  return {std::accumulate(x.begin(), x.end(), 0.0)};
}
/// Scaled and shifted by 1.5 and 0.25.
std::vector<double> normalised_row(std::span<const float> x) {
  const double n = static_cast<double>(x.size()),
               mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double squares = 0;
  for (float v : x) squares += (v - mean) * (v - mean);
  std::vector<double> y;
  for (float v : x) y.push_back((v - mean) / std::sqrt(squares / n + 1e-5) * 1.5 + 0.25);
  return y;
}
ny::Array normalise(const ny::Array& x, const ny::Array& scale, const ny::Array& shift) {
  const ny::Array centred = x - mean(x, 1, {.keepdims = true});
  return centred / sqrt(mean(square(centred), 1, {.keepdims = true}) + 1e-5) * scale + shift;
}

Run column_sums(std::int64_t side) {
  const ny::Array x = uniform({side, side}, -1, 2);
  Run run = run_of([=] { return sum(x, 0); });
  run.error = [=] {
    const Floats in = host(x);
    const auto n = static_cast<std::size_t>(side);
    return compare(
        host(sum(x, 0)),
        [&](std::size_t i) {
          double total = 0;
          for (std::size_t r = 0; r < n; ++r) total += in[r * n + i];
          return total;
        },
        503);
  };
  run.limit = {Probe::read, 4.0 * static_cast<double>(side * side)};
  return run;
}

Run transposed(std::int64_t side) {
  const ny::Array x = normal({side, side});
  Run run = run_of([=] { return copy(transpose(x)); });
  run.error = [=] {
    const Floats in = host(x);
    const auto n = static_cast<std::size_t>(side);
    return compare(host(copy(transpose(x))), [&](std::size_t i) { return in[i % n * n + i / n]; });
  };
  run.limit = {Probe::copy, 8.0 * static_cast<double>(side * side)};
  return run;
}

Run product(std::int64_t n) {
  const ny::Array a = normal({n, n}), b = normal({n, n}, 2);
  Run run = run_of([=] { return matmul(a, b); });
  run.error = [=] {
    const Floats x = host(a), y = host(b);
    const auto side = static_cast<std::size_t>(n);
    return compare(
        host(matmul(a, b)),
        [&](std::size_t i) {
          double total = 0;
          for (std::size_t k = 0; k < side; ++k)
            total += static_cast<double>(x[i / side * side + k]) * y[k * side + i % side];
          return total;
        },
        5003);
  };
  run.limit = {Probe::fma, 2.0 * static_cast<double>(n * n * n)};
  return run;
}

/// 3 x 3, padding 1, c channels to c at s x s; or the gradient of its input.
Run convolution(std::int64_t images, std::int64_t c, std::int64_t s, bool back) {
  const ny::Array x = normal({images, c, s, s}),
                  w = (normal({c, c, 3, 3}, 2) / static_cast<float>(c)).eval();
  const auto f = [=] {
    if (!back) return conv2d(x, w, {.padding = 1});
    return ny::vjp([&](const ny::Array& v) { return conv2d(v, w, {.padding = 1}); },
                   ny::zeros({images, c, s, s}), x);
  };
  Run run = run_of(f);
  run.error = [=] {
    const Floats in = host(x), weights = host(w);
    return compare(
        host(f()),
        [&](std::size_t i) {
          const auto at = static_cast<std::int64_t>(i);
          const std::int64_t image = at / (c * s * s), o = at / (s * s) % c, h = at / s % s,
                             v = at % s;
          double total = 0;
          for (std::int64_t k = 0; k < c; ++k)
            for (std::int64_t a = 0; a < 3; ++a)
              for (std::int64_t b = 0; b < 3; ++b) {
                const std::int64_t y = h + (back ? 1 - a : a - 1), z = v + (back ? 1 - b : b - 1);
                if (y < 0 || y >= s || z < 0 || z >= s) continue;
                const std::int64_t from = back ? k * c + o : o * c + k;
                total += static_cast<double>(
                             in[static_cast<std::size_t>(((image * c + k) * s + y) * s + z)]) *
                         weights[static_cast<std::size_t>(from * 9 + a * 3 + b)];
              }
          return total;
        },
        997);
  };
  run.limit = {Probe::fma, 18.0 * static_cast<double>(images * c * c * s * s)};
  return run;
}

/// Twenty operations with constants of their own. The operations alternate by the bits of `k`, so
/// that no two kernels are alike.
ny::Array twenty(const ny::Array& x, const ny::Array& y, unsigned k) {
  const auto c = [&](int i) {
    return 1.0 +
           static_cast<double>((k * 7919 + static_cast<unsigned>(i) * 104729) % 99991) / 99991;
  };
  ny::Array t = x * c(0) + y;
  for (int i = 1; i < 6; ++i) t = (k >> i & 1) != 0 ? sqrt(t * c(i) + x) : sqrt(t + x * c(i));
  for (int i = 6; i < 8; ++i) t = (k >> i & 1) != 0 ? t * y + c(i) : y * t + c(i);
  return (k & 1) != 0 ? t / (x + c(8)) - c(9) : t / (c(8) + x) - c(9);
}

Run compile_case() {
  const ny::Array x = uniform({1024}, 0.5, 1.5), y = uniform({1024}, 0.5, 1.5, 2);
  auto next = std::make_shared<unsigned>(0);
  auto empty = std::make_shared<unsigned>(0);
  twenty(x, y, 511).wait();  // the compiler's own first use is not the kernel's
  Run run;
  run.once = [=] { twenty(x, y, (*next)++ % 255).wait(); };
  run.error = [=] { return std::isfinite(sum(twenty(x, y, 3)).item<float>()) ? 0.0 : 1.0; };
  // An empty kernel never seen before: a copy to another dtype or of another structure each time.
  run.limit_ms = [=](int) { return empty_kernel_ms((*empty)++); };
  return run;
}

Run dispatch_case() {
  const ny::Array x = uniform({1}, 0, 1), y = uniform({1}, 0, 1, 2);
  Run run;
  run.calls = 10000;
  run.once = [=] {
    for (int i = 0; i < 10000; ++i) (x + y).wait();
  };
  run.error = [=] { return std::abs((x + y).item<float>() - (x.item<float>() + y.item<float>())); };
  return run;
}

void add_elementwise(std::vector<Case>& list, std::int64_t count) {
  const double n = static_cast<double>(count);
  const ny::Shape shape{count};
  list.push_back({"saxpy", "2.5 x + y", [=] {
                    return elementwise(
                        {normal(shape), normal(shape, 2)},
                        [](const auto& a) { return 2.5 * a[0] + a[1]; },
                        [](const double* v) { return 2.5 * v[0] + v[1]; }, {Probe::triad, 12 * n});
                  }});
  list.push_back({"chain10", "ten operations on two inputs", [=] {
                    return elementwise(
                        {uniform(shape, .5, 1.5), uniform(shape, .5, 1.5, 2)},
                        [](const auto& a) { return chain10(a[0], a[1]); },
                        [](const double* v) { return chain10(v[0], v[1]); },
                        {Probe::triad, 12 * n});
                  }});
  list.push_back({"chain20", "twenty operations on two inputs", [=] {
                    return elementwise(
                        {uniform(shape, .5, 1.5), uniform(shape, .5, 1.5, 2)},
                        [](const auto& a) { return chain20(a[0], a[1]); },
                        [](const double* v) { return chain10(v[0], chain10(v[0], v[1]) + 0.5); },
                        {Probe::triad, 12 * n});
                  }});
  list.push_back({"exp", "exp", [=] {
                    return elementwise(
                        {uniform(shape, -5, 5)}, [](const auto& a) { return exp(a[0]); },
                        [](const double* v) { return std::exp(v[0]); }, {Probe::copy, 8 * n});
                  }});
  list.push_back({"sin", "sin", [=] {
                    return elementwise(
                        {uniform(shape, -10, 10)}, [](const auto& a) { return sin(a[0]); },
                        [](const double* v) { return std::sin(v[0]); }, {Probe::copy, 8 * n});
                  }});
  list.push_back(
      {"blackscholes", "price of a call, 3 inputs", [=] {
         return elementwise(
             {uniform(shape, 10, 50), uniform(shape, 10, 50, 2), uniform(shape, .2, 2, 3)},
             [](const auto& a) { return call_price(a[0], a[1], a[2]); },
             [](const double* v) { return call_price(v[0], v[1], v[2]); }, {Probe::triad, 16 * n});
       }});
}

void add_rows(std::vector<Case>& list, std::int64_t count) {
  const double n = static_cast<double>(count);
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(n)));
  const ny::Shape square{side, side};
  list.push_back({"sum", "sum of all", [=] { return sum_case(count); }});
  list.push_back({"rowsum", "sums of the rows of a square matrix", [=] {
                    return rows(uniform(square, -1, 2),
                                [](const ny::Array& x) { return sum(x, 1); }, sum_row,
                                {Probe::read, 4 * n});
                  }});
  list.push_back({"colsum", "sums of its columns", [=] { return column_sums(side); }});
  list.push_back({"softmax", "softmax of its rows", [=] {
                    return rows(normal(square), [](const ny::Array& x) { return softmax(x); },
                                softmax_row, {Probe::copy, 8 * n});
                  }});
  list.push_back({"layernorm", "its rows normalised, scaled and shifted", [=] {
                    const ny::Array scale = ny::full({side}, 1.5), shift = ny::full({side}, 0.25);
                    ny::eval({scale, shift});
                    return rows(normal(square),
                                [=](const ny::Array& x) { return normalise(x, scale, shift); },
                                normalised_row, {Probe::copy, 8 * n});
                  }});
  list.push_back({"transpose", "its transpose, materialised", [=] { return transposed(side); }});
}

}  // namespace

Run run_of(std::function<ny::Array()> f) {
  Run run;
  run.once = [=] { f().wait(); };
  run.enqueue = [=] { f().eval(); };
  return run;
}

const Sizes* sizes_named(const std::string& name) {
  static const Sizes cpu{std::int64_t{1} << 24, {512, 1000, 1024, 2048}, 1, 1, 512, 224};
  static const Sizes gpu{std::int64_t{1} << 28, {512, 1024, 2048, 4096, 8192}, 16, 1, 512, 512};
  static const Sizes tiny{std::int64_t{1} << 14, {64}, 2, 14, 64, 32};
  return name == "cpu" ? &cpu : name == "gpu" ? &gpu : name == "tiny" ? &tiny : nullptr;
}

std::vector<Case> cases(const Sizes& sizes) {
  std::vector<Case> list;
  list.push_back({"copy", "a copy by the device's own queue",
                  [=] { return queue_case(ny::LaunchStep::Kind::copy, sizes.elements); }});
  list.push_back({"fill", "a fill by the device's own queue",
                  [=] { return queue_case(ny::LaunchStep::Kind::fill, sizes.elements); }});
  add_elementwise(list, sizes.elements);
  add_rows(list, sizes.elements);
  for (std::int64_t side : sizes.products)
    list.push_back(
        {"sgemm" + std::to_string(side), "matrix product, float32", [=] { return product(side); }});
  for (auto [c, s] : {std::pair<std::int64_t, std::int64_t>{64, 224}, {256, 56}, {512, 28}}) {
    const std::int64_t side = s / sizes.resolution;
    for (const bool back : {false, true})
      list.push_back({(back ? "convback" : "conv") + std::to_string(c),
                      back ? "its input gradient" : "3x3 convolution",
                      [=, n = sizes.images] { return convolution(n, c, side, back); }});
  }
  list.push_back({"compile",
                  "a kernel of twenty operations never seen before; limit_ms: an empty one",
                  [] { return compile_case(); }});
  list.push_back({"disk_hit", "a kernel of twenty operations from the disk cache; limit_ms: 1",
                  [] { return disk_hit_case(); }});
  for (const bool first : {false, true})
    list.push_back({first ? "disk_first" : "disk_process",
                    first ? "the first kernel that a process takes from disk; only when it is named"
                          : "the kernels after it; limit_ms: 1; only when it is named",
                    [=] { return disk_process_case(first); }, true});
  list.push_back(
      {"nvrtc",
       "twenty operations, exp and sin among them, compiled by NVRTC; limit_ms: an empty "
       "kernel; needs no GPU; only when it is named",
       [] { return nvrtc_case(); }, true});
  list.push_back({"dispatch", "x + y of one element, built, evaluated and waited for",
                  [] { return dispatch_case(); }});
  list.push_back(
      {"mandelbrot",
       "2048 x 2048 pixels, 256 iterations; limit_ms: a scalar C++ loop on as many threads",
       [] { return mandelbrot_case(); }});
  list.push_back({"style_squeeze",
                  "one iteration of style transfer, SqueezeNet to fire7, random weights",
                  [=] { return squeeze_case(sizes.picture); }});
  list.push_back({"style_vgg", "one iteration of style transfer, VGG-19 to relu5_1, random weights",
                  [=] { return vgg_case(sizes.vgg_picture); }});
  return list;
}

}  // namespace bench

// The hand-written Programs with their inputs and plain C++ that computes the same bits; for the
// tests of the interpreter and of each backend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "jit/interpret.hpp"
#include "jit/program.hpp"
#include "tests/common/halves.hpp"
#include "tests/jit/program_texts.hpp"

namespace noyau::jit::testing {

/// The elements of one buffer argument.
struct HostBuffer {
  DType dtype = float32;
  std::vector<unsigned char> bytes;

  template <class T>
  static HostBuffer of(const std::vector<T>& values) {
    HostBuffer b{dtype_of<T>(), std::vector<unsigned char>(values.size() * sizeof(T))};
    if (!values.empty()) std::memcpy(b.bytes.data(), values.data(), b.bytes.size());
    return b;
  }
  template <class T>
  std::vector<T> values() const {
    std::vector<T> v(bytes.size() / sizeof(T));
    if (!v.empty()) std::memcpy(v.data(), bytes.data(), bytes.size());
    return v;
  }
  std::int64_t elements() const { return static_cast<std::int64_t>(bytes.size() / size_of(dtype)); }
  InterpreterBuffer argument() { return {bytes.data(), elements()}; }
};

struct HandWritten {
  std::string name;
  const char* text;
  bool plain;  ///< without shared memory, barriers and atomics
  std::array<std::int64_t, 3> extent;
  std::vector<std::uint64_t> parameters;  ///< as interpret takes them
  std::vector<HostBuffer> buffers;        ///< before the launch, in the program's order
  std::function<void(std::vector<HostBuffer>&)> reference;  ///< does what the launch does
};

template <class T>
std::uint64_t bits_of(T value) {
  return Scalar::of(value).bits;
}

/// Floats in [-2, 2) from a small generator of its own, so that every platform tests the same.
inline std::vector<float> random_floats(std::size_t n, std::uint32_t seed) {
  std::vector<float> v(n);
  for (float& f : v) {
    seed = seed * 1664525u + 1013904223u;
    f = static_cast<float>(seed >> 8) * 0x1p-22f - 2.0f;
  }
  return v;
}

inline float reference_exp(float x) {
  const float clamped = std::fmax(x, -87.0f);
  const float k = std::nearbyint(clamped * 0x1.715476p+0f);
  float r = std::fma(-k, 0x1.62ep-1f, clamped);
  r = std::fma(-k, 0x1.0bfbe8p-15f, r);
  float p = std::fma(0.00833333f, r, 0.04166667f);
  p = std::fma(p, r, 0.16666667f);
  p = std::fma(p, r, 0.5f);
  p = std::fma(p, r, 1.0f);
  p = std::fma(p, r, 1.0f);
  return p * std::ldexp(1.0f, static_cast<int>(k));
}

inline HandWritten softmax_program() {
  constexpr std::size_t rows = 7, n = 45;
  auto reference = [](std::vector<HostBuffer>& b) {
    auto x = b[0].values<float>(), y = b[1].values<float>();
    for (std::size_t row = 0; row < rows; ++row) {
      float m = -INFINITY, sum = 0;
      for (std::size_t i = row * n; i < (row + 1) * n; ++i) m = std::fmax(m, x[i]);
      for (std::size_t i = row * n; i < (row + 1) * n; ++i) sum += y[i] = reference_exp(x[i] - m);
      for (std::size_t i = row * n; i < (row + 1) * n; ++i) y[i] /= sum;
    }
    b[1] = HostBuffer::of(y);
  };
  return {
      "softmax",
      softmax_text,
      true,
      {rows, 1, 1},
      {n},
      {HostBuffer::of(random_floats(rows * n, 1)), HostBuffer::of(std::vector<float>(rows * n))},
      reference};
}

inline HandWritten matmul_program() {
  constexpr std::size_t rows = 19, columns = 13, inner = 21;
  auto reference = [](std::vector<HostBuffer>& buffers) {
    auto a = buffers[0].values<float>(), b = buffers[1].values<float>();
    std::vector<float> c(rows * columns);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        for (std::size_t k = 0; k < inner; ++k) {
          c[i * columns + j] = std::fma(a[i * inner + k], b[k * columns + j], c[i * columns + j]);
        }
      }
    }
    buffers[2] = HostBuffer::of(c);
  };
  return {"matmul",
          matmul_text,
          false,
          {2, 3, 1},
          {rows, columns, inner},
          {HostBuffer::of(random_floats(rows * inner, 2)),
           HostBuffer::of(random_floats(inner * columns, 3)),
           HostBuffer::of(std::vector<float>(rows * columns))},
          reference};
}

inline HandWritten histogram_program() {
  constexpr std::size_t n = 1000;
  std::vector<std::uint8_t> x;
  for (float f : random_floats(n, 4)) x.push_back(static_cast<std::uint8_t>(f * f * 63));
  auto reference = [](std::vector<HostBuffer>& b) {
    auto counts = b[1].values<std::int32_t>();
    for (std::uint8_t v : b[0].values<std::uint8_t>()) ++counts[v >> 4];
    b[1] = HostBuffer::of(counts);
  };
  return {"histogram", histogram_text,
          false,       {3, 1, 1},
          {n, 3},      {HostBuffer::of(x), HostBuffer::of(std::vector<std::int32_t>(16, 5))},
          reference};
}

inline HandWritten tree_program() {
  constexpr std::size_t n = 150, blocks = 4;
  auto reference = [](std::vector<HostBuffer>& b) {
    auto x = b[0].values<float>();
    std::vector<float> sums;
    for (std::size_t block = 0; block < blocks; ++block) {
      float part[64] = {};
      for (std::size_t t = 0; t < 64; ++t) part[t] = block * 64 + t < n ? x[block * 64 + t] : 0.0f;
      for (std::size_t s = 32; s > 0; s /= 2) {
        for (std::size_t t = 0; t < s; ++t) part[t] += part[t + s];
      }
      sums.push_back(part[0]);
    }
    b[1] = HostBuffer::of(sums);
  };
  return {"tree",
          tree_text,
          false,
          {blocks, 1, 1},
          {n},
          {HostBuffer::of(random_floats(n, 5)), HostBuffer::of(std::vector<float>(blocks, -1.0f))},
          reference};
}

/// Of a size that tests like; backends measure with larger ones.
inline HandWritten mandelbrot_program(std::size_t width = 37, std::size_t height = 22,
                                      std::int32_t limit = 50) {
  const float left = -2.25f, top = -1.25f, step = 3.0f / static_cast<float>(width);
  auto reference = [=](std::vector<HostBuffer>& b) {
    std::vector<std::int32_t> steps;
    for (std::size_t py = 0; py < height; ++py) {
      for (std::size_t px = 0; px < width; ++px) {
        const float cx = left + static_cast<float>(px) * step;
        const float cy = top + static_cast<float>(py) * step;
        float x = 0, y = 0;
        std::int32_t k = 0;
        for (; x * x + y * y <= 4 && k < limit; ++k) {
          const float x2 = x * x - y * y + cx, xy = x * y;
          x = x2;
          y = xy + xy + cy;
        }
        steps.push_back(k);
      }
    }
    b[0] = HostBuffer::of(steps);
  };
  return {"mandelbrot",
          mandelbrot_text,
          true,
          {static_cast<std::int64_t>(width), static_cast<std::int64_t>(height), 1},
          {width, bits_of(limit), bits_of(left), bits_of(top), bits_of(step)},
          {HostBuffer::of(std::vector<std::int32_t>(width * height))},
          reference};
}

inline HandWritten stencil_program() {
  constexpr std::int64_t width = 11, height = 7;
  auto reference = [](std::vector<HostBuffer>& b) {
    auto x = b[0].values<float>(), weights = b[1].values<float>();
    std::vector<float> y;
    auto reflect = [](std::int64_t i, std::int64_t n) {
      i = i < 0 ? -i : i;
      return i < n ? i : 2 * (n - 1) - i;
    };
    for (std::int64_t py = 0; py < height; ++py) {
      for (std::int64_t px = 0; px < width; ++px) {
        float sum = 0;
        for (std::int64_t k = 0; k < 25; ++k) {
          auto at = reflect(py + k / 5 - 2, height) * width + reflect(px + k % 5 - 2, width);
          sum =
              std::fma(x[static_cast<std::size_t>(at)], weights[static_cast<std::size_t>(k)], sum);
        }
        y.push_back(sum);
      }
    }
    b[2] = HostBuffer::of(y);
  };
  return {"stencil",
          stencil_text,
          true,
          {width, height, 1},
          {width, height},
          {HostBuffer::of(random_floats(width * height, 6)), HostBuffer::of(random_floats(25, 7)),
           HostBuffer::of(std::vector<float>(width * height))},
          reference};
}

inline HandWritten pointer_walk_program() {
  constexpr std::size_t nodes = 60;
  std::vector<std::int32_t> next(nodes), heads = {0, 17, -1, 59, 3, 4, 5, 6, 31};
  for (std::size_t i = 0; i < nodes; ++i) {  // hops of 1 to 7 that end past the last node
    auto to = static_cast<std::int32_t>(i + 1 + i % 7);
    next[i] = to < static_cast<std::int32_t>(nodes) ? to : -1;
  }
  auto reference = [](std::vector<HostBuffer>& b) {
    auto links = b[1].values<std::int32_t>();
    auto value = b[2].values<float>();
    std::vector<float> sums;
    for (std::int32_t p : b[0].values<std::int32_t>()) {
      float sum = 0;
      for (; p >= 0; p = links[static_cast<std::size_t>(p)])
        sum += value[static_cast<std::size_t>(p)];
      sums.push_back(sum);
    }
    b[3] = HostBuffer::of(sums);
  };
  auto count = static_cast<std::int64_t>(heads.size());
  return {"pointer walk",
          pointer_walk_text,
          true,
          {count, 1, 1},
          {},
          {HostBuffer::of(heads), HostBuffer::of(next), HostBuffer::of(random_floats(nodes, 8)),
           HostBuffer::of(std::vector<float>(heads.size()))},
          reference};
}

inline HandWritten scan_program() {
  constexpr std::size_t n = 150, blocks = 5;
  std::vector<std::int32_t> x, none(blocks);
  for (float f : random_floats(n, 9)) x.push_back(static_cast<std::int32_t>(f * 1000));
  auto reference = [](std::vector<HostBuffer>& b) {
    auto values = b[0].values<std::int32_t>();
    std::vector<std::int32_t> y, sums(blocks), prefixes(blocks);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      y.push_back(sum += values[i]);
      sums[i / 32] += values[i];
      prefixes[i / 32] = sum;
    }
    b[1] = HostBuffer::of(y);
    b[2] = HostBuffer::of(std::vector<std::int32_t>{blocks});
    b[3] = HostBuffer::of(std::vector<std::int32_t>(blocks, 2));
    b[4] = HostBuffer::of(sums);
    b[5] = HostBuffer::of(prefixes);
  };
  return {"scan",
          scan_text,
          false,
          {blocks, 1, 1},
          {n},
          {HostBuffer::of(x), HostBuffer::of(std::vector<std::int32_t>(n)),
           HostBuffer::of(std::vector<std::int32_t>(1)), HostBuffer::of(none), HostBuffer::of(none),
           HostBuffer::of(none)},
          reference};
}

inline HandWritten halves_program() {
  constexpr std::size_t blocks = 4, n = 32 * blocks;
  const std::uint16_t step = 0x3555;  // 0.33325195
  const auto of = [](double v) { return test::nearest_half(float16, v); };
  const auto wide = [](std::uint16_t bits) {
    return static_cast<float>(test::half_value(float16, bits));
  };
  std::vector<std::uint16_t> x;
  for (float f : random_floats(n, 10)) x.push_back(of(f * 3));
  x[5] = of(-40000.0);  // twice that is past the end
  x[6] = 0x8001;
  const auto buffer = [](DType type, const std::vector<std::uint16_t>& bits) {
    HostBuffer b = HostBuffer::of(bits);
    b.dtype = type;
    return b;
  };
  auto reference = [=](std::vector<HostBuffer>& b) {
    std::vector<std::uint16_t> y(n), z(n);
    for (std::size_t k = 0; k < n; ++k) {
      const std::uint16_t from = x[k / 32 * 32 + (31 - (k % 32 ^ 1))];
      std::uint16_t h = wide(from) < 0 ? of(wide(from) + wide(from)) : from;
      for (int round = 0; round < 3; ++round) h = of(wide(h) + wide(step));
      y[k] = test::nearest_half(bfloat16, wide(h));
      z[k] = h;
    }
    b[1] = buffer(bfloat16, y);
    b[2] = HostBuffer::of(z);
  };
  return {"halves",
          halves_text,
          false,
          {blocks, 1, 1},
          {step},
          {buffer(float16, x), buffer(bfloat16, std::vector<std::uint16_t>(n)),
           HostBuffer::of(std::vector<std::uint16_t>(n))},
          reference};
}

inline std::vector<HandWritten> hand_written_programs() {
  return {softmax_program(),      matmul_program(),     histogram_program(),
          tree_program(),         mandelbrot_program(), stencil_program(),
          pointer_walk_program(), scan_program(),       halves_program()};
}

}  // namespace noyau::jit::testing

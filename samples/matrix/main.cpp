// Matrix computing: solves a large linear system by conjugate gradients, and finds the dominant
// eigenvector of a matrix by power iteration.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <noyau/noyau.hpp>
#include <optional>

namespace ny = noyau;

namespace {

/// A well-conditioned symmetric matrix: A^T A / n + 1.
ny::Array symmetric_matrix(std::int64_t n) {
  ny::random::Generator rng(1);
  const ny::Array a = rng.normal({n, n});
  ny::Array matrix = matmul(transpose(a), a) / static_cast<double>(n) + ny::eye(n);
  matrix.eval();
  return matrix;
}

ny::Array dot(const ny::Array& a, const ny::Array& b) { return sum(a * b); }

/// Solves A x = b (Hestenes and Stiefel, 1952); returns x and prints how it gets there.
ny::Array solve(const ny::Array& a, const ny::Array& b) {
  ny::Array x = ny::zeros(b.shape()), residual = b, direction = b;
  ny::Array squared = dot(residual, residual);
  for (int step = 1; step <= 50; ++step) {
    const ny::Array image = matmul(a, direction);
    const ny::Array length = squared / dot(direction, image);
    x += length * direction;
    residual -= length * image;
    const ny::Array next = dot(residual, residual);
    direction = residual + next / squared * direction;
    squared = next;
    ny::eval({x, residual, direction, squared});
    if (step % 5 == 0) {
      const double size = std::sqrt(squared.item<double>());
      fmt::print("  step {:2}: |b - A x| = {:.3e}\n", step, size);
      if (size < 1e-4) break;
    }
  }
  return x;
}

/// The largest eigenvalue, by applying A again and again.
double largest_eigenvalue(const ny::Array& a) {
  ny::Array v = ny::ones({a.shape()[0]});
  ny::Array value;
  for (int step = 0; step < 60; ++step) {
    const ny::Array image = matmul(a, v);
    value = dot(v, image) / dot(v, v);
    v = image / sqrt(dot(image, image));
    ny::eval({v, value});
  }
  return value.item<double>();
}

}  // namespace

int main(int count, char** words) {
  CLI::App app(
      "Solves N linear equations by conjugate gradients, and finds the largest eigenvalue of their "
      "matrix\nby power iteration.");
  std::int64_t n = 1000;
  std::string device;
  app.add_option("N", n, "equations")->check(CLI::Range(2, 30000))->capture_default_str();
  app.add_option("--device", device, "such as cpu:0 (noyau devices lists them)");
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    std::optional<ny::DeviceScope> scope;
    if (!device.empty()) scope.emplace(ny::device(device));
    const ny::Array a = symmetric_matrix(n);
    const ny::Array truth = ny::random::Generator(2).normal({n});
    fmt::print("solving {} equations on {}\n", n, a.device().description());
    const ny::Array x = solve(a, matmul(a, truth));
    fmt::print("largest error of the solution: {:.2e}\n", max(abs(x - truth)).item<double>());
    fmt::print("largest eigenvalue: {:.4f} (about 5 for a large random matrix of this kind)\n",
               largest_eigenvalue(a));
  } catch (const std::exception& error) {
    fmt::print(stderr, "noyau-matrix: {}\n", error.what());
    return 1;
  }
}

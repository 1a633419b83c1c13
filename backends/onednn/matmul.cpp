// Matrix products of float32, any order of axes and any batches. Long sums over few results are cut
// into chunks that depend on sizes only: oneDNN cuts them by the number of threads.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/onednn/common.hpp"
#include "backends/onednn/deterministic.hpp"
#include "backends/onednn/routines.hpp"
#include "backends/onednn/sequence.hpp"
#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

constexpr std::string_view routine_name = "onednn.matmul";

/// Sums longer than this, over at most so many results, are cut into chunks of at most this.
constexpr std::int64_t chunk_length = 1024;
constexpr std::int64_t few_results = 512 * 512;

std::optional<Product> check(const LibraryCall& call) {
  auto product = product_of(call);
  if (product && call.output.dtype != float32) product.reset();
  return product;
}

/// Several matrices of one operand: how they lie, and how the primitive reads or writes them.
/// oneDNN's best kernels want them dense; what is not is copied.
struct Matrices {
  Layout given, used;
  bool copied = false;
};

/// `count` matrices `apart` elements apart; 0 broadcasts.
Matrices matrices(const Matrix& m, std::int64_t rows, std::int64_t columns, std::int64_t count,
                  std::int64_t apart, bool row_major_only) {
  const bool broadcast = apart == 0 || count == 1;
  const bool in_step = broadcast || apart == rows * columns;
  const bool by_rows = (columns == 1 || m.column == 1) && (rows == 1 || m.row == columns);
  const bool by_columns = (rows == 1 || m.row == 1) && (columns == 1 || m.column == rows);
  const Dims dims = {broadcast ? 1 : count, rows, columns};
  Matrices result;
  result.given = strided_layout(dims, {apart, m.row, m.column});
  result.used = dense_layout(dims);
  result.copied = !in_step || !(by_rows || (by_columns && !row_major_only));
  if (!result.copied && !by_rows)
    result.used = Layout(dims, dnnl::memory::data_type::f32, {rows * columns, 1, rows});
  if (!result.copied) result.given = result.used;
  return result;
}

/// A primitive that computes several products of equal size.
struct Launch {
  Matrices a, b, out;
  Choice choice;
};

/// How a product is computed, inside a loop over the outer axes of its batch: the inner axis at
/// once, or the chunks of the sum, then its rest.
struct Chosen {
  Product product;
  std::vector<Batch> outer;
  Batch inner = {1, 0, 0, 0};
  std::int64_t chunks = 0;  ///< of equal length; 0 when the sum is not cut
  Launch main;
  std::optional<Launch> rest;
  std::int64_t parts() const { return chunks + (rest ? 1 : 0); }
};

std::optional<Launch> choose_launch(const Product& p, std::int64_t k, const Batch& at_once,
                                    const Matrix& out, bool finishes) {
  const std::int64_t count = at_once.extent;
  Launch launch{matrices(p.a, p.m, k, count, at_once.a, false),
                matrices(p.b, k, p.n, count, at_once.b, false),
                matrices(out, p.m, p.n, count, at_once.out, true),
                {}};
  const auto choice = choose_matmul(launch.a.used, launch.b.used, launch.out.used,
                                    finishes && p.bias, finishes && p.relu);
  if (!choice) return std::nullopt;
  launch.choice = *choice;
  return launch;
}

std::optional<Chosen> choose_chunks(Chosen c) {
  const Product& p = c.product;
  c.chunks = (p.k + chunk_length - 1) / chunk_length;
  const std::int64_t length = p.k / c.chunks, rest = p.k % c.chunks;
  const Matrix partial = {p.n, 1};
  c.inner = {c.chunks, p.a.column * length, p.b.row * length, p.m * p.n};
  const auto main = choose_launch(p, length, c.inner, partial, false);
  if (!main) return std::nullopt;
  c.main = *main;
  if (rest > 0) {
    c.rest = choose_launch(p, rest, {1, 0, 0, 0}, partial, false);
    if (!c.rest) return std::nullopt;
  }
  return c;
}

std::optional<Chosen> choose(const Product& product) {
  Chosen c;
  c.product = product;
  c.outer = product.batch;
  if (product.k > chunk_length && product.m * product.n <= few_results) return choose_chunks(c);
  if (!c.outer.empty()) {
    c.inner = c.outer.back();
    c.outer.pop_back();
    if (const auto main = choose_launch(product, product.k, c.inner, product.out, true)) {
      c.main = *main;
      return c;
    }
    c.outer.push_back(c.inner);
    c.inner = {1, 0, 0, 0};
  }
  const auto main = choose_launch(product, product.k, c.inner, product.out, true);
  if (!main) return std::nullopt;
  c.main = *main;
  return c;
}

/// Adds up the parts of a sum in their order, then bias and relu.
struct Combine {
  std::int64_t m, n, parts;
  Matrix out;
  bool relu;

  void operator()(const float* partial, const float* bias, float* to) const {
#pragma omp parallel for schedule(static)
    for (std::int64_t row = 0; row < m; ++row) {
      for (std::int64_t begin = 0; begin < n; begin += width)
        combine(partial, bias, to, row, begin, std::min(begin + width, n));
    }
  }

 private:
  static constexpr std::int64_t width = 256;

  void combine(const float* partial, const float* bias, float* to, std::int64_t row,
               std::int64_t begin, std::int64_t end) const {
    float sums[width];
    const std::int64_t count = end - begin;
    const float* from = partial + row * n + begin;
    std::copy(from, from + count, sums);
    for (std::int64_t part = 1; part < parts; ++part) {
      from += m * n;
      for (std::int64_t i = 0; i < count; ++i) sums[i] += from[i];
    }
    for (std::int64_t i = 0; i < count; ++i) {
      if (bias != nullptr) sums[i] += bias[begin + i];
      if (relu) sums[i] = sums[i] <= 0.0f ? 0.0f : sums[i];  // NaN stays
      to[row * out.row + (begin + i) * out.column] = sums[i];
    }
  }
};

/// Fills a sequence with the stages of a product. All rounds of the outer loop share their copies.
class Setter {
 public:
  Setter(const Chosen& chosen, Sequence& sequence) : c_(chosen), p_(chosen.product), to_(sequence) {
    if (c_.chunks > 0) partial_ = to_.workspace(dense_layout({c_.parts() * p_.m, p_.n}));
    main_ = copies_of(c_.main);
    if (c_.rest) rest_ = copies_of(*c_.rest);
  }

  void set() {
    std::int64_t rounds = 1;
    for (const Batch& axis : c_.outer) rounds *= axis.extent;
    for (std::int64_t round = 0; round < rounds; ++round) {
      Batch at = {0, 0, 0, 0};
      std::int64_t left = round;
      for (std::size_t i = c_.outer.size(); i-- > 0;) {
        const std::int64_t index = left % c_.outer[i].extent;
        left /= c_.outer[i].extent;
        at.a += index * c_.outer[i].a;
        at.b += index * c_.outer[i].b;
        at.out += index * c_.outer[i].out;
      }
      set_round(at);
    }
  }

 private:
  struct Copies {
    Operand a, b, out;
  };

  Copies copies_of(const Launch& launch) {
    Copies copies;
    if (launch.a.copied) copies.a = to_.workspace(launch.a.used);
    if (launch.b.copied) copies.b = to_.workspace(launch.b.used);
    if (launch.out.copied) copies.out = to_.workspace(launch.out.used);
    return copies;
  }

  Operand input(int number, std::int64_t offset) const {
    Operand operand = to_.input(number, {});
    operand.offset = offset;
    return operand;
  }

  void set_round(const Batch& at) {
    Operand a = input(p_.swapped ? 1 : 0, at.a), b = input(p_.swapped ? 0 : 1, at.b);
    Operand out = to_.output({});
    out.offset = at.out;
    if (c_.chunks == 0) return launch(c_.main, main_, a, b, out);
    Operand partial = partial_;
    launch(c_.main, main_, a, b, partial);
    if (c_.rest) {
      a.offset += c_.chunks * c_.inner.a;
      b.offset += c_.chunks * c_.inner.b;
      partial.offset += c_.chunks * c_.inner.out;
      launch(*c_.rest, rest_, a, b, partial);
    }
    combine(out);
  }

  void launch(const Launch& launch, const Copies& copies, Operand a, Operand b, Operand out) {
    const auto read = [&](Operand& operand, const Matrices& as, const Operand& copy) {
      operand.layout = as.given;
      if (!as.copied) return;
      to_.reorder(operand, copy);
      operand = copy;
    };
    read(a, launch.a, copies.a);
    read(b, launch.b, copies.b);
    out.layout = launch.out.given;
    const bool finishes = c_.chunks == 0;
    const Operand bias =
        p_.bias && finishes ? to_.input(2, layout_wanted(launch.choice, DNNL_ARG_BIAS)) : Operand{};
    execute_product(to_, launch.choice, a, b, launch.out.copied ? copies.out : out,
                    p_.bias && finishes ? &bias : nullptr, p_.relu && finishes);
    if (launch.out.copied) to_.reorder(copies.out, out);
  }

  void combine(const Operand& out) {
    const Combine body = {p_.m, p_.n, c_.parts(), p_.out, p_.relu};
    to_.loop([&to = to_, body, partial = partial_, out, bias = p_.bias](const Pointers& pointers) {
      body(static_cast<const float*>(to.pointer_to(partial, pointers)),
           static_cast<const float*>(bias ? pointers.inputs[2] : nullptr),
           static_cast<float*>(to.pointer_to(out, pointers)));
    });
  }

  const Chosen& c_;
  const Product& p_;
  Sequence& to_;
  Operand partial_;
  Copies main_, rest_;
};

class MatmulRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    const auto product = check(call);
    return product && choose(*product);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    const auto product = check(call);
    if (!product) throw InternalError("onednn.matmul: prepares a call it does not accept");
    auto sequence = std::make_unique<Sequence>(routine_name);
    translate_errors(routine_name, [&] {
      // choose,
      const auto chosen = choose(*product);
      if (!chosen) throw InternalError("onednn.matmul: no implementation");
      // set; the launch is Sequence::run.
      Setter(*chosen, *sequence).set();
    });
    return sequence;
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_matmul() { return std::make_unique<MatmulRoutine>(); }

}  // namespace noyau::onednn

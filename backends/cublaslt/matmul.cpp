// Matrix products of f32 and f64: any order of axes, any batches, a bias on the way. bfloat16 and
// TF32 where the caller allows them. What comes after a bias stays with generated kernels: cuBLASLt
// does not say what its relu makes of NaN, and its gelu is another.
// SPDX-License-Identifier: Apache-2.0
#include "backends/cublaslt/matmul.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/cublaslt/functions.hpp"
#include "backends/cuda/driver.hpp"
#include "core/log.hpp"
#include "core/products.hpp"
#include "core/refused_call.hpp"
#include "noyau/error.hpp"

namespace noyau::cublaslt {
namespace {

constexpr std::string_view routine_name = "cublaslt.matmul";
constexpr std::size_t most_workspace = std::size_t{32} << 20;

struct Problem {
  void* context = nullptr;
  DType dtype = float32;
  AllowedPrecision allowed;
  BlasProduct product;

  DataType type() const { return dtype == float64 ? real_64 : real_32; }
  /// What the sums may be computed in, the fastest first.
  std::vector<ComputeType> computes() const {
    if (dtype == float64) return {compute_64};
    std::vector<ComputeType> all;
    if (allowed.bf16) all.push_back(compute_32_bf16);
    if (allowed.bf16 || allowed.tf32) all.push_back(compute_32_tf32);
    all.push_back(compute_32);
    return all;
  }
  auto key() const {
    std::vector<std::int64_t> words = {static_cast<std::int64_t>(dtype), allowed.tf32, allowed.bf16,
                                       product.bias, product.batch};
    for (const BlasMatrix* m : {&product.a, &product.b, &product.out})
      words.insert(words.end(), {m->lines, m->length, m->leading, m->batch_stride, m->transposed});
    return std::pair(context, words);
  }
};

// ---- check

std::optional<Problem> check(const LibraryCall& call) {
  auto product = blas_product_of(call);
  if (!product || call.context == nullptr) return std::nullopt;
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (product->batch > most) return std::nullopt;
  for (const BlasMatrix* m : {&product->a, &product->b, &product->out})
    if (m->lines > most || m->length > most || m->leading > most) return std::nullopt;
  return Problem{call.context, call.output.dtype, call.allowed, std::move(*product)};
}

// ---- choose

/// Owns what create made.
template <class T>
class Owned {
 public:
  explicit Owned(Status (*destroy)(T)) : destroy_(destroy) {}
  ~Owned() {
    if (value != nullptr) destroy_(value);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T value = nullptr;

 private:
  Status (*destroy_)(T);
};

/// A problem in cuBLASLt's descriptors. It sees all matrices by columns, and so the transpose of
/// each: its first factor is our second.
struct Descriptors {
  Owned<Operation> operation{functions().matmul_desc_destroy};
  Owned<Layout> a{functions().matrix_layout_destroy}, b{functions().matrix_layout_destroy},
      d{functions().matrix_layout_destroy};

  Descriptors(const Problem& p, ComputeType compute) {
    const BlasProduct& product = p.product;
    cublaslt::check(functions().matmul_desc_create(&operation.value, compute, p.type()),
                    "cublasLtMatmulDescCreate");
    if (product.b.transposed) set(transpose_a, transposed);
    if (product.a.transposed) set(transpose_b, transposed);
    if (product.bias) {
      set(epilogue, epilogue_bias);
      // The heuristic wants some address; the call sets its own.
      set(bias_pointer, reinterpret_cast<const void*>(std::uintptr_t{256}));
    }
    describe(a.value, p, product.b);
    describe(b.value, p, product.a);
    describe(d.value, p, product.out);
  }
  template <class Value>
  void set(OperationAttribute attribute, const Value& value) {
    cublaslt::check(
        functions().matmul_desc_set_attribute(operation.value, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
  }

 private:
  static void describe(Layout& layout, const Problem& p, const BlasMatrix& m) {
    const Functions& f = functions();
    cublaslt::check(f.matrix_layout_create(&layout, p.type(), static_cast<std::uint64_t>(m.length),
                                           static_cast<std::uint64_t>(m.lines), m.leading),
                    "cublasLtMatrixLayoutCreate");
    if (p.product.batch == 1) return;
    const auto count = static_cast<std::int32_t>(p.product.batch);
    cublaslt::check(f.matrix_layout_set_attribute(layout, batch_count, &count, sizeof count),
                    "cublasLtMatrixLayoutSetAttribute");
    cublaslt::check(
        f.matrix_layout_set_attribute(layout, batch_stride, &m.batch_stride, sizeof m.batch_stride),
        "cublasLtMatrixLayoutSetAttribute");
  }
};

/// What cuBLASLt would do with pointers that are multiples of `alignment` bytes.
struct Choice {
  Algorithm algorithm{};
  std::size_t workspace_bytes = 0;
};
std::optional<Choice> ask(const Problem& p, const Descriptors& described, std::uint32_t alignment) {
  const Functions& f = functions();
  Owned<Preference> wish{f.matmul_preference_destroy};
  cublaslt::check(f.matmul_preference_create(&wish.value), "cublasLtMatmulPreferenceCreate");
  const auto set = [&](PreferenceAttribute attribute, const auto& value) {
    cublaslt::check(f.matmul_preference_set_attribute(wish.value, attribute, &value, sizeof value),
                    "cublasLtMatmulPreferenceSetAttribute");
  };
  set(most_workspace_bytes, std::uint64_t{most_workspace});
  // Parts of a sum are added in their order, in the type of the sum.
  set(reduction_schemes, reduce_in_compute_type);
  for (const auto which : {alignment_a, alignment_b, alignment_c, alignment_d})
    set(which, alignment);
  HeuristicResult result{};
  int found = 0;
  const Status status = f.matmul_algo_get_heuristic(
      handle_of(p.context), described.operation.value, described.a.value, described.b.value,
      described.d.value, described.d.value, wish.value, 1, &result, &found);
  if (status != success || found == 0 || result.state != success) return std::nullopt;
  return Choice{result.algorithm, result.workspace_bytes};
}

/// Two choices: pointers into the middle of arrays may be multiples of an element alone.
constexpr std::uint32_t good_alignment = 16;
struct Chosen {
  ComputeType compute;
  Choice aligned, any;
};

std::optional<Chosen> ask(const Problem& p) {
  const cuda::ContextScope scope(static_cast<cuda::Context>(p.context));
  for (const ComputeType compute : p.computes()) {
    Descriptors described(p, compute);
    const auto aligned = ask(p, described, good_alignment);
    if (p.product.bias) {
      described.set(bias_pointer, reinterpret_cast<const void*>(std::uintptr_t{size_of(p.dtype)}));
    }
    const auto any = ask(p, described, static_cast<std::uint32_t>(size_of(p.dtype)));
    if (aligned && any) return Chosen{compute, *aligned, *any};
  }
  return std::nullopt;
}

/// What was chosen, by shape; nothing where cuBLASLt does not do it, or does not work here.
class Choices {
 public:
  static Choices& all() {
    static auto& made = *new Choices;  // leaked: calls come until the very end
    return made;
  }
  std::optional<Chosen> find(const Problem& p) {
    const std::lock_guard lock(mutex_);
    const auto key = p.key();
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    std::optional<Chosen> chosen;
    try {
      chosen = ask(p);
    } catch (const std::exception& error) {  // generated kernels do it then
      logging::warn_once(error.what());
    }
    return known_[key] = chosen;
  }
  void strike(const Problem& p) {
    const std::lock_guard lock(mutex_);
    known_[p.key()] = std::nullopt;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<void*, std::vector<std::int64_t>>, std::optional<Chosen>> known_;
};

// ---- set, launch

class PreparedMatmul final : public PreparedCall {
 public:
  PreparedMatmul(Problem problem, const Chosen& chosen, std::string words)
      : p_(std::move(problem)),
        chosen_(chosen),
        words_(std::move(words)),
        described_(p_, chosen.compute),
        handle_(handle_of(p_.context)) {}

  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>(
        std::max(chosen_.aligned.workspace_bytes, chosen_.any.workspace_bytes));
  }
  void run(std::span<const void* const> inputs, void* output, void* workspace) override {
    enqueue(nullptr, inputs, output, workspace);
  }

  void enqueue(void* stream, std::span<const void* const> inputs, void* output,
               void* workspace) override {
    if (p_.product.bias) described_.set(bias_pointer, inputs[2]);
    const std::int64_t rounds = rounds_of(p_.product.outer);
    for (std::int64_t round = 0; round < rounds; ++round)
      launch(stream, inputs, output, workspace, batch_at(p_.product.outer, round));
  }

 private:
  void launch(void* stream, std::span<const void* const> inputs, void* output, void* workspace,
              const Batch& at) const {
    const auto size = static_cast<std::int64_t>(size_of(p_.dtype));
    const auto moved = [&](const void* pointer, std::int64_t elements) {
      return static_cast<const std::byte*>(pointer) + elements * size;
    };
    const std::byte* a = moved(inputs[static_cast<std::size_t>(p_.product.b.pointer)], at.b);
    const std::byte* b = moved(inputs[static_cast<std::size_t>(p_.product.a.pointer)], at.a);
    auto* d = const_cast<std::byte*>(moved(output, at.out));
    const auto bits = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) |
                      reinterpret_cast<std::uintptr_t>(d) |
                      (p_.product.bias ? reinterpret_cast<std::uintptr_t>(inputs[2]) : 0);
    const Choice& choice = bits % good_alignment == 0 ? chosen_.aligned : chosen_.any;
    const float one = 1, zero = 0;
    const double double_one = 1, double_zero = 0;
    const bool wide = p_.dtype == float64;
    check_launch(functions().matmul(
        handle_, described_.operation.value, wide ? static_cast<const void*>(&double_one) : &one, a,
        described_.a.value, b, described_.b.value,
        wide ? static_cast<const void*>(&double_zero) : &zero, d, described_.d.value, d,
        described_.d.value, &choice.algorithm, workspace, choice.workspace_bytes, stream));
  }

  void check_launch(Status status) const {
    if (status == success) return;
    if (status == execution_failed) {
      throw LaunchError(
          fmt::format("{}: {} failed: {}", routine_name, words_, status_text(status)));
    }
    Choices::all().strike(p_);
    throw RefusedCall(routine_name, words_, status_text(status));
  }

  const Problem p_;
  const Chosen chosen_;
  const std::string words_;
  Descriptors described_;
  const Handle handle_;
};

class MatmulRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }

  bool accepts(const LibraryCall& call) const override {
    const auto problem = check(call);
    return problem && Choices::all().find(*problem);
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    auto problem = check(call);
    const auto chosen = problem ? Choices::all().find(*problem) : std::nullopt;
    if (!chosen) throw InternalError("cublaslt.matmul: prepares a call it does not accept");
    return std::make_unique<PreparedMatmul>(std::move(*problem), *chosen, describe(call));
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_matmul() { return std::make_unique<MatmulRoutine>(); }

}  // namespace noyau::cublaslt

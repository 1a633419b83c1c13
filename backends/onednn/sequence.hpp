// A prepared call made of stages: primitives, reorders and loops of our own over the call's memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/onednn/common.hpp"
#include "core/device.hpp"

namespace noyau::onednn {

/// Where a stage's operand lies when the call runs, and how.
struct Operand {
  enum class Place : std::uint8_t {
    input,      ///< `at` is its number
    output,     ///<
    workspace,  ///< `at` is a byte offset
    kept        ///< memory of the call itself, kept between runs; `at` is its number
  };
  Place place = Place::input;
  std::int64_t at = 0;
  Layout layout;
  std::int64_t offset = 0;  ///< in elements, from where it lies
};

using Arguments = std::vector<std::pair<int, Operand>>;

/// A primitive with where its arguments lie.
struct Work {
  Compiled compiled;
  Arguments arguments;
};
Work work(const Choice& choice, Arguments arguments);
Work reorder_work(const Operand& from, const Operand& to);

/// What one run gets.
struct Pointers {
  std::span<const void* const> inputs;
  void* output = nullptr;
  std::byte* workspace = nullptr;
};

/// Runs its stages in order. Stages added between begin_packing and end_packing depend on one input
/// only and are skipped while that input stays the same.
class Sequence final : public PreparedCall {
 public:
  explicit Sequence(std::string_view routine) : routine_(routine) {}

  // While preparing: operands,
  Operand input(int number, const Layout& layout) const;
  Operand output(const Layout& layout) const;
  Operand workspace(const Layout& layout);
  Operand kept(const Layout& layout);
  /// A byte offset of memory that lives through the run.
  std::int64_t reserve(std::size_t bytes);
  /// A byte offset of memory that lives through one stage.
  void reserve_scratch(std::size_t bytes);

  // and stages.
  void execute(const Choice& choice, Arguments arguments);
  void reorder(const Operand& from, const Operand& to);
  /// Each list of works by one thread, the lists side by side; the primitives were made under
  /// OneThread. For what would otherwise split sums by the number of threads.
  void side_by_side(const std::vector<std::vector<Work>>& tasks);
  void loop(std::function<void(const Pointers&)> body);
  void begin_packing(int input);
  void end_packing();
  /// The input as it is when its layout is the wanted one, else a reordered copy of it.
  Operand input_as(int number, const Layout& layout, const Layout& wanted);
  /// The same, kept between runs while the input stays the same.
  Operand packed_input(int number, const Layout& layout, const Layout& wanted);

  /// Where an operand is in this run; scratch memory for one stage.
  void* pointer_to(const Operand& operand, const Pointers& pointers) const;
  std::byte* scratch(const Pointers& pointers) const;

  std::int64_t workspace_bytes() const override;
  void run(std::span<const void* const> inputs, void* output, void* workspace) override;
  void run_versioned(std::span<const void* const> inputs, std::span<const std::uint64_t> versions,
                     void* output, void* workspace) override;

 private:
  void add(const Work& work);
  bool is_packed(std::span<const void* const> inputs,
                 std::span<const std::uint64_t> versions) const;

  struct Stage {
    std::function<void(const Pointers&)> body;
    int packs = -1;  ///< the input that it alone depends on
  };

  std::string_view routine_;
  std::vector<Stage> stages_;
  std::vector<dnnl::memory> kept_;
  std::size_t reserved_ = 0;
  std::size_t scratch_ = 0;
  int packing_ = -1;  ///< the input packed by the stages being added
  int packs_ = -1;    ///< the input packed by any stage
  const void* packed_pointer_ = nullptr;
  std::uint64_t packed_version_ = 0;
};

}  // namespace noyau::onednn

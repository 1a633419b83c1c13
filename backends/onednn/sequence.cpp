// Runs the stages of a prepared call over the pointers of each run.
// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/sequence.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <unordered_map>

#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

/// Pages: oneDNN's kernels are fastest on them, and neighbours never share a line.
constexpr std::size_t alignment = 4096;

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// A work whose memory objects get their pointers at every run.
class BoundWork {
 public:
  explicit BoundWork(const Work& work)
      : primitive_(work.compiled.primitive),
        pad_(unbound(work.compiled.scratchpad)),
        stream_(engine()) {
    for (const auto& [argument, operand] : work.arguments) {
      operands_.emplace_back(operand, unbound(operand.layout));
      arguments_.emplace(argument, operands_.back().second);
    }
    arguments_.emplace(DNNL_ARG_SCRATCHPAD, pad_);
  }

  void run(const Sequence& sequence, const Pointers& pointers, void* scratch) const {
    for (const auto& [operand, memory] : operands_)
      memory.set_data_handle(sequence.pointer_to(operand, pointers));
    pad_.set_data_handle(scratch);
    primitive_.execute(stream_, arguments_);
  }

 private:
  dnnl::primitive primitive_;
  std::vector<std::pair<Operand, dnnl::memory>> operands_;
  dnnl::memory pad_;
  dnnl::stream stream_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace

Work work(const Choice& choice, Arguments arguments) {
  return {compile(choice), std::move(arguments)};
}

Work reorder_work(const Operand& from, const Operand& to) {
  return {reorder_between(from.layout, to.layout), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}};
}

Operand Sequence::input(int number, const Layout& layout) const {
  return {Operand::Place::input, number, layout, 0};
}

Operand Sequence::output(const Layout& layout) const {
  return {Operand::Place::output, 0, layout, 0};
}

Operand Sequence::workspace(const Layout& layout) {
  return {Operand::Place::workspace, reserve(layout.get_size()), layout, 0};
}

Operand Sequence::kept(const Layout& layout) {
  kept_.emplace_back(layout, engine());
  return {Operand::Place::kept, static_cast<std::int64_t>(kept_.size()) - 1, layout, 0};
}

std::int64_t Sequence::reserve(std::size_t bytes) {
  const std::size_t at = reserved_;
  reserved_ += aligned(bytes);
  return static_cast<std::int64_t>(at);
}

void Sequence::reserve_scratch(std::size_t bytes) { scratch_ = std::max(scratch_, aligned(bytes)); }

void* Sequence::pointer_to(const Operand& operand, const Pointers& pointers) const {
  void* base = nullptr;
  switch (operand.place) {
    case Operand::Place::input:
      // oneDNN's memory objects are not const-correct; inputs are only read.
      base = const_cast<void*>(pointers.inputs[static_cast<std::size_t>(operand.at)]);
      break;
    case Operand::Place::output:
      base = pointers.output;
      break;
    case Operand::Place::workspace:
      base = pointers.workspace + operand.at;
      break;
    case Operand::Place::kept:
      base = kept_[static_cast<std::size_t>(operand.at)].get_data_handle();
      break;
  }
  return static_cast<float*>(base) + operand.offset;
}

std::byte* Sequence::scratch(const Pointers& pointers) const {
  return pointers.workspace + reserved_;
}

void Sequence::execute(const Choice& choice, Arguments arguments) {
  add(work(choice, std::move(arguments)));
}

void Sequence::reorder(const Operand& from, const Operand& to) { add(reorder_work(from, to)); }

void Sequence::add(const Work& given) {
  reserve_scratch(given.compiled.scratchpad.get_size());
  loop([this, bound = BoundWork(given)](const Pointers& pointers) {
    bound.run(*this, pointers, scratch(pointers));
  });
}

void Sequence::side_by_side(const std::vector<std::vector<Work>>& tasks) {
  struct Task {
    std::vector<BoundWork> works;
    std::int64_t scratch = 0;
  };
  std::vector<Task> bound;
  for (const std::vector<Work>& task : tasks) {
    Task next;
    std::size_t bytes = 0;
    for (const Work& each : task) {
      next.works.emplace_back(each);
      bytes = std::max(bytes, each.compiled.scratchpad.get_size());
    }
    next.scratch = reserve(bytes);
    bound.push_back(std::move(next));
  }
  loop([this, bound = std::move(bound)](const Pointers& pointers) {
    std::exception_ptr failure;
    std::atomic_flag failed = ATOMIC_FLAG_INIT;
#pragma omp parallel for schedule(dynamic, 1)
    for (std::size_t i = 0; i < bound.size(); ++i) {
      try {
        for (const BoundWork& each : bound[i].works)
          each.run(*this, pointers, pointers.workspace + bound[i].scratch);
      } catch (...) {
        if (!failed.test_and_set()) failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
  });
}

void Sequence::loop(std::function<void(const Pointers&)> body) {
  stages_.push_back({std::move(body), packing_});
}

void Sequence::begin_packing(int input) {
  if (packs_ >= 0 && packs_ != input)
    throw InternalError("onednn: a call packs two different inputs");
  packs_ = packing_ = input;
}

void Sequence::end_packing() { packing_ = -1; }

Operand Sequence::input_as(int number, const Layout& layout, const Layout& wanted) {
  const Operand given = input(number, layout);
  if (layout == wanted) return given;
  const Operand copy = workspace(wanted);
  reorder(given, copy);
  return copy;
}

Operand Sequence::packed_input(int number, const Layout& layout, const Layout& wanted) {
  const Operand given = input(number, layout);
  if (layout == wanted) return given;
  const Operand copy = kept(wanted);
  begin_packing(number);
  reorder(given, copy);
  end_packing();
  return copy;
}

std::int64_t Sequence::workspace_bytes() const {
  return static_cast<std::int64_t>(reserved_ + scratch_);
}

void Sequence::run(std::span<const void* const> inputs, void* output, void* workspace) {
  run_versioned(inputs, {}, output, workspace);
}

void Sequence::run_versioned(std::span<const void* const> inputs,
                             std::span<const std::uint64_t> versions, void* output,
                             void* workspace) {
  const Pointers pointers{inputs, output, static_cast<std::byte*>(workspace)};
  translate_errors(routine_, [&] {
    const bool packed = is_packed(inputs, versions);
    for (const Stage& stage : stages_) {
      if (stage.packs < 0) {
        stage.body(pointers);
      } else if (!packed) {
        packed_version_ = 0;  // until it is complete
        stage.body(pointers);
      }
    }
    if (packs_ < 0 || packed) return;
    const auto number = static_cast<std::size_t>(packs_);
    packed_version_ = number < versions.size() ? versions[number] : 0;
    packed_pointer_ = inputs[number];
  });
}

bool Sequence::is_packed(std::span<const void* const> inputs,
                         std::span<const std::uint64_t> versions) const {
  const auto number = static_cast<std::size_t>(packs_);
  return packs_ >= 0 && packed_version_ != 0 && number < versions.size() &&
         versions[number] == packed_version_ && inputs[number] == packed_pointer_;
}

}  // namespace noyau::onednn

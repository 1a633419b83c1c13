// Evaluation: plan (or find the plan), allocate, submit, commit.
// SPDX-License-Identifier: Apache-2.0
#include "core/eval.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "core/convert.hpp"
#include "core/device.hpp"
#include "core/graph.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/plan_counters.hpp"
#include "core/refused_call.hpp"
#include "core/transfer.hpp"
#include "core/wait.hpp"
#include "jit/trace.hpp"

namespace noyau {
namespace {

thread_local jit::PlanOptions plan_options;

struct PlanKey {
  jit::Hash128 trace;
  const DeviceBackend* device;
  bool rows, fused, library, layouts, merge;
  bool operator==(const PlanKey&) const = default;
};
struct PlanKeyHash {
  std::size_t operator()(const PlanKey& key) const { return key.trace.low; }
};

/// Everything that evaluations share; never destroyed.
struct Evaluator {
  std::mutex mutex;
  std::unordered_map<PlanKey, std::shared_ptr<jit::Plan>, PlanKeyHash> plans;
};
Evaluator& evaluator() {
  static Evaluator* leaked = new Evaluator;
  return *leaked;
}
constexpr std::size_t most_plans = 4096;
/// Of each call in a plan, before the library is at fault that accepts it again and again.
constexpr std::size_t most_refusals = 16;

/// The memory of one run of a plan.
struct Memory {
  std::vector<BufferRef> owned;       ///< by plan buffer; null for temporaries
  std::vector<std::byte*> addresses;  ///< by plan buffer
  BufferRef arena;
};

Memory allocate(const jit::Plan& plan, const jit::Trace& trace, DeviceBackend& backend) {
  Memory memory;
  memory.owned.resize(plan.buffers.size());
  memory.addresses.resize(plan.buffers.size());
  if (plan.arena_bytes > 0)
    memory.arena = memory::allocate(backend, static_cast<std::size_t>(plan.arena_bytes));
  for (std::size_t k = 0; k < plan.buffers.size(); ++k) {
    const jit::PlanBuffer& b = plan.buffers[k];
    switch (b.kind) {
      case jit::PlanBuffer::Kind::temporary:
        if (b.last >= 0) memory.addresses[k] = memory.arena->data + b.offset;
        break;
      case jit::PlanBuffer::Kind::leaf: {
        const Storage& storage = trace.nodes[static_cast<std::size_t>(b.node)]
                                     .node->storage[static_cast<std::size_t>(b.output)];
        memory.owned[k] = storage.buffer;
        memory.addresses[k] = storage.buffer->data + storage.offset;
        break;
      }
      case jit::PlanBuffer::Kind::stored:
        memory.owned[k] = memory::allocate(backend, static_cast<std::size_t>(b.bytes));
        memory.addresses[k] = memory.owned[k]->data;
        break;
    }
  }
  return memory;
}

Submission submission_of(const jit::Plan& plan, const std::shared_ptr<jit::Plan>& hold,
                         const jit::Trace& trace, const Memory& memory) {
  Submission submission;
  submission.steps.reserve(plan.steps.size());
  for (const jit::PlanStep& step : plan.steps) {
    LaunchStep launch;
    launch.kind = step.kind;
    launch.executable = step.executable.get();
    launch.call = step.call.get();
    std::copy(step.extent, step.extent + 3, launch.extent);
    launch.pointers.reserve(step.pointers.size());
    for (const jit::PlanPointer& p : step.pointers) {
      const auto buffer = static_cast<std::size_t>(p.buffer);
      launch.pointers.push_back(memory.addresses[buffer] + p.offset);
      launch.overwrites |=
          p.access != jit::Access::read && plan.buffers[buffer].kind == jit::PlanBuffer::Kind::leaf;
    }
    launch.parameters.reserve(step.parameters.size());
    for (const jit::ParameterSource& p : step.parameters)
      launch.parameters.push_back(p.slot < 0 ? p.bits
                                             : trace.slots[static_cast<std::size_t>(p.slot)]);
    for (std::int32_t i : step.versioned) {
      const jit::TraceNode& input = trace.nodes[static_cast<std::size_t>(i)];
      launch.versions.push_back(input.kind == NodeKind::data ? input.node->number : 0);
    }
    launch.bytes = step.bytes;
    launch.name = step.name;
    submission.steps.push_back(std::move(launch));
  }
  for (std::size_t k = 0; k < plan.buffers.size(); ++k) {
    const BufferRef& buffer = memory.owned[k];
    if (!buffer) continue;
    submission.keep_alive.push_back(buffer);
    const std::uint64_t written = buffer->written.load(std::memory_order_acquire);
    if (plan.buffers[k].kind == jit::PlanBuffer::Kind::leaf && written != 0)
      submission.after.push_back(written);
  }
  if (memory.arena) submission.keep_alive.push_back(memory.arena);
  submission.owner = hold;
  submission.memo = &hold->memo;
  return submission;
}

/// Gives nodes their storage and lets go of what they were computed from.
void commit(const jit::Plan& plan, const jit::Trace& trace, const Memory& memory,
            std::uint64_t ticket) {
  for (const BufferRef& buffer : memory.owned)
    if (buffer)
      buffer->last_use.store(std::max(ticket, buffer->last_use.load(std::memory_order_relaxed)),
                             std::memory_order_release);
  for (const jit::PlanStep& step : plan.steps)
    for (const jit::PlanPointer& p : step.pointers)
      if (const BufferRef& buffer = memory.owned[static_cast<std::size_t>(p.buffer)];
          buffer && p.access != jit::Access::read)
        buffer->written.store(ticket, std::memory_order_release);
  std::vector<Node*> finished;
  for (const jit::PlanOutput& out : plan.outputs) {
    Node* node = trace.nodes[static_cast<std::size_t>(out.node)].node;
    node->storage.resize(node->output_count);
    Storage& storage = node->storage[static_cast<std::size_t>(out.output)];
    storage.buffer = memory.owned[static_cast<std::size_t>(out.buffer)];
    const jit::PlanBuffer& b = plan.buffers[static_cast<std::size_t>(out.buffer)];
    storage.offset =
        b.kind == jit::PlanBuffer::Kind::leaf
            ? memory.addresses[static_cast<std::size_t>(out.buffer)] - storage.buffer->data
            : 0;
    if (finished.empty() || finished.back() != node) finished.push_back(node);
  }
  for (std::int32_t i : plan.counted) {
    Node* node = trace.nodes[static_cast<std::size_t>(i)].node;
    if (node->evals_unstored < 255) ++node->evals_unstored;
  }
  // Inputs die with the last reference to them, and a node of this trace may be among them: hold
  // all until the end.
  std::vector<NodeRef> hold;
  hold.reserve(finished.size());
  for (Node* node : finished) hold.emplace_back(node, 0);
  for (Node* node : finished) node->status.store(NodeStatus::evaluated, std::memory_order_release);
  for (Node* node : finished) release_inputs(*node);
}

void log_steps(const jit::Plan& plan, bool fresh) {
  for (const jit::PlanStep& step : plan.steps) {
    if (step.kind == LaunchStep::Kind::fill) continue;
    const auto kind = step.kind == LaunchStep::Kind::kernel    ? LaunchRecord::Kind::kernel
                      : step.kind == LaunchStep::Kind::library ? LaunchRecord::Kind::library
                                                               : LaunchRecord::Kind::copy;
    record_launch({kind, step.name, step.bytes, fresh && step.compiled});
  }
}

/// Whether its values are somewhere, if as a view of something else.
bool has_memory(const Array& array) {
  if (array.node()->is_evaluated()) return true;
  const jit::Resolved base = jit::resolve(array.node(), array.output());
  return base.node->is_evaluated();
}

}  // namespace

PlanScope::PlanScope(const jit::PlanOptions& options)
    : previous_(std::exchange(plan_options, options)) {}
PlanScope::~PlanScope() { plan_options = previous_; }

namespace {

/// The roots that are to be evaluated, by device.
using RootsByDevice = std::vector<std::vector<Array>>;

void add_root(RootsByDevice& roots, const Array& root) {
  const auto same = std::find_if(roots.begin(), roots.end(), [&](const std::vector<Array>& some) {
    return some[0].node()->device == root.node()->device;
  });
  if (same == roots.end()) roots.push_back({root});
  else same->push_back(root);
}

RootsByDevice roots_of(std::span<const Array> arrays, bool materialise) {
  RootsByDevice roots;
  for (const Array& array : arrays) {
    if (!array) throw ValueError("[eval] this Array holds nothing: assign one to it first");
    if (array.node()->status.load() == NodeStatus::failed)
      std::rethrow_exception(array.node()->failure);
    if (array.node()->is_evaluated() || (!materialise && has_memory(array))) continue;
    add_root(roots, array);
  }
  return roots;
}

/// What must outlive the lock: a foreign buffer's deleter may evaluate.
struct Kept {
  std::vector<Memory> memory;
  std::vector<Array> arrays;
};

/// Plans, submits and commits. RefusedCall: nothing has changed.
void attempt(const jit::Trace& trace, const PlanKey& key, DeviceBackend& backend, Kept& kept) {
  Evaluator& e = evaluator();
  auto found = e.plans.find(key);
  const bool fresh = found == e.plans.end();
  if (fresh) {
    auto plan = std::make_shared<jit::Plan>(jit::make_plan(trace, plan_options));
    if (e.plans.size() >= most_plans) e.plans.clear();
    found = e.plans.emplace(key, std::move(plan)).first;
  }
  (fresh ? plan_counters().made : plan_counters().reused).fetch_add(1, std::memory_order_relaxed);
  const std::shared_ptr<jit::Plan>& plan = found->second;

  Memory& memory = kept.memory.emplace_back(allocate(*plan, trace, backend));
  const std::uint64_t ticket = backend.submit(submission_of(*plan, plan, trace, memory));
  if (memory.arena) memory.arena->last_use.store(ticket, std::memory_order_release);
  commit(*plan, trace, memory, ticket);
  log_steps(*plan, fresh);
}

/// Computes on one device what a trace asks for. Where a library refuses a call, another plan is
/// made: each refusal takes a way to compute one of the products off the list.
void run(const jit::Trace& trace, Kept& kept) {
  if (trace.nodes.empty()) return;
  DeviceBackend& backend = trace.device.backend();
  if (!backend.can_run())
    throw DeviceError(fmt::format(
        "[eval] {} plans and never runs: move the array to another device, or use explain()",
        backend.name()));

  const PlanKey key{trace.key,
                    &backend,
                    plan_options.fusion.rows,
                    plan_options.fusion.fuse,
                    plan_options.library,
                    plan_options.layouts,
                    plan_options.merge};
  for (std::size_t refusals = 0;; ++refusals) {
    try {
      return attempt(trace, key, backend, kept);
    } catch (const RefusedCall& refusal) {
      evaluator().plans.erase(key);
      wait_until_idle(backend);
      kept.memory.pop_back();  // for the next attempt; leaves are their nodes'
      plan_counters().refused_calls.fetch_add(1, std::memory_order_relaxed);
      logging::warn_once(refusal.what());
      if (refusals >= most_refusals * trace.nodes.size()) throw;
    }
  }
}

/// The same for roots that need no transfer any more. What their groups need is left alone where
/// that needs one: it may depend on these very roots.
void run(std::span<const Array> roots, Kept& kept) {
  jit::Trace trace = jit::linearise(roots);
  if (!trace.transfers.empty()) trace = jit::linearise(roots, false);
  run(trace, kept);
}

/// Where the values are once the device is done with them.
jit::Resolved wait_for(const Array& array) {
  const jit::Resolved base = jit::resolve(array.node(), array.output());
  Node& node = *base.node;
  Buffer& buffer = *node.storage[static_cast<std::size_t>(base.output)].buffer;
  const auto fail = [&node](bool refused) {
    const std::lock_guard lock(evaluator().mutex);
    node.failure = std::current_exception();
    node.status.store(NodeStatus::failed, std::memory_order_release);
    if (refused) evaluator().plans.clear();  // some of them have the call
  };
  try {
    buffer.device->wait(buffer.written.load(std::memory_order_acquire));
  } catch (const RefusedCall&) {
    fail(true);
    throw;
  } catch (...) {
    fail(false);
    throw;
  }
  return base;
}

/// What a transfer reads, as dense values: evaluated where they are not.
void evaluate_inputs(std::span<const NodeRef> transfers, Kept& kept) {
  RootsByDevice roots;
  for (const NodeRef& transfer : transfers) {
    if (transfer->is_evaluated()) continue;
    const Array input = transfer->inputs[0].array();
    const jit::Resolved at = jit::resolve(input.node(), input.output());
    if (at.node->status.load() == NodeStatus::failed) std::rethrow_exception(at.node->failure);
    if (!at.dense || !at.node->is_evaluated()) add_root(roots, input);
  }
  for (const std::vector<Array>& some : roots) run(some, kept);
}

/// What a round of transfers reads. Its memory is held against being donated.
struct TransferInput {
  Array array;  ///< nothing: the transfer has been done already
  Storage storage;
  BufferRef copy = {};
};
std::vector<TransferInput> inputs_of(std::span<const NodeRef> transfers, Kept& kept) {
  evaluate_inputs(transfers, kept);
  std::vector<TransferInput> inputs(transfers.size());
  for (std::size_t k = 0; k < transfers.size(); ++k) {
    if (transfers[k]->is_evaluated()) continue;
    TransferInput& input = inputs[k];
    input.array = transfers[k]->inputs[0].array();
    const jit::Resolved at = jit::resolve(input.array.node(), input.array.output());
    input.storage = at.node->storage[static_cast<std::size_t>(at.output)];
    kept.arrays.push_back(input.array);
  }
  return inputs;
}

/// Runs pending transfers with everything that they need: in rounds, of which each needs only those
/// before. Lets go of the lock while it waits and copies.
void run_transfers(std::span<const NodeRef> transfers, Kept& kept,
                   std::unique_lock<std::mutex>& lock) {
  for (const std::vector<NodeRef>& round : transfer_rounds(transfers)) {
    std::vector<TransferInput> inputs = inputs_of(round, kept);
    lock.unlock();
    for (std::size_t k = 0; k < round.size(); ++k) {
      const Array& x = inputs[k].array;
      if (!x) continue;
      wait_for(x);
      const std::int64_t bytes = byte_size(x.shape(), x.dtype());
      inputs[k].copy =
          copy_to(round[k]->device.backend(), inputs[k].storage, static_cast<std::size_t>(bytes));
      record_launch({LaunchRecord::Kind::copy, "transfer", bytes, false});
    }
    kept = {};
    lock.lock();
    for (std::size_t k = 0; k < round.size(); ++k) {
      Node& node = *round[k].node();
      if (!inputs[k].copy || node.is_evaluated()) continue;  // another thread was faster
      node.storage = {{std::move(inputs[k].copy)}};
      node.status.store(NodeStatus::evaluated, std::memory_order_release);
      release_inputs(node);
      kept.arrays.push_back(std::move(inputs[k].array));
    }
  }
}

}  // namespace

void evaluate(std::span<const Array> arrays, bool materialise) {
  Kept kept;
  std::unique_lock lock(evaluator().mutex);
  for (const std::vector<Array>& some : roots_of(arrays, materialise)) {
    const jit::Trace trace = jit::linearise(some);
    if (trace.transfers.empty()) {
      run(trace, kept);
      continue;
    }
    run_transfers(trace.transfers, kept, lock);
    for (const std::vector<Array>& rest : roots_of(some, materialise)) run(rest, kept);
  }
}

// -- what arrays offer
// -----------------------------------------------------------------------------

const Array& Array::eval() const {
  evaluate({this, 1}, false);
  return *this;
}

bool Array::is_ready() const {
  if (!node_ || !has_memory(*this)) return false;
  const jit::Resolved base = jit::resolve(node_, output_);
  const Buffer& buffer = *base.node->storage[static_cast<std::size_t>(base.output)].buffer;
  return buffer.device->done(buffer.written.load(std::memory_order_acquire));
}

void Array::wait() const {
  eval();
  wait_for(*this);
}

const void* Array::data() const {
  eval();
  const jit::Resolved base = jit::resolve(node_, output_);
  if (!base.dense) evaluate({this, 1}, true);
  const jit::Resolved at = wait_for(*this);
  Storage& storage = at.node->storage[static_cast<std::size_t>(at.output)];
  if (storage.buffer->device->limits().host_memory) return storage.buffer->data + storage.offset;
  const std::lock_guard lock(evaluator().mutex);
  if (!storage.host) {
    storage.host = std::make_shared<const std::vector<std::byte>>(
        host_copy(storage, 0, static_cast<std::size_t>(byte_size(shape(), dtype()))));
  }
  return storage.host->data();
}

namespace detail {

void read_values(const Array& array, void* out, DType as) {
  array.eval();
  const jit::Resolved at = wait_for(array);
  const Storage& storage = at.node->storage[static_cast<std::size_t>(at.output)];
  const DType from = array.dtype();
  const auto bytes = static_cast<std::int64_t>(size_of(from));
  const Shape& shape = array.shape();
  const std::int64_t count = shape.elements();
  if (count == 0) return;
  // The elements that the array shows of the storage lie in [first, last].
  std::int64_t first = at.offset, last = at.offset;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t far = at.strides[axis] * (shape[axis] - 1);
    (far < 0 ? first : last) += far;
  }
  std::vector<std::byte> staged;
  const std::byte* base = storage.buffer->data + storage.offset + first * bytes;
  if (!storage.buffer->device->limits().host_memory) {
    staged =
        host_copy(storage, first * bytes, static_cast<std::size_t>((last - first + 1) * bytes));
    base = staged.data();
  }
  if (at.dense) return convert_values(base, from, out, as, count);
  std::vector<std::byte> gathered(static_cast<std::size_t>(count * bytes));
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t offset = at.offset - first;
  for (std::int64_t k = 0; k < count; ++k) {
    std::memcpy(gathered.data() + k * bytes, base + offset * bytes,
                static_cast<std::size_t>(bytes));
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      offset += at.strides[axis];
      if (++index[static_cast<std::size_t>(axis)] < shape[axis]) break;
      offset -= at.strides[axis] * shape[axis];
      index[static_cast<std::size_t>(axis)] = 0;
    }
  }
  convert_values(gathered.data(), from, out, as, count);
}

}  // namespace detail

void eval(std::span<const Array> arrays) { evaluate(arrays, false); }
void eval(std::initializer_list<Array> arrays) { evaluate({arrays.begin(), arrays.size()}, false); }

namespace {

/// The plan for these roots of one device; nothing when there is nothing to compute.
std::string explain_plan(const jit::Trace& trace) {
  if (trace.nodes.empty()) return {};
  jit::PlanOptions options = plan_options;
  options.compile = false;
  options.describe = true;
  const jit::Plan plan = jit::make_plan(trace, options);
  std::string text = fmt::format("plan on {}: {} steps, {} bytes of temporaries\n",
                                 trace.device.name(), plan.steps.size(), plan.arena_bytes);
  for (std::size_t k = 0; k < plan.steps.size(); ++k)
    text += fmt::format("  {}. {} ({} bytes)\n", k + 1, plan.steps[k].name, plan.steps[k].bytes);
  return text + plan.text;
}

/// What comes before: the copies in their order, each round with the plans of what it reads.
std::string explain_transfers(std::span<const NodeRef> transfers) {
  std::string text;
  for (const std::vector<NodeRef>& round : transfer_rounds(transfers)) {
    RootsByDevice inputs;
    for (const NodeRef& t : round) {
      const Array input = t->inputs[0].array();
      const jit::Resolved at = jit::resolve(input.node(), input.output());
      const bool there = at.node->is_evaluated() || at.node->kind == NodeKind::transfer;
      if (!there || !at.dense) add_root(inputs, input);
    }
    for (const std::vector<Array>& some : inputs) text += explain_plan(jit::linearise(some));
    for (const NodeRef& t : round)
      text += fmt::format("first a copy from {} to {}: {} of {}\n", t->inputs[0]->device.name(),
                          t->device.name(), name(t->dtype), to_string(t->shape));
  }
  return text;
}

}  // namespace

std::string explain(std::span<const Array> arrays) {
  std::lock_guard lock(evaluator().mutex);
  std::string text;
  for (const std::vector<Array>& roots : roots_of(arrays, false)) {
    const jit::Trace trace = jit::linearise(roots);
    text += explain_transfers(trace.transfers) + explain_plan(trace);
  }
  return text.empty() ? "nothing to do: evaluated already\n" : text;
}
std::string explain(const Array& array) { return explain({&array, 1}); }

}  // namespace noyau

// Planning: groups become kernels, library nodes become calls, in order of their levels.
// SPDX-License-Identifier: Apache-2.0
#include "jit/plan.hpp"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>

#include "core/log.hpp"
#include "core/module.hpp"
#include "core/plan_counters.hpp"
#include "jit/cache.hpp"
#include "jit/generated.hpp"
#include "jit/layout.hpp"
#include "jit/make_kernel.hpp"
#include "jit/parts.hpp"
#include "jit/schedule.hpp"
#include "jit/shared_memory.hpp"
#include "jit/simplify.hpp"

namespace noyau::jit {
namespace {

constexpr std::size_t segment_statements = 256, segment_inputs = 512;

/// At most: a buffer is a pointer, with an offset in some dialects, and memory sized at launch
/// another argument.
std::int64_t argument_bytes(const Program& program) {
  return static_cast<std::int64_t>(16 * program.memory.size() + 8 * program.parameters.size());
}

/// A step before its memory and code exist: the kernel of a segment, or a node that is a step of
/// its own.
struct Unit {
  std::int32_t level;
  std::int32_t order;  ///< within the level
  std::int32_t group = -1;
  std::vector<std::int32_t> members;  ///< of the segment
  std::int32_t node = -1;             ///< the step's node
};

class Planner {
 public:
  Planner(const Trace& trace, const PlanOptions& options)
      : trace_(trace),
        options_(options),
        backend_(trace.device.backend()),
        fusion_(fuse(trace, options.fusion)),
        in_memory_(trace.nodes.size(), 0),
        layouts_(options.library && options.layouts ? choose_layouts(trace, trace.device.backend())
                                                    : plain_layouts(trace)) {}

  /// nullopt when a kernel would take more arguments than the device's kernels may have.
  std::optional<Plan> run() {
    mark_memory();
    if (options_.library && options_.layouts) parts_ = place_parts(trace_, layouts_, in_memory_);
    make_units();
    // From the last level to the first, so that everybody knows what must be stored before being
    // made.
    std::vector<Kernel> kernels(units_.size());
    for (std::size_t u = units_.size(); u-- > 0;)
      if (units_[u].group >= 0) kernels[u] = kernel_of(units_[u]);
    for (std::size_t u = 0; u < units_.size(); ++u) {
      if (units_[u].group >= 0) kernel_step(kernels[u]);
      else node_step(units_[u].node);
    }
    if (!fits_) return std::nullopt;
    finish_outputs();
    share_memory();
    compile();
    plan_memory(plan_);
    verify_plan(plan_);
    return std::move(plan_);
  }

 private:
  const TraceNode& node(std::int32_t i) const { return trace_.nodes[static_cast<std::size_t>(i)]; }
  const Placement& at(std::int32_t i) const { return fusion_.nodes[static_cast<std::size_t>(i)]; }

  /// Which values are certainly in memory: stored ones, and what steps and index maps read.
  void mark_memory() {
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(trace_.nodes.size()); ++i) {
      const TraceNode& t = node(i);
      if (t.stored || is_step(t.kind)) mark(i);
      const bool indexed =
          t.kind == NodeKind::roll || t.kind == NodeKind::pad || t.kind == NodeKind::concatenate;
      if (is_step(t.kind) || indexed || is_whole_alias(trace_, t))
        for (const Edge& e : trace_.edges_of(t)) mark(e.producer);
    }
  }
  void mark(std::int32_t i) { in_memory_[static_cast<std::size_t>(i)] = 1; }
  bool is_in_memory(std::int32_t i) const { return in_memory_[static_cast<std::size_t>(i)] != 0; }

  // -- units --------------------------------------------------------------------------------------

  void make_units() {
    for (std::int32_t g = 0; g < static_cast<std::int32_t>(fusion_.groups.size()); ++g)
      add_group(g);
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(trace_.nodes.size()); ++i)
      if (is_step(node(i).kind))
        units_.push_back({at(i).level, static_cast<std::int32_t>(units_.size()), -1, {}, i});
    std::stable_sort(units_.begin(), units_.end(),
                     [](const Unit& a, const Unit& b) { return a.level < b.level; });
  }

  /// One unit for a group, or several when it has many statements: cut at fixed places, so that a
  /// long chain compiles one kernel.
  void add_group(std::int32_t g) {
    const Group& group = fusion_.groups[static_cast<std::size_t>(g)];
    const std::size_t most =
        group.rows.empty() ? options_.fusion.reduced(segment_statements) : group.members.size();
    const std::size_t most_inputs = options_.fusion.reduced(segment_inputs);
    Unit unit{group.level, static_cast<std::int32_t>(units_.size()), g, {}, -1};
    std::size_t inputs = 0;
    for (std::int32_t m : group.members) {
      unit.members.push_back(m);
      for (const Edge& e : trace_.edges_of(m)) inputs += at(e.producer).group == g ? 0 : 1;
      if (unit.members.size() >= most || (group.rows.empty() && inputs >= most_inputs)) {
        units_.push_back(std::move(unit));
        unit = {group.level, static_cast<std::int32_t>(units_.size()), g, {}, -1};
        inputs = 0;
      }
    }
    if (!unit.members.empty()) units_.push_back(std::move(unit));
  }

  /// Makes the kernel of a unit; what it loads is marked, so that units before it store it.
  Kernel kernel_of(const Unit& unit) {
    const Group& group = fusion_.groups[static_cast<std::size_t>(unit.group)];
    std::vector<std::int32_t> targets;
    for (std::int32_t m : unit.members)
      if (is_in_memory(m) && node(m).shape().elements() > 0) targets.push_back(m);
    if (targets.empty()) return {};
    const std::vector<std::int32_t> members = needed(unit, targets);
    const KernelContext context{
        trace_, fusion_,
        [this](std::int32_t i) -> const Shape& { return layouts_[static_cast<std::size_t>(i)]; },
        [this](std::int32_t i) { mark(i); }};
    Kernel kernel = make_kernel(context, group, members, targets);
    order_and_collapse(kernel);
    return kernel;
  }

  /// The members that the targets need directly, in order; the others are dead, or inlined
  /// elsewhere.
  std::vector<std::int32_t> needed(const Unit& unit, std::span<const std::int32_t> targets) {
    if (visit_.size() != trace_.nodes.size()) visit_.assign(trace_.nodes.size(), 0);
    for (std::int32_t m : unit.members) visit_[static_cast<std::size_t>(m)] = 1;
    for (std::int32_t t : targets) visit_[static_cast<std::size_t>(t)] = 2;
    std::vector<std::int32_t> result;
    for (std::size_t k = unit.members.size(); k-- > 0;) {
      const std::int32_t m = unit.members[k];
      if (visit_[static_cast<std::size_t>(m)] == 2) {
        result.push_back(m);
        if (node(m).kind != NodeKind::roll && node(m).kind != NodeKind::pad)
          for (const Edge& e : trace_.edges_of(m)) {
            char& v = visit_[static_cast<std::size_t>(e.producer)];
            if (v == 1) v = 2;
          }
      }
      visit_[static_cast<std::size_t>(m)] = 0;
    }
    std::reverse(result.begin(), result.end());
    return result;
  }

  // -- steps --------------------------------------------------------------------------------------

  std::int32_t buffer_of(std::int32_t i, std::int32_t output) {
    const auto [found, fresh] =
        buffer_numbers_.try_emplace({i, output}, static_cast<std::int32_t>(plan_.buffers.size()));
    if (fresh) {
      PlanBuffer b;
      b.node = i;
      b.output = output;
      b.kind = node(i).kind == NodeKind::data ? PlanBuffer::Kind::leaf
               : node(i).stored               ? PlanBuffer::Kind::stored
                                              : PlanBuffer::Kind::temporary;
      b.donatable = node(i).donatable;
      b.bytes = node(i).shape().elements() *
                static_cast<std::int64_t>(size_of(node(i).node->dtype_of(output)));
      plan_.buffers.push_back(b);
    }
    return found->second;
  }
  /// Element `offset` of the memory of node i: its own, or its part of a concatenation's.
  PlanPointer pointer_to(std::int32_t i, std::int32_t output, std::int64_t offset) {
    for (auto part = parts_.find(i); part != parts_.end(); part = parts_.find(i)) {
      offset += part->second.offset;
      i = part->second.whole;
    }
    const auto size = static_cast<std::int64_t>(size_of(node(i).node->dtype_of(output)));
    return {buffer_of(i, output), offset * size};
  }
  PlanPointer to_scratch(std::int64_t bytes) {
    PlanBuffer b;
    b.bytes = bytes;
    plan_.buffers.push_back(b);
    return {static_cast<std::int32_t>(plan_.buffers.size()) - 1, 0, Access::write};
  }

  /// Whether memory begins there at a multiple of 16 bytes: what the pool gives does.
  bool is_aligned(const PlanPointer& p) const {
    const PlanBuffer& b = plan_.buffers[static_cast<std::size_t>(p.buffer)];
    return p.offset % 16 == 0 && !(b.kind == PlanBuffer::Kind::leaf && node(b.node).unaligned);
  }

  /// By the device's schedule. Where that would take more shared memory than a kernel may declare
  /// (many sums of columns, many transposed loads), by one of lanes alone.
  std::pair<Schedule, LoweredKernel> scheduled(const Kernel& kernel) const {
    // On any device; what is sized at launch may be more.
    constexpr std::int64_t most_declared = std::int64_t{48} << 10;
    DeviceLimits limits = backend_.limits();
    Schedule schedule = choose_schedule(kernel, limits);
    LoweredKernel lowered = lower(kernel, schedule, trace_.slot_types);
    const std::int64_t free_bytes = limits.fast_memory_bytes - schedule.row_bytes;
    if (schedule.threads > 0 &&
        static_shared_bytes(lowered.program) > std::min(most_declared, free_bytes)) {
      limits.block_threads = 0;
      schedule = choose_schedule(kernel, limits);
      lowered = lower(kernel, schedule, trace_.slot_types);
    }
    return {schedule, std::move(lowered)};
  }

  void kernel_step(Kernel& kernel) {
    if (kernel.ops.empty()) return;
    PlanStep step;
    step.name = kernel.name;
    for (KernelBuffer& b : kernel.buffers) {
      step.pointers.push_back(pointer_to(b.value, b.output, b.offset));
      b.aligned = is_aligned(step.pointers.back());
      if (b.written) step.pointers.back().access = Access::write;
      step.bytes += plan_.buffers[static_cast<std::size_t>(step.pointers.back().buffer)].bytes;
    }
    step.in_place = in_place_pairs(kernel, step.pointers);
    auto [schedule, lowered] = scheduled(kernel);
    for (std::int64_t bytes : lowered.scratch_bytes) step.pointers.push_back(to_scratch(bytes));
    if (lowered.ticket_bytes > 0) {
      const PlanPointer tickets = to_scratch(lowered.ticket_bytes);
      step.pointers.push_back({tickets.buffer, 0, Access::update});
      PlanStep clear;
      clear.kind = LaunchStep::Kind::fill;
      clear.name = "clear";
      clear.bytes = lowered.ticket_bytes;
      clear.pointers.push_back(tickets);
      add(std::move(clear), {});
    }
    add_lowered(std::move(step), std::move(lowered), text_of(kernel, schedule));
  }
  std::string text_of(const Kernel& kernel, const Schedule& schedule) const {
    if (!options_.describe) return {};
    return fmt::format("{}  schedule {}\n", print(kernel), print(schedule));
  }

  void add(PlanStep step, Program program, std::string text = {}) {
    for (PlanPointer& p : step.pointers) p.value = p.buffer;
    plan_.steps.push_back(std::move(step));
    programs_.push_back(std::move(program));
    texts_.push_back(std::move(text));
  }

  void add_lowered(PlanStep step, LoweredKernel lowered, std::string text) {
    fits_ = fits_ && argument_bytes(lowered.program) <= backend_.limits().argument_bytes;
    std::copy(lowered.extent, lowered.extent + 3, step.extent);
    step.parameters = std::move(lowered.parameters);
    add(std::move(step), simplify(lowered.program), std::move(text));
  }

  void generated_step(GeneratedKernel generated, std::string name,
                      std::vector<PlanPointer> pointers) {
    if (!generated.then.empty()) {
      const PlanPointer out = pointers.back(), scratch = to_scratch(generated.scratch_bytes);
      pointers.back() = scratch;
      GeneratedKernel then = std::move(generated.then[0]);
      generated.then.clear();
      generated_step(std::move(generated), name, std::move(pointers));
      return generated_step(std::move(then), name + " sum", {{scratch.buffer, 0}, out});
    }
    PlanStep step;
    step.name = std::move(name);
    step.pointers = std::move(pointers);
    std::copy(generated.extent, generated.extent + 3, step.extent);
    for (std::uint64_t bits : generated.parameters) step.parameters.push_back({-1, bits});
    for (const PlanPointer& p : step.pointers)
      step.bytes += plan_.buffers[static_cast<std::size_t>(p.buffer)].bytes;
    std::string text = fmt::format("kernel {}\n", step.name);
    generated.program.name = step.name;
    add(std::move(step), simplify(generated.program), std::move(text));
  }

  struct Operand {
    TensorView view;
    PlanPointer pointer;
  };
  /// The k-th input of a step as memory.
  Operand operand(std::int32_t i, int k) {
    const Edge& e = trace_.edges_of(i)[static_cast<std::size_t>(k)];
    const auto placed = operand_view(trace_, layouts_, i, k);
    if (!placed) throw InternalError("an operand of a step is not affine in memory");
    return {placed->view, pointer_to(e.producer, e.output, placed->offset)};
  }
  Operand result(std::int32_t i, int output = 0) {
    Operand o{result_view(trace_, layouts_, i, output), pointer_to(i, output, 0)};
    o.pointer.access = Access::write;
    return o;
  }

  void node_step(std::int32_t i) {
    const TraceNode& t = node(i);
    if (!is_in_memory(i) || t.shape().elements() == 0) return;
    if (t.kind == NodeKind::set) return set_step(i);
    if (t.kind == NodeKind::concatenate) return concatenate_step(i);
    const Operand out = result(i);
    std::vector<Operand> in;
    for (int k = 0; k < t.edge_count; ++k) in.push_back(operand(i, k));
    std::vector<PlanPointer> pointers;
    for (const Operand& o : in) pointers.push_back(o.pointer);
    pointers.push_back(out.pointer);
    const std::string name(noyau::name(t.kind));
    static const WindowAttributes none;
    const auto* attributes = std::get_if<WindowAttributes>(&t.source->attributes);
    const WindowAttributes& window = attributes ? *attributes : none;
    const int threads = backend_.limits().block_threads;
    switch (t.kind) {
      case NodeKind::matmul:
      case NodeKind::convolution:
      case NodeKind::convolution_input_gradient:
      case NodeKind::convolution_weight_gradient:
        return product_step(i, in, out, window, pointers);
      case NodeKind::max_pool: {
        const Operand indices = result(i, 1);
        pointers.push_back(indices.pointer);
        return generated_step(max_pool_kernel(in[0].view, out.view, indices.view, window, threads),
                              name, pointers);
      }
      case NodeKind::max_pool_gradient:
        return generated_step(
            max_pool_gradient_kernel(in[0].view, in[1].view, out.view, window, threads), name,
            pointers);
      case NodeKind::max_pool_gather:
        return generated_step(max_pool_gather_kernel(in[0].view, in[1].view, out.view, threads),
                              name, pointers);
      case NodeKind::avg_pool:
        return generated_step(avg_pool_kernel(in[0].view, out.view, window, threads), name,
                              pointers);
      case NodeKind::avg_pool_gradient:
        return generated_step(avg_pool_gradient_kernel(in[0].view, out.view, window, threads), name,
                              pointers);
      default:
        throw InternalError(fmt::format("no step for {}", name));
    }
  }

  /// A product: the first library routine that takes it, else a generated kernel.
  void product_step(std::int32_t i, const std::vector<Operand>& in, const Operand& out,
                    const WindowAttributes& window, std::vector<PlanPointer> pointers) {
    const TraceNode& t = node(i);
    const auto call = library_call(trace_, layouts_, i);
    const LibraryRoutine* routine =
        call && options_.library ? routine_for(backend_, *call) : nullptr;
    const std::string name(noyau::name(t.kind));
    if (routine == nullptr) {
      if (t.bias) throw InternalError("a product lost the routine that was to do its epilogue");
      if (t.kind == NodeKind::matmul)
        return generated_step(
            matmul_kernel(in[0].view, in[1].view, out.view, backend_.limits().block_threads), name,
            std::move(pointers));
      return generated_step(convolution_kernel(call->kind, in[0].view, in[1].view, out.view, window,
                                               backend_.limits().block_threads),
                            name, std::move(pointers));
    }
    PlanStep step;
    step.kind = LaunchStep::Kind::library;
    step.name = std::string(routine->name());
    if (options_.compile) step.call = routine->prepare(*call);
    step.pointers = std::move(pointers);
    for (std::size_t k = 0; k < in.size(); ++k)
      step.versioned.push_back(trace_.edges_of(t)[k].producer);
    step.pointers.push_back(to_scratch(step.call ? step.call->workspace_bytes() : 0));
    for (const PlanPointer& p : step.pointers)
      step.bytes += plan_.buffers[static_cast<std::size_t>(p.buffer)].bytes;
    std::string text = fmt::format("library {}\n", step.name);
    add(std::move(step), {}, std::move(text));
  }

  /// A copy of the whole, then the region: never a fused choice, so that x = set(x, ...) becomes
  /// the slice alone when x is at its end. A value that is part of x itself is put aside first.
  void set_step(std::int32_t i) {
    const Operand x = operand(i, 0), out = result(i);
    Operand value = operand(i, 1);
    if (value.pointer.buffer == x.pointer.buffer && may_give(x.pointer.buffer)) {
      const PlanPointer memory = to_scratch(byte_size(value.view.shape, value.view.dtype));
      const Operand aside{{value.view.dtype, value.view.shape, value.view.shape.dense_strides()},
                          {memory.buffer, 0}};
      copy_step(value, aside.view, aside.pointer, "aside");
      value = aside;
    }
    copy_step(x, out.view, out.pointer, "copy", true);
    const auto& region = std::get<ViewAttributes>(node(i).node->attributes);
    TensorView view{out.view.dtype, value.view.shape, region.strides};
    copy_step(value, view,
              {out.pointer.buffer,
               out.pointer.offset + region.offset * static_cast<std::int64_t>(size_of(view.dtype)),
               Access::update},
              "set");
  }

  bool may_give(std::int32_t buffer) const {
    const PlanBuffer& b = plan_.buffers[static_cast<std::size_t>(buffer)];
    return b.kind == PlanBuffer::Kind::temporary || b.donatable;
  }

  /// Copies the parts that could not be written in place.
  void concatenate_step(std::int32_t i) {
    const Shape& strides = layouts_[static_cast<std::size_t>(i)];
    const int axis = concatenated_axis(node(i));
    std::int64_t start = 0;
    for (int k = 0; k < node(i).edge_count; ++k) {
      const Edge& e = trace_.edges_of(i)[static_cast<std::size_t>(k)];
      const std::int64_t offset = start * strides[axis];
      start += (*e.shape)[axis];
      const auto part = parts_.find(e.producer);
      if (part != parts_.end() && part->second.whole == i && part->second.offset == offset)
        continue;
      if (e.shape->elements() == 0) continue;
      copy_step(operand(i, k), {node(i).dtype, *e.shape, strides}, pointer_to(i, 0, offset),
                "concatenate");
    }
  }

  /// `whole`: into memory of its own, which may be that of `from`.
  void copy_step(const Operand& from, const TensorView& to, PlanPointer where, const char* name,
                 bool whole = false) {
    if (to.shape.elements() == 0) return;
    Kernel kernel;
    kernel.name = name;
    for (std::int64_t extent : to.shape) kernel.axes.push_back({extent, false});
    kernel.buffers.push_back({0, 0, 0, to.dtype, false, false, is_aligned(from.pointer)});
    kernel.buffers.push_back({0, 0, 0, to.dtype, true, false, is_aligned(where)});
    KernelOp load, store;
    load.dtype = store.dtype = to.dtype;
    load.buffer = 0;
    load.maps.push_back({0, {from.view.strides.begin(), from.view.strides.end()}});
    store.kind = KernelOp::Kind::store;
    store.buffer = 1;
    store.args[0] = 0;
    store.maps.push_back({0, {to.strides.begin(), to.strides.end()}});
    kernel.ops = {load, store};
    order_and_collapse(kernel);
    auto [schedule, lowered] = scheduled(kernel);
    PlanStep step;
    step.name = name;
    if (where.access == Access::read) where.access = Access::write;
    step.pointers = {from.pointer, where};
    if (whole) step.in_place = in_place_pairs(kernel, step.pointers);
    step.copies_whole = whole;
    step.bytes = 2 * to.shape.elements() * static_cast<std::int64_t>(size_of(to.dtype));
    add_lowered(std::move(step), std::move(lowered), text_of(kernel, schedule));
  }

  // -- the end ------------------------------------------------------------------------------------

  void finish_outputs() {
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(trace_.nodes.size()); ++i) {
      const TraceNode& t = node(i);
      if (t.kind == NodeKind::data && !t.absorbed) continue;
      if (is_whole_alias(trace_, t)) {
        const Edge& e = trace_.edges_of(t)[0];
        for (int k = 0; k < t.node->output_count; ++k) {
          const std::int32_t b = buffer_of(e.producer, e.output + k);
          PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(b)];
          if (buffer.kind == PlanBuffer::Kind::temporary) buffer.kind = PlanBuffer::Kind::stored;
          plan_.outputs.push_back({i, k, b});
        }
      } else if (t.stored) {
        for (int k = 0; k < t.node->output_count; ++k)
          plan_.outputs.push_back({i, k, buffer_of(i, k)});
      } else if (t.alive) {
        plan_.counted.push_back(i);
      }
    }
  }

  /// Results take over memory that dies with the step that makes them; copies that became needless
  /// go.
  void share_memory() {
    const std::vector<char> needless = reuse_in_place(plan_);
    std::size_t kept = 0;
    for (std::size_t s = 0; s < needless.size(); ++s) {
      if (needless[s]) continue;
      if (options_.describe) plan_.text += texts_[s];
      if (kept != s) {
        plan_.steps[kept] = std::move(plan_.steps[s]);
        programs_[kept] = std::move(programs_[s]);
      }
      ++kept;
    }
    plan_.steps.resize(kept);
    programs_.resize(kept);
  }

  void compile() {
    std::vector<const Program*> programs;
    std::vector<PlanStep*> steps;
    for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
      if (plan_.steps[s].kind != LaunchStep::Kind::kernel) continue;
      if (options_.describe) plan_.text += backend_.code(programs_[s]) + "\n";
      if (logging::level() >= 4) logging::write(4, backend_.code(programs_[s]));
      programs.push_back(&programs_[s]);
      steps.push_back(&plan_.steps[s]);
    }
    if (!options_.compile) return;
    std::vector<bool> compiled;
    const auto executables = executable_cache().find_or_compile_all(backend_, programs, &compiled);
    for (std::size_t k = 0; k < steps.size(); ++k) {
      steps[k]->executable = executables[k];
      steps[k]->compiled = compiled[k];
    }
  }

  const Trace& trace_;
  const PlanOptions& options_;
  DeviceBackend& backend_;
  Fusion fusion_;
  std::vector<char> in_memory_, visit_;
  Layouts layouts_;
  std::vector<Unit> units_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t> buffer_numbers_;
  std::vector<Program> programs_;
  std::vector<std::string> texts_;  ///< of each step, for explain
  Parts parts_;
  bool fits_ = true;  ///< each kernel's arguments
  Plan plan_;
};

/// With smaller kernels when those of the first plan have too many arguments for the device.
Plan plan_that_fits(const Trace& trace, PlanOptions options) {
  for (; options.fusion.halvings < 10; ++options.fusion.halvings)
    if (auto plan = Planner(trace, options).run()) return std::move(*plan);
  throw InternalError(
      fmt::format("one operation takes more than the {} bytes of arguments that a "
                  "kernel of {} may have",
                  trace.device.backend().limits().argument_bytes, trace.device.name()));
}

}  // namespace

Plan make_plan(const Trace& trace, const PlanOptions& options) {
  Trace merged;
  if (options.merge) {
    merged = trace;
    merge_equal(merged);
  }
  const Trace& source = options.merge ? merged : trace;
  if (options.library && options.layouts) {
    try {
      Trace tuned = source;
      absorb_epilogues(tuned, trace.device.backend());
      return plan_that_fits(tuned, options);
    } catch (const InternalError& error) {
      // A layout that does not work out costs time, never a result; it is our bug all the same.
#ifndef NDEBUG
      throw;
#endif
      plan_counters().made_plain.fetch_add(1, std::memory_order_relaxed);
      logging::write(1, fmt::format("plan: {}; planned again with row-major memory", error.what()));
    }
  }
  PlanOptions plain = options;
  plain.layouts = false;
  return plan_that_fits(source, plain);
}

}  // namespace noyau::jit

// Lowering of kernels: the loops of each schedule around the operations.
// SPDX-License-Identifier: Apache-2.0
#include "jit/lower.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "jit/lower_kernel.hpp"
#include "noyau/error.hpp"
#include "ops/op_table.hpp"

namespace noyau::jit {
namespace {

using Shape = Schedule::Shape;

/// A block of 32 lanes a row or a chunk; else an item.
bool in_blocks(const Schedule& schedule) {
  return schedule.shape == Shape::gang || (schedule.shape == Shape::split && !schedule.strips);
}

class Lowering : KernelLowering {
 public:
  Lowering(const Kernel& kernel, const Schedule& schedule, std::span<const DType> slot_types)
      : KernelLowering(kernel, schedule, slot_types,
                       {.domain = in_blocks(schedule) ? Domain::blocks : Domain::items,
                        .streamed = schedule.streamed}) {}

  LoweredKernel run() {
    switch (schedule_.shape) {
      case Shape::map:
        lower_map();
        break;
      case Shape::flat:
        lower_flat();
        break;
      case Shape::serial:
      case Shape::column:
        lower_items_rows();
        break;
      case Shape::gang:
        lower_gang();
        break;
      case Shape::split:
        lower_split();
        break;
      case Shape::block:
      case Shape::tile:
        throw InternalError("lower: a schedule of blocks without threads");
    }
    return take(static_cast<std::int32_t>(virtual_lanes));
  }

 private:
  /// Spreads the parallel axes over `first`, first + 1, 2 of the launch: innermost axis first, what
  /// is left over on the last.
  void spread_parallel(int first, Value (KernelBuilder::*index)(int)) {
    const std::size_t n = parallel_axes_.size();
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t axis = parallel_axes_[n - 1 - k];
      const int dim = first + static_cast<int>(k);
      if (dim < 2 || k + 1 == n) {
        extent_[dim] = extent_of(axis);
        ops_.set_index(axis, (b_.*index)(dim));
      } else {  // several axes share the last dimension
        Value rest = (b_.*index)(2);
        for (std::size_t j = k; j < n; ++j) {
          const std::size_t a = parallel_axes_[n - 1 - j];
          extent_[2] *= extent_of(a);
          const Value extent = ops_.extent(a);
          ops_.set_index(a, j + 1 == n ? rest : b_.binary(Opcode::remainder, rest, extent));
          rest = b_.binary(Opcode::divide, rest, extent);
        }
        return;
      }
    }
  }

  void lower_map() {
    spread_parallel(0, &KernelBuilder::item);
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k) ops_.emit(k);
  }

  void lower_flat() {
    extent_[0] = kernel_.parallel_size();
    ops_.split_index(b_.item(0), parallel_axes_, extent_[0]);
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k) ops_.emit(k);
  }

  // -- rows
  // ------------------------------------------------------------------------------------------

  void lower_items_rows() {
    spread_parallel(0, &KernelBuilder::item);
    const bool column = schedule_.shape == Shape::column;
    const Value rows = ops_.row_size(), zero = b_.constant_i64(0), one = b_.constant_i64(1);
    for (int stage = 0; stage <= last_stage_; ++stage) {
      emit_outer(stage);
      const auto reductions = reductions_of(stage), stores = row_stores_of(stage);
      if (!reductions.empty() || !stores.empty()) {
        const auto needed = needed_rows(targets_of(stage));
        Accumulators acc = start(reductions);
        if (column)
          bind_lanes(acc, lane_loop(acc, zero, rows, [&](Value row, auto current) {
                       emit_row_body(row, needed, stores);
                       return accumulate(acc, current, row);
                     }));
        else {
          std::vector<Value> initial{zero};
          initial.insert(initial.end(), acc.values.begin(), acc.values.end());
          const auto p = b_.begin_loop(initial);
          b_.loop_while(b_.compare(Opcode::less, p[0], rows));
          emit_row_body(p[0], needed, stores);
          std::vector<Value> next{b_.binary(Opcode::add, p[0], one)};
          for (Value v : accumulate(acc, std::span(p).subspan(1), p[0])) next.push_back(v);
          b_.end_loop(next);
          bind(acc, std::span(p).subspan(1));
        }
      }
      store_all(stage, false);
    }
  }

  /// What an element of a row loop does: given its number and the accumulators of its lane, the
  /// new ones.
  using Accumulate = std::function<std::vector<Value>(Value row, std::span<const Value> current)>;

  /// Rows first..end (first a multiple of the lanes) by the virtual lanes of each item, which are
  /// in private arrays, then the tree. Returns the accumulators.
  std::vector<Value> lane_loop(const Accumulators& acc, Value first, Value end,
                               const Accumulate& accumulate_row) {
    const Value zero = b_.constant_i64(0), lanes = b_.constant_i64(virtual_lanes);
    std::vector<int> arrays;
    for (Value v : acc.values) arrays.push_back(b_.private_array(b_.type(v), virtual_lanes));
    if (!arrays.empty()) {
      count(zero, lanes, 1, [&](Value lane) {
        for (std::size_t k = 0; k < arrays.size(); ++k) b_.store(arrays[k], lane, acc.values[k]);
      });
    }
    const auto element = [&](Value row, Value lane) {
      std::vector<Value> current;
      for (int array : arrays) current.push_back(b_.load(array, lane));
      const auto combined = accumulate_row(row, current);
      for (std::size_t k = 0; k < arrays.size(); ++k) b_.store(arrays[k], lane, combined[k]);
    };
    if (schedule_.strips) {
      const Value whole =
          b_.binary(Opcode::subtract, end,
                    b_.binary(Opcode::bit_and, b_.binary(Opcode::subtract, end, first),
                              b_.constant_i64(virtual_lanes - 1)));
      count(first, whole, virtual_lanes, [&](Value strip) {
        count(
            zero, lanes, 1, [&](Value lane) { element(b_.binary(Opcode::add, strip, lane), lane); },
            independent_loop);
      });
      count(whole, end, 1,
            [&](Value row) { element(row, b_.binary(Opcode::subtract, row, whole)); });
    } else {
      count(first, end, 1, [&](Value row) {
        element(row, b_.binary(Opcode::bit_and, row, b_.constant_i64(virtual_lanes - 1)));
      });
    }
    if (arrays.empty()) return {};
    array_tree(acc, arrays);
    std::vector<Value> results;
    for (int array : arrays) results.push_back(b_.load(array, zero));
    return results;
  }
  void bind_lanes(const Accumulators& acc, std::span<const Value> values) {
    if (!values.empty()) bind(acc, values);
  }

  /// Combines the lanes in these arrays pairwise, into lane 0.
  void array_tree(const Accumulators& acc, std::span<const int> arrays) {
    const Value zero = b_.constant_i64(0), one = b_.constant_i64(1);
    const Value first[] = {b_.constant_i64(virtual_lanes / 2)};
    const auto distance = b_.begin_loop(first);
    b_.loop_while(b_.compare(Opcode::greater, distance[0], zero));
    count(zero, distance[0], 1, [&](Value lane) {
      const Value other = b_.binary(Opcode::add, lane, distance[0]);
      std::size_t k = 0;
      for (std::size_t r : acc.reductions) {
        const std::size_t width = kernel_.ops[r].kind == KernelOp::Kind::arg_reduce ? 2 : 1;
        std::vector<Value> mine, theirs;
        for (std::size_t j = 0; j < width; ++j) {
          mine.push_back(b_.load(arrays[k + j], lane));
          theirs.push_back(b_.load(arrays[k + j], other));
        }
        const auto combined = ops_.combine(kernel_.ops[r], mine, theirs);
        for (std::size_t j = 0; j < width; ++j) b_.store(arrays[k + j], lane, combined[j]);
        k += width;
      }
    });
    const Value next[] = {b_.binary(Opcode::shift_right, distance[0], one)};
    b_.end_loop(next);
  }

  // -- blocks of 32 lanes
  // ---------------------------------------------------------------------------------

  /// Most of the rows first..end, four strips side by side: one strip's combination need not wait
  /// for another's. Moves `first` to where it stopped and leaves what it found in `acc`.
  void wide_strip_loop(Accumulators& acc, std::span<const std::size_t> needed, Value lane,
                       Value& first, Value end) {
    constexpr std::size_t strips = 4;
    const std::size_t count = acc.values.size();
    const Value step = b_.constant_i64(static_cast<std::int64_t>(strips) * virtual_lanes);
    std::vector<Value> initial{first};
    for (std::size_t s = 0; s < strips; ++s)
      initial.insert(initial.end(), acc.values.begin(), acc.values.end());
    const auto p = b_.begin_loop(initial);
    const Value after = b_.binary(Opcode::add, p[0], step);
    b_.loop_while(b_.compare(Opcode::less_equal, after, end));
    std::vector<Value> next{after};
    Value row = b_.binary(Opcode::add, p[0], lane);
    for (std::size_t s = 0; s < strips; ++s) {
      emit_row_body(row, needed, {});
      for (Value v : accumulate(acc, std::span(p).subspan(1 + s * count, count), row))
        next.push_back(v);
      row = b_.binary(Opcode::add, row, b_.constant_i64(virtual_lanes));
    }
    b_.end_loop(next);
    first = p[0];
    acc.values.assign(p.begin() + 1, p.begin() + 1 + static_cast<std::ptrdiff_t>(count));
    for (std::size_t s = 1; s < strips; ++s) {
      for (std::size_t k = 0; k < count; ++k) {
        const Value other[] = {p[1 + s * count + k]};
        acc.values[k] = ops_.combine(kernel_.ops[acc.reductions[k]],
                                     std::span(acc.values).subspan(k, 1), other)[0];
      }
    }
  }

  /// Rows first..end by 32 lanes: whole strips, then a masked one. Returns the accumulators of each
  /// lane.
  std::vector<Value> strip_loop(Accumulators acc, std::span<const std::size_t> needed,
                                std::span<const std::size_t> stores, Value lane, Value first,
                                Value end) {
    constexpr std::size_t most_operations = 8;
    if (!acc.reductions.empty() && any_order(acc.reductions) && stores.empty() &&
        keep_now_.empty() && needed.size() <= most_operations)
      wide_strip_loop(acc, needed, lane, first, end);
    const Value step = b_.constant_i64(virtual_lanes);
    std::vector<Value> initial{first};
    initial.insert(initial.end(), acc.values.begin(), acc.values.end());
    const auto p = b_.begin_loop(initial);
    const Value after = b_.binary(Opcode::add, p[0], step);
    b_.loop_while(b_.compare(Opcode::less_equal, after, end));
    const Value row = b_.binary(Opcode::add, p[0], lane);
    emit_row_body(row, needed, stores);
    std::vector<Value> next{after};
    for (Value v : accumulate(acc, std::span(p).subspan(1), row)) next.push_back(v);
    b_.end_loop(next);

    const Value last = b_.binary(Opcode::add, p[0], lane);
    b_.begin_if(b_.compare(Opcode::less, last, end));
    emit_row_body(last, needed, stores);
    const auto then = accumulate(acc, std::span(p).subspan(1), last);
    b_.begin_else(then);
    const std::vector<Value> otherwise(p.begin() + 1, p.end());
    return b_.end_if(otherwise);
  }

  /// Row values that are dear to compute and needed again in a later stage get a row buffer.
  void plan_row_buffers() {
    if (!schedule_.row_buffer) return;
    std::vector<std::int32_t> first_stage(kernel_.ops.size(), -1);
    for (int stage = 0; stage <= last_stage_; ++stage) {
      for (std::size_t k : needed_rows(targets_of(stage))) {
        if (first_stage[k] < 0) first_stage[k] = stage;
        else if (ops_.is_dear(kernel_.ops[k]) && first_stage[k] < stage && !buffer_from_.count(k))
          buffer_from_[k] = first_stage[k];
      }
    }
    for (auto& [k, stage] : buffer_from_)
      buffers_[k] = b_.shared_sized_by(kernel_.ops[k].dtype, ops_.row_size_parameter());
  }

  void lower_gang() {
    spread_parallel(0, &KernelBuilder::block);
    const Value lane = b_.thread(0), rows = ops_.row_size(), zero = b_.constant_i64(0);
    plan_row_buffers();
    for (int stage = 0; stage <= last_stage_; ++stage) {
      emit_outer(stage);
      const auto reductions = reductions_of(stage), stores = row_stores_of(stage);
      if (!reductions.empty() || !stores.empty()) {
        keep_now_.clear();
        for (auto& [k, from] : buffer_from_)
          if (from == stage) keep_now_[k] = buffers_[k];
        const auto needed = needed_rows(targets_of(stage));
        const Accumulators acc = start(reductions);
        const auto lanes = strip_loop(acc, needed, stores, lane, zero, rows);
        if (!reductions.empty()) bind(acc, lane_tree(acc, lanes));
        for (auto& [k, memory] : keep_now_) kept_[k] = memory;
      }
      store_all(stage, false);
    }
  }

  void lower_split() {
    const bool strips = schedule_.strips;
    spread_parallel(1, strips ? &KernelBuilder::item : &KernelBuilder::block);
    const std::int64_t chunks = (kernel_.row_size() + chunk_rows - 1) / chunk_rows;
    extent_[0] = chunks;
    const Value zero = b_.constant_i64(0), one = b_.constant_i64(1);
    const Value lane = strips ? zero : b_.thread(0), rows = ops_.row_size(),
                chunk = strips ? b_.item(0) : b_.block(0);
    const Value chunk_count = ops_.number(static_cast<std::uint64_t>(chunks), "chunks");
    const Value first = b_.binary(Opcode::multiply, chunk, b_.constant_i64(chunk_rows));
    const Value end = b_.binary(Opcode::minimum,
                                b_.binary(Opcode::add, first, b_.constant_i64(chunk_rows)), rows);
    const auto reductions = reductions_of(0), stores = row_stores_of(0);
    emit_outer(0);
    const Accumulators acc = start(reductions);
    const auto needed = needed_rows(targets_of(0));
    std::vector<Value> partial;
    if (strips) {
      partial = lane_loop(acc, first, end, [&](Value row, auto current) {
        emit_row_body(row, needed, stores);
        return accumulate(acc, current, row);
      });
    } else {
      const auto lanes = strip_loop(acc, needed, stores, lane, first, end);
      if (!reductions.empty()) partial = lane_tree(acc, lanes);
    }
    if (reductions.empty()) return;

    const Value row_number = ops_.flat_index(parallel_axes_);
    const Value base = b_.binary(Opcode::multiply, row_number, chunk_count);
    std::vector<int> partials;
    for (Value v : partial) {
      partials.push_back(b_.buffer(b_.type(v), true, true, "partials"));
      scratch_bytes_.push_back(kernel_.parallel_size() * chunks *
                               static_cast<std::int64_t>(size_of(b_.type(v))));
      b_.store(partials.back(), b_.binary(Opcode::add, base, chunk), v);
    }
    const int tickets = b_.buffer(DType::int32, true, true, "tickets");
    ticket_bytes_ = kernel_.parallel_size() * 4;
    b_.fence();
    const Value arrived = b_.convert(take_ticket(tickets, row_number, lane), DType::int64);
    b_.begin_if(b_.compare(Opcode::equal, b_.binary(Opcode::add, arrived, one), chunk_count));
    b_.fence();
    finish_split(acc, partials, base, chunk_count, lane);
    b_.begin_else();
    b_.end_if();
  }

  /// How many blocks (or items) of the row came before, the same for all its threads.
  Value take_ticket(int tickets, Value row_number, Value lane) {
    const Value one = b_.constant_of<std::int32_t>(1);
    if (schedule_.strips) return b_.atomic(AtomicOp::add, tickets, row_number, one);
    const Value zero = b_.constant_i64(0), nothing = b_.constant_of<std::int32_t>(0);
    b_.begin_if(b_.compare(Opcode::equal, lane, zero));
    const Value then[] = {b_.atomic(AtomicOp::add, tickets, row_number, one)};
    const Value otherwise[] = {nothing};
    b_.begin_else(then);
    return b_.shuffle(ShuffleMode::index, b_.end_if(otherwise)[0], zero);
  }

  /// The last block: the chunks' results as one more row, then everything that is computed from
  /// them.
  void finish_split(const Accumulators& acc, std::span<const int> partials, Value base, Value count,
                    Value lane) {
    const Value zero = b_.constant_i64(0), step = b_.constant_i64(virtual_lanes);
    const auto combine_chunk = [&](Value chunk, std::span<const Value> current) {
      std::vector<Value> combined;
      std::size_t k = 0;
      for (std::size_t r : acc.reductions) {
        const std::size_t width = kernel_.ops[r].kind == KernelOp::Kind::arg_reduce ? 2 : 1;
        std::vector<Value> theirs;
        for (std::size_t j = 0; j < width; ++j)
          theirs.push_back(b_.load(partials[k + j], b_.binary(Opcode::add, base, chunk)));
        for (Value v : ops_.combine(kernel_.ops[r], current.subspan(k, width), theirs))
          combined.push_back(v);
        k += width;
      }
      return combined;
    };
    Accumulators row{acc.reductions, {}};
    for (std::size_t r : acc.reductions)
      for (Value v : ops_.identity(kernel_.ops[r])) row.values.push_back(v);
    if (schedule_.strips) {
      bind(acc, lane_loop(row, zero, count, combine_chunk));
    } else {
      std::vector<Value> initial{zero};
      initial.insert(initial.end(), row.values.begin(), row.values.end());
      const auto p = b_.begin_loop(initial);
      b_.loop_while(b_.compare(Opcode::less, p[0], count));
      const Value chunk = b_.binary(Opcode::add, p[0], lane);
      b_.begin_if(b_.compare(Opcode::less, chunk, count));
      const std::vector<Value> before(p.begin() + 1, p.end());
      const auto combined = combine_chunk(chunk, before);
      b_.begin_else(combined);
      const auto merged = b_.end_if(before);
      std::vector<Value> next{b_.binary(Opcode::add, p[0], step)};
      next.insert(next.end(), merged.begin(), merged.end());
      b_.end_loop(next);
      bind(acc, lane_tree(acc, {p.begin() + 1, p.end()}));
    }
    for (int stage = 1; stage <= last_stage_; ++stage) {
      emit_outer(stage);
      store_all(stage, false);
    }
    store_all(0, false);
  }

  std::map<std::size_t, std::int32_t>
      buffer_from_;  ///< op -> the stage that computes it for its row buffer
  std::map<std::size_t, int> buffers_;
};

}  // namespace

LoweredKernel lower(const Kernel& kernel, const Schedule& schedule,
                    std::span<const DType> slot_types) {
  if (schedule.threads > 0) return lower_blocks(kernel, schedule, slot_types);
  return Lowering(kernel, schedule, slot_types).run();
}

}  // namespace noyau::jit

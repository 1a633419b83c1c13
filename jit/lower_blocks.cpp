// Lowering for blocks of many threads: kernels without rows.
// SPDX-License-Identifier: Apache-2.0
#include "jit/lower_blocks.hpp"

#include <algorithm>

#include "jit/legalise.hpp"
#include "jit/schedule_blocks.hpp"

namespace noyau::jit {

using Kind = KernelOp::Kind;
using Shape = Schedule::Shape;

BlockLowering::BlockLowering(const Kernel& kernel, const Schedule& schedule,
                             std::span<const DType> slot_types)
    : KernelLowering(kernel, schedule, slot_types,
                     {.domain = Domain::blocks,
                      .index = schedule.narrow ? DType::int32 : DType::int64,
                      .vector = kernel.has_rows() ? 1 : schedule.vector}),
      threads_(schedule.threads),
      thread_(ops_.as_index(b_.thread(0))),
      block_(ops_.as_index(lone_block())) {}

Value BlockLowering::lone_block() {
  const Value v = b_.block(0);
  b_.program().instructions[static_cast<std::size_t>(v)].flags = lone_axis;
  return v;
}

Value BlockLowering::load_if(Value condition, DType type, const std::function<Value()>& value) {
  const Value nothing[] = {zero(type)};
  b_.begin_if(condition);
  const Value then[] = {value()};
  b_.begin_else(then);
  return b_.end_if(nothing)[0];
}

void BlockLowering::when(Value condition, const std::function<void()>& body) {
  b_.begin_if(condition);
  body();
  b_.begin_else();
  b_.end_if();
}

std::uint8_t BlockLowering::loop_for(std::span<const std::size_t> ops, std::int64_t batch) const {
  std::int64_t weight = 0;
  for (std::size_t k : ops) weight += jit::weight(kernel_.ops[k]);
  return weight * batch <= most_unrolled_weight ? unrolled_loop : rolled_loop;
}

int BlockLowering::array_of(std::size_t op, std::int64_t size) {
  const auto [found, fresh] = arrays_.try_emplace(op, -1);
  if (fresh) found->second = b_.private_array(kernel_.ops[op].dtype, size);
  return found->second;
}

namespace {

/// A thread computes some vectors of elements: it loads all of them, computes one element after
/// the other, and stores them. Vectors of a thread lie as far from each other as the block's
/// threads reach, so that neighbours access neighbours.
class MapLowering final : BlockLowering {
 public:
  using BlockLowering::BlockLowering;

  LoweredKernel run() {
    if (schedule_.shape == Shape::tile) lower_tile();
    else if (schedule_.vector > 1) lower_vectors();
    else lower_single();
    return take(schedule_.threads);
  }

 private:
  void lower_single() {
    const std::int64_t elements = kernel_.parallel_size();
    extent_[0] = (elements + threads_ - 1) / threads_;
    const Value end = ops_.number(static_cast<std::uint64_t>(elements), "elements");
    const Value index = plus(times(block(), threads_), thread());
    when(less(index, end), [&] {
      ops_.split_index(index, parallel_axes_, elements);
      for (std::size_t k = 0; k < kernel_.ops.size(); ++k) ops_.emit(k);
    });
  }

  // ---- vectors

  void lower_vectors() {
    const std::int64_t v = schedule_.vector, batch = schedule_.batch,
                       elements = kernel_.parallel_size(), units = (elements + v - 1) / v;
    size_ = v * batch;
    ragged_ = elements % v != 0;
    inner_ = parallel_axes_.back();
    extent_[0] = (units + threads_ * batch - 1) / (threads_ * batch);
    end_ = ops_.number(static_cast<std::uint64_t>(ragged_ ? elements : units), "end");
    const Value unit = plus(times(block(), threads_ * batch), thread());
    when(less(ragged_ ? times(unit, v) : unit, end_), [&] {
      ops_.split_index(unit, parallel_axes_, units);
      first_ = ops_.index(inner_);
      if (ragged_) whole_ = less(shifted(first_, (batch - 1) * threads_ * v + v - 1), end_);
      load_vectors();
      compute();
      store_vectors();
    });
  }

  bool in_vectors(std::size_t k) const {
    return takes_vectors(kernel_, kernel_.ops[k], schedule_.vector);
  }
  /// The number on the innermost axis of the thread's element e.
  Value element(Value e) {
    const std::int64_t v = schedule_.vector;
    if (schedule_.batch == 1) return plus(first_, e);
    const Value far = b_.binary(Opcode::shift_right, e, integer(v == 4 ? 2 : 1));
    return plus(plus(first_, times(far, threads_ * v)),
                b_.binary(Opcode::bit_and, e, integer(v - 1)));
  }
  Value element(std::int64_t vector) {
    return shifted(first_, vector * threads_ * schedule_.vector);
  }

  /// Whole vectors by `vectors`; where some elements are past the end, each alone.
  void whole_or_each(const std::function<void()>& vectors,
                     const std::function<void(Value e, Value inside)>& each) {
    if (!ragged_) return vectors();
    b_.begin_if(whole_);
    vectors();
    b_.begin_else();
    count(
        integer(0), integer(size_), 1,
        [&](Value e) {
          const Value at = element(e);
          ops_.set_index(inner_, at);
          each(e, less(at, end_));
        },
        unrolled_loop);
    b_.end_if();
  }
  /// Loads or stores of one vector, side by side.
  void mark(std::size_t first_instruction, std::int64_t number) {
    auto& list = b_.program().instructions;
    for (std::size_t k = first_instruction;
         k < first_instruction + static_cast<std::size_t>(number); ++k)
      list[k].flags = static_cast<std::uint8_t>(number);
  }

  void load_vectors() {
    const std::int64_t v = schedule_.vector;
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k) {
      const KernelOp& op = kernel_.ops[k];
      if (op.kind != Kind::load || !in_vectors(k)) continue;
      const int array = array_of(k, size_);
      whole_or_each(
          [&] {
            for (std::int64_t j = 0; j < schedule_.batch; ++j) {
              const std::vector<Value> at = places(k, j);
              const std::size_t from = b_.program().instructions.size();
              std::vector<Value> loaded;
              for (std::int64_t n = 0; n < v; ++n)
                loaded.push_back(b_.load(op.buffer, at[static_cast<std::size_t>(n)]));
              mark(from, v);
              for (std::int64_t n = 0; n < v; ++n)
                b_.store(array, b_.constant_i64(j * v + n), loaded[static_cast<std::size_t>(n)]);
            }
          },
          [&](Value e, Value inside) {
            store(array, e,
                  load_if(inside, op.dtype, [&] { return b_.load(op.buffer, ops_.address(k)); }));
          });
    }
  }
  /// Where the elements of the thread's vector j are for operation k.
  std::vector<Value> places(std::size_t k, std::int64_t j) {
    ops_.set_index(inner_, element(j));
    std::vector<Value> at{ops_.address(k)};
    for (std::int64_t n = 1; n < schedule_.vector; ++n)
      at.push_back(b_.binary(Opcode::add, at[0], b_.constant_i64(n)));
    return at;
  }

  void compute() {
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k)
      if (is_store(kernel_.ops[k]) && in_vectors(k)) array_of(k, size_);
    count(
        integer(0), integer(size_), 1,
        [&](Value e) {
          const Value at = element(e);
          ops_.set_index(inner_, at);
          if (ragged_) when(less(at, end_), [&] { compute_element(e); });
          else compute_element(e);
        },
        unrolled_loop);
  }
  void compute_element(Value e) {
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k) {
      const KernelOp& op = kernel_.ops[k];
      if (!in_vectors(k)) ops_.emit(k);
      else if (is_store(op)) store(array_of(k, size_), e, ops_.value(op.args[0]));
      else ops_.set_value(k, load(array_of(k, size_), e));
    }
  }

  void store_vectors() {
    const std::int64_t v = schedule_.vector;
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k) {
      const KernelOp& op = kernel_.ops[k];
      if (!is_store(op) || !in_vectors(k)) continue;
      const int array = array_of(k, size_);
      whole_or_each(
          [&] {
            for (std::int64_t j = 0; j < schedule_.batch; ++j) {
              const std::vector<Value> at = places(k, j);
              std::vector<Value> values;
              for (std::int64_t n = 0; n < v; ++n)
                values.push_back(b_.load(array, b_.constant_i64(j * v + n)));
              const std::size_t from = b_.program().instructions.size();
              for (std::size_t n = 0; n < at.size(); ++n) b_.store(op.buffer, at[n], values[n]);
              mark(from, v);
            }
          },
          [&](Value e, Value inside) {
            when(inside, [&] { b_.store(op.buffer, ops_.address(k), load(array, e)); });
          });
    }
  }

  // ---- tiles

  static constexpr std::int64_t side = 32;

  /// A block's 32 x 32 elements, or 32 x 64: what runs along the other axis is loaded along it,
  /// into tiles of shared memory whose rows are one element longer, so that both directions meet
  /// all banks.
  void lower_tile() {
    const std::size_t slow = static_cast<std::size_t>(schedule_.tile_axis),
                      fast = kernel_.axes.size() - 1;
    std::vector<std::size_t> others;
    for (std::size_t a : parallel_axes_)
      if (a != slow && a != fast) others.push_back(a);
    const std::int64_t parts = schedule_.batch, length = parts * side;
    const std::int64_t across = (extent_of(fast) + length - 1) / length,
                       down = (extent_of(slow) + side - 1) / side;
    extent_[0] = across * down;
    std::int64_t rest_size = 1;
    for (std::size_t a : others) rest_size *= extent_of(a);
    extent_[0] *= rest_size;
    const Value across_value = ops_.number(static_cast<std::uint64_t>(across), "across"),
                down_value = ops_.number(static_cast<std::uint64_t>(down), "down");
    const Value column = b_.binary(Opcode::remainder, block(), across_value);
    const Value rest = b_.binary(Opcode::divide, block(), across_value);
    const Value fast_first = times(column, length),
                slow_first = times(b_.binary(Opcode::remainder, rest, down_value), side);
    if (!others.empty())
      ops_.split_index(b_.binary(Opcode::divide, rest, down_value), others, rest_size);
    const Value x = lane(), y = gang();
    const std::int64_t rows = threads_ / side;

    std::vector<std::size_t> all, tiled;
    for (std::size_t k = 0; k < kernel_.ops.size(); ++k) {
      const KernelOp& op = kernel_.ops[k];
      all.push_back(k);
      if (op.kind == Kind::load && op.maps[0].strides[slow] == 1 &&
          std::abs(op.maps[0].strides[fast]) > 1)
        tiled.push_back(k);
    }
    std::map<std::size_t, int> tiles;
    for (std::size_t k : tiled) tiles[k] = b_.shared(kernel_.ops[k].dtype, length * (side + 1));
    const auto inside = [&](Value fast_index, Value slow_index) {
      return b_.binary(Opcode::bit_and, less(fast_index, ops_.extent(fast)),
                       less(slow_index, ops_.extent(slow)));
    };
    const auto each = [&](std::int64_t lines, std::uint8_t flags,
                          const std::function<void(Value)>& body) {
      count(
          integer(0), integer(lines / rows), 1, [&](Value e) { body(plus(y, times(e, rows))); },
          flags);
    };
    each(length, unrolled_loop, [&](Value r) {
      const Value fast_index = plus(fast_first, r), slow_index = plus(slow_first, x);
      when(inside(fast_index, slow_index), [&] {
        ops_.set_index(fast, fast_index);
        ops_.set_index(slow, slow_index);
        for (std::size_t k : tiled)
          store(tiles[k], plus(times(r, side + 1), x),
                b_.load(kernel_.ops[k].buffer, ops_.address(k)));
      });
    });
    b_.barrier();
    // The parts of a line one after the other, as if they were more lines.
    each(parts * side, loop_for(all, parts * side / rows), [&](Value line) {
      const Value r = b_.binary(Opcode::bit_and, line, integer(side - 1)),
                  at = parts == 1 ? x : plus(x, b_.binary(Opcode::subtract, line, r));
      const Value fast_index = plus(fast_first, at), slow_index = plus(slow_first, r);
      when(inside(fast_index, slow_index), [&] {
        ops_.set_index(fast, fast_index);
        ops_.set_index(slow, slow_index);
        for (std::size_t k : all) {
          if (auto tile = tiles.find(k); tile != tiles.end())
            ops_.set_value(k, load(tile->second, plus(times(at, side + 1), r)));
          else ops_.emit(k);
        }
      });
    });
  }

  std::int64_t size_ = 1;  ///< elements of a thread
  bool ragged_ = false;    ///< the last thread's may be past the end
  std::size_t inner_ = 0;
  Value end_ = no_value, first_ = no_value, whole_ = no_value;
};

}  // namespace

LoweredKernel lower_map_in_blocks(const Kernel& kernel, const Schedule& schedule,
                                  std::span<const DType> slot_types) {
  return MapLowering(kernel, schedule, slot_types).run();
}

LoweredKernel lower_blocks(const Kernel& kernel, const Schedule& schedule,
                           std::span<const DType> slot_types) {
  return kernel.has_rows() ? lower_rows_in_blocks(kernel, schedule, slot_types)
                           : lower_map_in_blocks(kernel, schedule, slot_types);
}

}  // namespace noyau::jit

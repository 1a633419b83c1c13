// Lowering for blocks of many threads: rows by threads, by gangs of 32, by blocks, side by side.
// SPDX-License-Identifier: Apache-2.0
//
// The tree is that of jit/kernel.hpp on every schedule. A thread that has whole virtual lanes adds
// up their elements as it meets them. Where a block has more threads than a row has lanes, all
// threads compute elements, a stage of them in shared memory at a time, and 32 threads add them up;
// what may be combined in any order is not staged.
#include <algorithm>
#include <bit>

#include "jit/lower_blocks.hpp"
#include "jit/schedule_blocks.hpp"

namespace noyau::jit {
namespace {

using Kind = KernelOp::Kind;
using Shape = Schedule::Shape;

class RowLowering final : BlockLowering {
 public:
  using BlockLowering::BlockLowering;

  LoweredKernel run() {
    lay_out();
    plan_row_buffers();
    if (schedule_.shape == Shape::split) lower_split();
    else lower_stages();
    return take(schedule_.threads);
  }

 private:
  /// How rows and their elements lie over blocks and threads.
  enum class Layout { thread, gang, block, columns };

  /// Element `base + own_ + e * stride_` is element e of the thread's batch.
  void lay_out() {
    const std::int64_t rows = kernel_.parallel_size();
    const bool columns = schedule_.columns || schedule_.shape == Shape::column;
    layout_ = columns                            ? Layout::columns
              : schedule_.shape == Shape::serial ? Layout::thread
              : schedule_.shape == Shape::gang   ? Layout::gang
                                                 : Layout::block;
    side_ = columns ? schedule_.width : virtual_lanes;
    const std::int64_t gangs = threads_ / side_;
    const std::int64_t rows_of_block = columns                     ? side_
                                       : layout_ == Layout::thread ? threads_
                                       : layout_ == Layout::gang   ? gangs
                                                                   : 1;
    const std::int64_t groups = (rows + rows_of_block - 1) / rows_of_block;
    extent_[0] = groups;
    Value group = block();
    chunk_ = integer(0);
    if (schedule_.shape == Shape::split) {
      const std::int64_t chunks = (kernel_.row_size() + chunk_rows - 1) / chunk_rows;
      chunk_count_ = ops_.number(static_cast<std::uint64_t>(chunks), "chunks");
      extent_[0] *= chunks;
      chunk_ = b_.binary(Opcode::remainder, block(), chunk_count_);
      group = b_.binary(Opcode::divide, block(), chunk_count_);
    }
    group_ = group;
    row_count_ = ops_.number(static_cast<std::uint64_t>(rows), "row_count");
    const Value mine = columns                     ? column()
                       : layout_ == Layout::thread ? thread()
                       : layout_ == Layout::gang   ? gang()
                                                   : integer(0);
    own_ = columns                     ? line()
           : layout_ == Layout::thread ? integer(0)
           : layout_ == Layout::gang   ? lane()
                                       : thread();
    stride_ = columns                     ? gangs
              : layout_ == Layout::thread ? 1
              : layout_ == Layout::gang   ? virtual_lanes
                                          : threads_;
    lanes_ = columns ? virtual_lanes / gangs : 1;
    // Threads past the last row go through it once more, for barriers and shuffles, and store
    // nothing.
    const Value row = plus(times(group, rows_of_block), mine);
    if (layout_ == Layout::block) {
      row_ = row;
    } else {
      live_ = less(row, row_count_);
      row_ = smaller(row, shifted(row_count_, -1));
    }
    ops_.split_index(row_, parallel_axes_, rows);
    if (layout_ == Layout::gang)
      memory_first_ = b_.binary(Opcode::multiply, gang(), ops_.row_size());
  }

  /// The thread that stores what is one value of a row.
  Value stores_outer() {
    if (layout_ == Layout::thread) return live_;
    const Value first = b_.compare(Opcode::equal, own_, integer(0));
    return layout_ == Layout::block ? first : b_.binary(Opcode::bit_and, first, live_);
  }
  void store_outer(int stage) {
    const auto& ops = kernel_.ops;
    if (std::any_of(ops.begin(), ops.end(), [&](const KernelOp& op) {
          return is_store(op) && !op.row && op.stage == stage;
        }))
      when(stores_outer(), [&] { store_all(stage, false); });
  }

  // ---- row values in shared memory

  /// Dear values first, then loads, that a later stage needs again, while they fit.
  void plan_row_buffers() {
    if (schedule_.row_bytes == 0 || last_stage_ == 0) return;
    const std::int64_t rows =
        kernel_.row_size() * (layout_ == Layout::gang ? threads_ / virtual_lanes : 1);
    std::int64_t left = schedule_.row_bytes;
    const auto keep = [&](bool loads) {
      std::vector<std::int32_t> first(kernel_.ops.size(), -1);
      for (int stage = 0; stage <= last_stage_; ++stage) {
        for (auto& [k, from] : buffer_from_)
          if (from < stage) kept_[k] = 0;
        for (std::size_t k : needed_rows(targets_of(stage))) {
          const KernelOp& op = kernel_.ops[k];
          if (first[k] < 0) first[k] = stage;
          if (first[k] == stage || buffer_from_.count(k)) continue;
          if (loads ? op.kind != Kind::load : !ops_.is_dear(op)) continue;
          const std::int64_t bytes = rows * static_cast<std::int64_t>(size_of(op.dtype)) + 16;
          if (bytes > left) continue;
          left -= bytes;
          buffer_from_[k] = first[k];
        }
      }
      kept_.clear();
    };
    keep(false);
    keep(true);
    if (buffer_from_.empty()) return;
    ops_.number(DType::int64, static_cast<std::uint64_t>(rows), "row_values");
    const int size = ops_.last_parameter();
    for (auto& [k, from] : buffer_from_)
      buffers_[k] = b_.shared_sized_by(kernel_.ops[k].dtype, size);
  }
  Value in_buffer(Value row_number) {
    return memory_first_ == no_value ? row_number : plus(memory_first_, row_number);
  }

  // ---- a pass over elements

  /// What a pass combines: loads that are made for a whole batch first; then, for each element, the
  /// reductions' arguments.
  struct Elements {
    std::vector<std::size_t> needed, stores;
    std::function<void(Value number, Value e, Value inside)> fetch;
    std::function<std::vector<Value>(Value number, Value e)> compute;
    std::uint8_t flags = unrolled_loop;
  };

  Elements elements_of_kernel(int stage, const Accumulators& acc) {
    Elements x;
    x.needed = needed_rows(targets_of(stage));
    x.stores = row_stores_of(stage);
    x.flags = loop_for(x.needed, schedule_.batch);
    x.fetch = [this, needed = x.needed](Value number, Value e, Value inside) {
      set_row(number);
      for (std::size_t k : needed) {
        if (!is_fetched(k)) continue;
        const KernelOp& op = kernel_.ops[k];
        store(array_of(k, schedule_.batch), e,
              load_if(inside, op.dtype, [&] { return b_.load(op.buffer, ops_.address(k)); }));
      }
    };
    x.compute = [this, &acc, needed = x.needed, stores = x.stores](Value number, Value e) {
      set_row(number);
      for (std::size_t k : needed) {
        if (auto kept = kept_.find(k); kept != kept_.end()) {
          ops_.set_value(k, load(kept->second, in_buffer(number)));
          continue;
        }
        if (is_fetched(k)) ops_.set_value(k, load(array_of(k, schedule_.batch), e));
        else ops_.emit(k);
        if (auto keep = keep_now_.find(k); keep != keep_now_.end())
          store(keep->second, in_buffer(number), ops_.value(static_cast<std::int32_t>(k)));
      }
      if (!stores.empty()) {
        const auto all = [&] {
          for (std::size_t k : stores) ops_.emit(k);
        };
        if (live_ == no_value) all();
        else when(live_, all);
      }
      return arguments(acc, number);
    };
    return x;
  }
  /// A batch of a row that one thread goes through: whole vectors of it, as rows are.
  void fetch_vectors(std::span<const std::size_t> needed, Value base, Value end) {
    const std::int64_t v = schedule_.vector;
    for (std::int64_t first = 0; first < schedule_.batch; first += v) {
      const Value number = shifted(base, first);
      when(less(number, end), [&] {
        for (std::size_t k : needed) {
          if (!is_fetched(k)) continue;
          const KernelOp& op = kernel_.ops[k];
          const int array = array_of(k, schedule_.batch);
          const bool together = takes_vectors(kernel_, op, v);
          set_row(number);
          std::vector<Value> at{ops_.address(k)}, loaded;
          for (std::int64_t n = 1; n < v; ++n) {
            if (!together) set_row(shifted(number, n));
            at.push_back(together ? b_.binary(Opcode::add, at[0], b_.constant_i64(n))
                                  : ops_.address(k));
          }
          for (Value a : at) {
            loaded.push_back(b_.load(op.buffer, a));
            if (together) b_.program().instructions.back().flags = static_cast<std::uint8_t>(v);
          }
          for (std::int64_t n = 0; n < v; ++n)
            b_.store(array, b_.constant_i64(first + n), loaded[static_cast<std::size_t>(n)]);
        }
      });
    }
  }
  bool is_fetched(std::size_t k) const {
    return kernel_.ops[k].kind == Kind::load && !kept_.count(k);
  }
  bool any_order_here(const Accumulators& acc) const {
    return std::all_of(acc.reductions.begin(), acc.reductions.end(), [&](std::size_t r) {
      const std::size_t one[] = {r};
      return width(r) == 2 || any_order(one);  // of equals an arg reduction takes the first
    });
  }

  /// Elements first..end of the row. Returns the finished accumulators, in every thread of the row.
  std::vector<Value> pass(const Accumulators& acc, const Elements& x, Value first, Value end) {
    const bool staged = layout_ == Layout::block && !acc.values.empty() && !any_order_here(acc);
    std::vector<int> lanes, stage;
    for (Value v : acc.values) {
      lanes.push_back(b_.private_array(b_.type(v), lanes_));
      for (std::int64_t a = 0; a < lanes_; ++a) b_.store(lanes.back(), b_.constant_i64(a), v);
    }
    for (auto& [kind, like] : shared_) like.used = 0;
    const std::int64_t batch = staged ? staged_batch(acc) : schedule_.batch;
    if (staged) stage = shared_values(acc, threads_ * batch);
    count(first, end, stride_ * batch, [&](Value base) {
      const auto each = [&](std::uint8_t flags,
                            const std::function<void(Value, Value, Value)>& body) {
        count(
            integer(0), integer(batch), 1,
            [&](Value e) {
              const Value number = plus(plus(base, own_), times(e, stride_));
              body(number, e, less(number, end));
            },
            flags);
      };
      if (schedule_.vector == 1) each(unrolled_loop, x.fetch);
      else fetch_vectors(x.needed, base, end);
      each(x.flags, [&](Value number, Value e, Value inside) {
        when(inside, [&] {
          const std::vector<Value> with = x.compute(number, e);
          if (staged) {
            const Value at = plus(times(e, threads_), thread());
            for (std::size_t k = 0; k < stage.size(); ++k) store(stage[k], at, with[k]);
          } else {
            add_to(acc, lanes,
                   lanes_ == 1 ? integer(0) : b_.binary(Opcode::bit_and, e, integer(lanes_ - 1)),
                   with);
          }
        });
      });
      if (staged) add_stage(acc, lanes, stage, b_.binary(Opcode::subtract, end, base), batch);
    });
    if (acc.values.empty()) return {};
    return finish(acc, lanes, staged);
  }
  /// Elements of a thread between barriers: 16 KiB for a block.
  std::int64_t staged_batch(const Accumulators& acc) const {
    std::int64_t bytes = 0;
    for (std::size_t r : acc.reductions)
      bytes += static_cast<std::int64_t>(size_of(kernel_.ops[r].compute)) + (width(r) == 2 ? 8 : 0);
    const std::int64_t most = (16 << 10) / (bytes * threads_);
    return std::clamp<std::int64_t>(most, 1, schedule_.batch);
  }
  /// An array for each accumulator; those of earlier passes are used again.
  std::vector<int> shared_values(const Accumulators& acc, std::int64_t size) {
    std::vector<int> memory;
    for (Value v : acc.values) {
      SharedArrays& like = shared_[{b_.type(v), size}];
      if (like.used == like.arrays.size()) like.arrays.push_back(b_.shared(b_.type(v), size));
      memory.push_back(like.arrays[like.used++]);
    }
    return memory;
  }
  std::vector<Value> values_at(std::span<const int> memory, Value at) {
    std::vector<Value> list;
    for (int m : memory) list.push_back(load(m, at));
    return list;
  }
  void add_to(const Accumulators& acc, std::span<const int> lanes, Value at,
              std::span<const Value> with) {
    if (lanes.empty()) return;
    const std::vector<Value> next = combine(acc, values_at(lanes, at), with);
    for (std::size_t k = 0; k < lanes.size(); ++k) store(lanes[k], at, next[k]);
  }

  /// The first 32 threads, each a lane, add up what all of them computed.
  void add_stage(const Accumulators& acc, std::span<const int> lanes, std::span<const int> stage,
                 Value left, std::int64_t batch) {
    b_.barrier();
    when(less(thread(), integer(virtual_lanes)), [&] {
      count(
          integer(0), integer(threads_ * batch / virtual_lanes), 1,
          [&](Value s) {
            const Value at = plus(times(s, virtual_lanes), thread());
            when(less(at, left), [&] { add_to(acc, lanes, integer(0), values_at(stage, at)); });
          },
          partly_unrolled_loop);
    });
    b_.barrier();
  }

  std::vector<Value> finish(const Accumulators& acc, std::span<const int> lanes, bool staged) {
    if (layout_ == Layout::columns) return finish_columns(acc, lanes);
    std::vector<Value> values = values_at(lanes, integer(0));
    if (layout_ == Layout::thread) return values;
    values = lane_tree(acc, values);
    if (layout_ == Layout::gang) return values;
    // One value a gang; staged ones are all in the first.
    const std::int64_t gangs = staged ? 1 : threads_ / virtual_lanes;
    const std::vector<int> memory = shared_values(acc, gangs);
    const Value writes = staged ? thread() : lane();
    when(b_.compare(Opcode::equal, writes, integer(0)), [&] {
      for (std::size_t k = 0; k < memory.size(); ++k)
        store(memory[k], staged ? integer(0) : gang(), values[k]);
    });
    b_.barrier();
    values = values_at(memory, integer(0));
    for (std::int64_t g = 1; g < gangs; ++g)
      values = combine(acc, values, values_at(memory, integer(g)));
    b_.barrier();
    return values;
  }

  /// Of columns: the thread's one, and the first of its virtual lanes.
  Value column() { return b_.binary(Opcode::bit_and, thread(), integer(side_ - 1)); }
  Value line() {
    return b_.binary(Opcode::shift_right, thread(),
                     integer(std::countr_zero(static_cast<std::uint64_t>(side_))));
  }

  /// The tree over lanes that lie in several threads: through shared memory, a line for each lane.
  std::vector<Value> finish_columns(const Accumulators& acc, std::span<const int> lanes) {
    const std::vector<int> memory = shared_values(acc, virtual_lanes * (side_ + 1));
    const std::int64_t gangs = threads_ / side_;
    const auto at = [&](Value l) { return plus(times(l, side_ + 1), column()); };
    for (std::int64_t a = 0; a < lanes_; ++a) {
      const Value l = shifted(line(), a * gangs);
      for (std::size_t k = 0; k < memory.size(); ++k)
        store(memory[k], at(l), b_.load(lanes[k], b_.constant_i64(a)));
    }
    for (std::int64_t distance = virtual_lanes / 2; distance > 0; distance /= 2) {
      b_.barrier();
      count(line(), integer(distance), gangs, [&](Value l) {
        add_to(acc, memory, at(l), values_at(memory, at(shifted(l, distance))));
      });
    }
    b_.barrier();
    const std::vector<Value> values = values_at(memory, column());
    b_.barrier();
    return values;
  }

  // ---- kernels

  void lower_stages() {
    for (int stage = 0; stage <= last_stage_; ++stage) {
      emit_outer(stage);
      const auto reductions = reductions_of(stage);
      if (!targets_of(stage).empty()) {
        keep_now_.clear();
        for (auto& [k, from] : buffer_from_)
          if (from == stage) keep_now_[k] = buffers_[k];
        const Accumulators acc = start(reductions);
        const auto values = pass(acc, elements_of_kernel(stage, acc), integer(0), ops_.row_size());
        bind(acc, values);
        for (auto& [k, memory] : keep_now_) kept_[k] = memory;
      }
      store_outer(stage);
    }
  }
  void lower_split() {
    const Value first = times(chunk_, chunk_rows);
    const Value end = smaller(shifted(first, chunk_rows), ops_.row_size());
    emit_outer(0);
    const Accumulators acc = start(reductions_of(0));
    const std::vector<Value> partial = pass(acc, elements_of_kernel(0, acc), first, end);
    if (partial.empty()) return;

    std::vector<int> partials;
    const std::int64_t chunks = (kernel_.row_size() + chunk_rows - 1) / chunk_rows;
    for (Value v : partial) {
      partials.push_back(b_.buffer(b_.type(v), true, true, "partials"));
      scratch_bytes_.push_back(kernel_.parallel_size() * chunks *
                               static_cast<std::int64_t>(size_of(b_.type(v))));
    }
    const int tickets = b_.buffer(DType::int32, true, true, "tickets");
    ticket_bytes_ = kernel_.parallel_size() * 4;
    when(stores_outer(), [&] {
      for (std::size_t k = 0; k < partials.size(); ++k)
        store(partials[k], partial_at(chunk_), partial[k]);
    });
    b_.fence();
    b_.barrier();
    const Value arrived = ops_.as_index(take_ticket(tickets));
    b_.begin_if(b_.compare(Opcode::equal, shifted(arrived, 1), chunk_count_));
    b_.fence();
    Elements x;
    x.fetch = [](Value, Value, Value) {};
    x.compute = [&](Value number, Value) { return values_at(partials, partial_at(number)); };
    const Accumulators whole = start(acc.reductions);
    bind(whole, pass(whole, x, integer(0), chunk_count_));
    for (int stage = 1; stage <= last_stage_; ++stage) {
      emit_outer(stage);
      store_outer(stage);
    }
    store_outer(0);
    b_.begin_else();
    b_.end_if();
  }
  /// Neighbouring rows lie side by side where neighbouring threads have them.
  Value partial_at(Value chunk) {
    if (layout_ == Layout::columns)
      return plus(b_.binary(Opcode::multiply, chunk, row_count_), row_);
    return plus(b_.binary(Opcode::multiply, row_, chunk_count_), chunk);
  }
  /// How many blocks of these rows came before.
  Value take_ticket(int tickets) {
    const int memory = b_.shared(DType::int32, 1);
    when(b_.compare(Opcode::equal, thread(), integer(0)), [&] {
      const Value one = b_.constant_of<std::int32_t>(1);
      b_.store(memory, b_.constant_i64(0),
               b_.atomic(AtomicOp::add, tickets, ops_.as_int64(group_), one));
    });
    b_.barrier();
    return b_.load(memory, b_.constant_i64(0));
  }

  Layout layout_ = Layout::thread;
  Value own_ = no_value, row_ = no_value, live_ = no_value, row_count_ = no_value,
        chunk_ = no_value, chunk_count_ = no_value, group_ = no_value, memory_first_ = no_value;
  std::int64_t stride_ = 1, lanes_ = 1;
  std::int64_t side_ = virtual_lanes;                ///< columns of a block
  std::map<std::size_t, std::int32_t> buffer_from_;  ///< op -> the stage that computes it
  std::map<std::size_t, int> buffers_;
  struct SharedArrays {
    std::vector<int> arrays;
    std::size_t used = 0;  ///< by this pass
  };
  std::map<std::pair<DType, std::int64_t>, SharedArrays> shared_;
};

}  // namespace

LoweredKernel lower_rows_in_blocks(const Kernel& kernel, const Schedule& schedule,
                                   std::span<const DType> slot_types) {
  return RowLowering(kernel, schedule, slot_types).run();
}

}  // namespace noyau::jit

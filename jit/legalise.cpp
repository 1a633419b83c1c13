// Lane exchange through shared memory: store, barrier, load, barrier.
// SPDX-License-Identifier: Apache-2.0
#include "jit/legalise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "jit/rewriter.hpp"

namespace noyau::jit {
namespace {

constexpr std::int64_t gang = 32;

class Exchange : Rewriter {
 public:
  explicit Exchange(const Program& source) : Rewriter(source) {
    std::ranges::fill(arrays_, -1);
    for (const auto n : source.block_size) threads_ *= n;
  }

  Program run() {
    copies_.assign(static_cast<std::size_t>(source_.size()), no_value);
    for (Value v = 0; v < source_.size(); ++v) {
      close_regions(v);
      const Instruction& i = source_[v];
      Value& copy = copies_[static_cast<std::size_t>(v)];
      if (v == source_.entry()) prepare();
      if (i.op == Opcode::shuffle) copy = shuffle(i);
      else if (i.op == Opcode::vote) copy = vote(i);
      else copy = copied(i, copies_);
    }
    close_regions(source_.size());
    return std::move(made_);
  }

 private:
  /// What every exchange needs, at the entry: the thread's number in the block, its lane, the
  /// gang's first thread and its number of lanes.
  void prepare() {
    Value t = emit(Opcode::thread, int64, {}, 2);
    for (const int axis : {1, 0}) {
      t = binary(Opcode::add, emit(Opcode::thread, int64, {}, axis),
                 binary(Opcode::multiply, number(source_.block_size[axis]), t));
    }
    thread_ = t;
    lane_ = binary(Opcode::bit_and, t, number(gang - 1));
    first_ = binary(Opcode::subtract, t, lane_);
    lanes_ =
        binary(Opcode::minimum, number(gang), binary(Opcode::subtract, number(threads_), first_));
    zero_ = number(0);
  }

  int array(DType type) {
    int& object = arrays_[static_cast<int>(type)];
    if (object < 0) {
      object = static_cast<int>(made_.memory.size());
      MemoryObject m;
      m.kind = MemoryObject::Kind::shared;
      m.dtype = type;
      m.written = true;
      m.elements = threads_;
      m.name = fmt::format("lanes_{}", noyau::name(type));
      made_.memory.push_back(std::move(m));
    }
    return object;
  }
  Value exchanged(Value value, DType type, Value from) {
    const int object = array(type);
    emit(Opcode::store, type, {thread_, value}, object);
    emit(Opcode::barrier, bool_, {});
    const Value got = emit(Opcode::load, type, {from}, object);
    emit(Opcode::barrier, bool_, {});
    return got;
  }

  Value shuffle(const Instruction& i) {
    const auto operands = source_.operands_of(i);
    const Value value = copies_[static_cast<std::size_t>(operands[0])],
                n = copies_[static_cast<std::size_t>(operands[1])];
    Value from = n;
    switch (static_cast<ShuffleMode>(i.mode)) {
      case ShuffleMode::index:
        break;
      case ShuffleMode::exclusive_or:
        from = binary(Opcode::bit_xor, lane_, n);
        break;
      case ShuffleMode::down:
        from = binary(Opcode::add, lane_, n);
        break;
      case ShuffleMode::up:
        from = binary(Opcode::subtract, lane_, n);
        break;
    }
    const Value inside =
        emit(Opcode::bit_and, bool_,
             {binary(Opcode::greater_equal, from, zero_), binary(Opcode::less, from, lanes_)});
    const Value lane = emit(Opcode::select, int64, {inside, from, lane_});
    return exchanged(value, i.type, binary(Opcode::add, first_, lane));
  }

  /// Every lane reads all of its gang's conditions.
  Value vote(const Instruction& i) {
    const bool all = static_cast<VoteMode>(i.mode) == VoteMode::all;
    const int object = array(bool_);
    emit(Opcode::store, bool_,
         {thread_, copies_[static_cast<std::size_t>(source_.operands_of(i)[0])]}, object);
    emit(Opcode::barrier, bool_, {});
    const Value start = emit(Opcode::constant, bool_, {}, all ? 1 : 0);
    const Value loop = emit(Opcode::loop, bool_, {zero_, start});
    const Value k = emit(Opcode::loop_param, int64, {}, 0);
    const Value so_far = emit(Opcode::loop_param, bool_, {}, 1);
    emit(Opcode::while_, bool_, {binary(Opcode::less, k, lanes_)});
    const Value one = emit(Opcode::load, bool_, {binary(Opcode::add, first_, k)}, object);
    const Value both = emit(all ? Opcode::bit_and : Opcode::bit_or, bool_, {so_far, one});
    const Value next = binary(Opcode::add, k, number(1));
    emit(Opcode::yield, bool_, {next, both});
    close(loop);
    emit(Opcode::barrier, bool_, {});
    return so_far;
  }

  std::vector<Value> copies_;
  int arrays_[dtype_count];
  std::int64_t threads_ = 1;
  Value thread_ = no_value, lane_ = no_value, first_ = no_value, lanes_ = no_value,
        zero_ = no_value;
};

}  // namespace

Program exchange_through_shared(const Program& program) {
  const bool any = std::ranges::any_of(program.instructions, [](const Instruction& i) {
    return i.op == Opcode::shuffle || i.op == Opcode::vote;
  });
  return any ? Exchange(program).run() : program;
}

}  // namespace noyau::jit

// Which int64 values are indices: those that are connected with nothing else.
// SPDX-License-Identifier: Apache-2.0
#include "jit/narrow_indices.hpp"

#include <limits>
#include <utility>
#include <vector>

#include "jit/rewriter.hpp"

namespace noyau::jit {
namespace {

bool is_leaf(const Instruction& i) { return i.op <= Opcode::thread; }

class Narrowing : Rewriter {
 public:
  explicit Narrowing(const Program& source)
      : Rewriter(source),
        parent_(count()),
        wide_(count(), 0),
        is_offset_(count(), 0),
        whole_(count(), no_value),
        narrow_(count(), no_value) {
    for (Value v = 0; v < source.size(); ++v) parent_[at(v)] = v;
  }

  Program run() {
    for (Value v = 0; v < source_.size(); ++v) connect(v);
    for (Value v = 0; v < source_.size(); ++v) copy(v);
    close_regions(source_.size());
    return std::move(made_);
  }

 private:
  static std::size_t at(Value v) { return static_cast<std::size_t>(v); }
  std::size_t count() const { return source_.instructions.size(); }

  // ---- sets of values that must have one type

  Value root(Value v) {
    while (parent_[at(v)] != v) v = parent_[at(v)] = parent_[at(parent_[at(v)])];
    return v;
  }
  bool is_index_type(Value v) const { return source_[v].type == DType::int64; }
  void make_wide(Value v) {
    if (is_index_type(v) && !is_leaf(source_[v])) wide_[at(root(v))] = 1;
  }
  /// Leaves come in both types. A constant that does not fit makes what it meets wide.
  void join(Value a, Value b) {
    if (is_leaf(source_[a])) std::swap(a, b);
    if (is_leaf(source_[a])) return;
    if (is_leaf(source_[b])) {
      if (!fits(b)) make_wide(a);
      return;
    }
    const Value first = root(a), second = root(b);
    parent_[at(second)] = first;
    wide_[at(first)] |= wide_[at(second)];
  }
  bool fits(Value leaf) const {
    const std::int64_t n = source_[leaf].immediate;
    return source_[leaf].op != Opcode::constant || (n >= std::numeric_limits<std::int32_t>::min() &&
                                                    n <= std::numeric_limits<std::int32_t>::max());
  }
  bool is_narrow(Value v) {
    if (!is_index_type(v)) return false;
    return is_leaf(source_[v]) ? fits(v) : wide_[at(root(v))] == 0;
  }

  void connect(Value v) {
    const Instruction& i = source_[v];
    const auto x = source_.operands_of(i);
    const bool index = is_index_type(v);
    if (is_arithmetic(i.op)) {
      for (const Value operand : x)
        if (index) join(v, operand);
      return;
    }
    if (is_comparison(i.op)) {
      if (is_index_type(x[0])) join(x[0], x[1]);
      return;
    }
    switch (i.op) {
      case Opcode::select:
        if (!index) return;
        join(v, x[1]);
        return join(v, x[2]);
      case Opcode::convert:
        if (index && !(is_integer(source_[x[0]].type) && size_of(source_[x[0]].type) <= 4 &&
                       source_[x[0]].type != DType::uint32))
          make_wide(v);
        return;
      case Opcode::load:
      case Opcode::atomic:
      case Opcode::store:
        is_offset_[at(x[0])] = 1;
        make_wide(v);
        for (std::size_t k = 1; k < x.size(); ++k) make_wide(x[k]);
        return;
      case Opcode::if_:
      case Opcode::else_:
        return open_loops_.push_back(no_value);
      case Opcode::loop:
        for (std::size_t k = 0; k < x.size(); ++k)
          if (is_index_type(x[k])) join(parameter(v, k), x[k]);
        return open_loops_.push_back(v);
      case Opcode::yield: {
        const Value loop = open_loops_.back();
        open_loops_.pop_back();
        for (std::size_t k = 0; k < x.size(); ++k) {
          if (loop == no_value) make_wide(x[k]);
          else if (is_index_type(x[k])) join(parameter(loop, k), x[k]);
        }
        return;
      }
      case Opcode::loop_param:
      case Opcode::while_:
        return;
      default:
        make_wide(v);
        for (const Value operand : x) make_wide(operand);
    }
  }
  static Value parameter(Value loop, std::size_t k) { return loop + 1 + static_cast<Value>(k); }

  // ---- the copy

  Value whole(Value v) {
    if (whole_[at(v)] != no_value) return whole_[at(v)];
    return emit(Opcode::convert, DType::int64, {narrow_[at(v)]});
  }
  Value in_type(Value v, bool narrow) { return narrow ? narrow_[at(v)] : whole(v); }

  void copy(Value v) {
    close_regions(v);
    const Instruction& i = source_[v];
    const auto x = source_.operands_of(i);
    bool narrow = is_narrow(v) && !is_leaf(i);
    std::vector<Value> operands;
    if (is_comparison(i.op) && is_index_type(x[0])) narrow = is_narrow(x[0]) && is_narrow(x[1]);
    for (std::size_t k = 0; k < x.size(); ++k)
      operands.push_back(in_type(x[k], type_of(v, k, narrow)));
    Instruction made = i;
    if (narrow && is_index_type(v)) made.type = DType::int32;
    if (i.op == Opcode::yield) open_loops_.pop_back();
    if (i.op == Opcode::if_ || i.op == Opcode::else_) open_loops_.push_back(no_value);
    if (i.op == Opcode::loop) open_loops_.push_back(v);
    const Value result = emit(made, operands);
    if (i.end != 0) open_until(result, i.end);
    if (!narrow || !is_index_type(v)) whole_[at(v)] = result;
    if (!is_narrow(v)) return;
    if (is_leaf(i)) {
      narrow_[at(v)] = i.op == Opcode::constant ? number32(i.immediate)
                                                : emit(Opcode::convert, DType::int32, {result});
    } else {
      narrow_[at(v)] = result;
      // At once, so that loads that follow each other stay neighbours.
      if (is_offset_[at(v)] && i.op != Opcode::loop_param) whole_[at(v)] = whole(v);
    }
  }
  Value number32(std::int64_t n) {
    const Scalar value = Scalar::of(n).as(DType::int32);
    return emit(Opcode::constant, DType::int32, {}, static_cast<std::int64_t>(value.bits));
  }

  /// Whether operand k of v is wanted in 32 bits.
  bool type_of(Value v, std::size_t k, bool narrow) {
    const Instruction& i = source_[v];
    const Value x = source_.operands_of(i)[k];
    if (!is_index_type(x)) return false;
    switch (i.op) {
      case Opcode::select:
        return narrow && k > 0;
      case Opcode::convert:
        return is_narrow(x);
      case Opcode::loop:
        return is_narrow(parameter(v, k));
      case Opcode::yield:
        return open_loops_.back() != no_value && is_narrow(parameter(open_loops_.back(), k));
      default:
        return narrow && (is_arithmetic(i.op) || is_comparison(i.op));
    }
  }

  std::vector<Value> parent_;
  std::vector<char> wide_, is_offset_;
  std::vector<Value> whole_, narrow_;  ///< of each old value, the new ones
  std::vector<Value> open_loops_;      ///< of the open regions; no_value: an if
};

}  // namespace

Program narrow_indices(const Program& program) {
  return program.entry() == 0 ? Narrowing(program).run() : program;  // calls: left as they are
}

}  // namespace noyau::jit

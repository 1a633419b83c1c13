// Programs of random branches and loops, with launches of them.
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "tests/common/program_cases.hpp"

namespace noyau::jit::testing {
namespace {

/// Programs of nested ifs and loops over a few int32 and float32 values, with loads and stores at
/// the item's own place. Every loop ends: its first parameter counts.
class RandomProgram {
 public:
  explicit RandomProgram(std::uint32_t seed) : state_(seed * 2654435761u + 12345u) {}

  Program make() {
    ints_ = b_.buffer(int32, true, true, "ints");
    floats_ = b_.buffer(float32, true, true, "floats");
    const int p = b_.new_parameter(int32);
    item_ = b_.item(0);
    known_.push_back(b_.load(ints_, item_));
    known_.push_back(b_.parameter(p));
    known_.push_back(b_.convert(item_, int32));
    known_.push_back(b_.constant_of(std::int32_t{3}));
    known_floats_.push_back(b_.load(floats_, item_));
    known_floats_.push_back(b_.convert(known_[1], float32));
    statements(6, 0);
    b_.store(ints_, item_, any_int());
    b_.store(floats_, item_, any_float());
    return b_.finish();
  }

 private:
  int pick(int n) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<int>((state_ >> 10) % static_cast<std::uint32_t>(n));
  }
  Value any_of(const std::vector<Value>& v) {
    return v[static_cast<std::size_t>(pick(static_cast<int>(v.size())))];
  }
  Value any_int() { return any_of(known_); }
  Value any_float() { return any_of(known_floats_); }
  Value condition() {
    const Opcode op = static_cast<Opcode>(static_cast<int>(Opcode::equal) + pick(6));
    return pick(2) == 0 ? b_.compare(op, any_int(), any_int())
                        : b_.compare(op, any_float(), any_float());
  }

  void arithmetic() {
    constexpr Opcode ints[] = {Opcode::add,     Opcode::subtract, Opcode::multiply,
                               Opcode::divide,  Opcode::minimum,  Opcode::bit_xor,
                               Opcode::bit_and, Opcode::remainder};
    constexpr Opcode floats[] = {Opcode::add, Opcode::subtract, Opcode::multiply, Opcode::divide,
                                 Opcode::maximum};
    switch (pick(4)) {
      case 0:
        known_floats_.push_back(b_.binary(floats[pick(5)], any_float(), any_float()));
        break;
      case 1:
        known_.push_back(b_.convert(any_float(), int32));
        break;
      case 2:
        known_.push_back(b_.select(condition(), any_int(), any_int()));
        break;
      default:
        known_.push_back(b_.binary(ints[pick(8)], any_int(), any_int()));
    }
  }

  void statements(int count, int depth) {
    for (int k = 0; k < count; ++k) {
      const int what = depth < 3 ? pick(6) : 0;
      if (what == 4) branch(depth);
      else if (what == 5) loop(depth);
      else if (what == 3 && pick(2) == 0) b_.store(ints_, item_, any_int());
      else if (what == 3) known_.push_back(b_.load(ints_, item_));
      else arithmetic();
    }
  }

  void branch(int depth) {
    const std::size_t ints = known_.size(), floats = known_floats_.size();
    b_.begin_if(condition());
    statements(1 + pick(4), depth + 1);
    const bool otherwise = pick(3) > 0;
    const Value a = any_int(), f = any_float();
    forget(ints, floats);
    if (!otherwise) {
      b_.end_if();
      return;
    }
    b_.begin_else(std::vector{a, f});
    statements(pick(4), depth + 1);
    const Value b = any_int(), g = any_float();
    forget(ints, floats);
    const std::vector<Value> results = b_.end_if(std::vector{b, g});
    known_.push_back(results[0]);
    known_floats_.push_back(results[1]);
  }

  void loop(int depth) {
    const std::size_t ints = known_.size(), floats = known_floats_.size();
    const Value zero = b_.constant_of(std::int32_t{0}), one = b_.constant_of(std::int32_t{1});
    const std::vector<Value> p = b_.begin_loop(std::vector{zero, any_int(), any_float()});
    const Value few = b_.constant_of(std::int32_t{1 + pick(5)});
    Value go = b_.compare(Opcode::less, p[0], few);
    known_.insert(known_.end(), {p[0], p[1]});
    known_floats_.push_back(p[2]);
    if (pick(2) == 0) go = b_.binary(Opcode::bit_and, go, condition());
    b_.loop_while(go);
    statements(1 + pick(4), depth + 1);
    b_.end_loop(std::vector{b_.binary(Opcode::add, p[0], one), any_int(), any_float()});
    forget(ints, floats);
    // What a loop leaves: its parameters.
    known_.push_back(p[static_cast<std::size_t>(pick(2))]);
    known_floats_.push_back(p[2]);
  }

  void forget(std::size_t ints, std::size_t floats) {
    known_.resize(ints);
    known_floats_.resize(floats);
  }

  KernelBuilder b_{"random"};
  std::uint32_t state_;
  int ints_ = 0, floats_ = 0;
  Value item_ = 0;
  std::vector<Value> known_, known_floats_;
};

}  // namespace

void visit_random_control_flow(const Visit& visit) {
  for (std::uint32_t seed = 0; seed < 150; ++seed) {
    const Program program = RandomProgram(seed).make();
    verify(program);
    const std::int64_t n = 1 + (seed * 17) % 75;
    std::vector<std::int32_t> ints;
    for (std::int64_t k = 0; k < n; ++k) {
      ints.push_back(static_cast<std::int32_t>(k * 7 % 11 - 4));
    }
    visit(program, {n, 1, 1}, {seed % 5},
          {HostBuffer::of(ints), HostBuffer::of(random_floats(static_cast<std::size_t>(n), seed))});
  }
}

}  // namespace noyau::jit::testing

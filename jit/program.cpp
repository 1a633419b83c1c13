// What a Program's opcodes are called and take, and how Programs are compared and hashed.
// SPDX-License-Identifier: Apache-2.0
#include "jit/program.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace noyau::jit {

namespace {

struct OpcodeRow {
  std::string_view name;
  int operands;
  bool pure;
};

/// In the order of Opcode.
constexpr OpcodeRow rows[] = {
    {"constant", 0, true},    {"parameter", 0, true},     {"item", 0, true},
    {"block", 0, true},       {"thread", 0, true},        {"add", 2, true},
    {"subtract", 2, true},    {"multiply", 2, true},      {"divide", 2, true},
    {"remainder", 2, true},   {"negate", 1, true},        {"absolute", 1, true},
    {"minimum", 2, true},     {"maximum", 2, true},       {"fma", 3, true},
    {"sqrt", 1, true},        {"floor", 1, true},         {"ceil", 1, true},
    {"trunc", 1, true},       {"rint", 1, true},          {"bit_and", 2, true},
    {"bit_or", 2, true},      {"bit_xor", 2, true},       {"bit_not", 1, true},
    {"shift_left", 2, true},  {"shift_right", 2, true},   {"equal", 2, true},
    {"not_equal", 2, true},   {"less", 2, true},          {"less_equal", 2, true},
    {"greater", 2, true},     {"greater_equal", 2, true}, {"select", 3, true},
    {"convert", 1, true},     {"bitcast", 1, true},       {"load", 1, false},
    {"store", 2, false},      {"atomic", -1, false},      {"barrier", 0, false},
    {"fence", 0, false},      {"shuffle", 2, false},      {"vote", 1, false},
    {"fault", 2, false},      {"print", -1, false},       {"if", 1, false},
    {"else", 0, false},       {"result", 1, false},       {"loop", -1, false},
    {"loop_param", 0, false}, {"while", 1, false},        {"yield", -1, false},
    {"func", 0, false},       {"func_param", 0, false},   {"call", -1, false},
    {"return", -1, false},
};
static_assert(std::size(rows) == opcode_count);

constexpr std::string_view atomic_names[] = {"add",    "minimum", "maximum",  "bit_and",
                                             "bit_or", "bit_xor", "exchange", "compare_exchange",
                                             "load",   "store"};
constexpr std::string_view shuffle_names[] = {"index", "exclusive_or", "down", "up"};
constexpr std::string_view vote_names[] = {"any", "all"};
constexpr std::string_view order_names[] = {"relaxed", "acquire", "release", "acquire_release"};

template <class Enum, std::size_t n>
std::string_view name_in(const std::string_view (&names)[n], Enum value) {
  auto i = static_cast<std::size_t>(value);
  return i < n ? names[i] : "?";
}

const OpcodeRow& row(Opcode op) { return rows[static_cast<std::size_t>(op)]; }

/// Bytes laid end to end for the hash.
struct Bytes {
  std::vector<char> data;
  template <class T>
  void add(T value) {
    auto old = data.size();
    data.resize(old + sizeof(T));
    std::memcpy(data.data() + old, &value, sizeof(T));
  }
  void add_text(std::string_view text) {
    add(text.size());
    data.insert(data.end(), text.begin(), text.end());
  }
};

}  // namespace

std::string_view name(Opcode op) {
  return static_cast<int>(op) < opcode_count ? row(op).name : std::string_view("?");
}
std::string_view name(AtomicOp op) { return name_in(atomic_names, op); }
std::string_view name(ShuffleMode mode) { return name_in(shuffle_names, mode); }
std::string_view name(VoteMode mode) { return name_in(vote_names, mode); }
std::string_view name(MemoryOrder order) { return name_in(order_names, order); }

int operand_count_of(Opcode op) { return row(op).operands; }
bool is_pure(Opcode op) { return row(op).pure; }

Value Program::find_function(std::string_view function_name) const {
  for (Value v = 0; v < size() && (*this)[v].op == Opcode::func; v = (*this)[v].end) {
    if (function_names[static_cast<std::size_t>((*this)[v].immediate)] == function_name) return v;
  }
  return no_value;
}

Value Program::entry() const {
  Value v = 0;
  while (v < size() && (*this)[v].op == Opcode::func) v = (*this)[v].end;
  return v;
}

bool operator==(const Program& a, const Program& b) {
  auto same = [&](const Instruction& i, const Instruction& j) {
    return i.op == j.op && i.type == j.type && i.mode == j.mode && i.flags == j.flags &&
           i.end == j.end && i.immediate == j.immediate && i.place == j.place &&
           std::ranges::equal(a.operands_of(i), b.operands_of(j));
  };
  return a.name == b.name && a.domain == b.domain &&
         std::ranges::equal(a.block_size, b.block_size) && a.memory == b.memory &&
         a.parameters == b.parameters && a.formats == b.formats &&
         a.function_names == b.function_names &&
         std::ranges::equal(a.instructions, b.instructions, same);
}

bool is_straight(const Program& program) {
  return std::ranges::none_of(program.instructions, [](const Instruction& i) {
    return i.op >= Opcode::if_ || (i.op >= Opcode::atomic && i.op <= Opcode::vote);
  });
}

Hash128 hash(const Program& program) {
  Bytes bytes;
  bytes.data.reserve(program.instructions.size() * 32 + 256);
  bytes.add(program.domain);
  for (auto n : program.block_size) bytes.add(n);
  bytes.add(program.memory.size());
  for (const auto& m : program.memory) {
    bytes.add(m.kind);
    bytes.add(m.dtype);
    bytes.add(static_cast<std::uint8_t>(m.read | m.written << 1 | m.streamed << 2));
    bytes.add(m.elements);
    bytes.add(m.size_parameter);
  }
  bytes.add(program.parameters.size());
  for (const auto& p : program.parameters) bytes.add(p.dtype);
  bytes.add(program.formats.size());
  for (const auto& f : program.formats) bytes.add_text(f);
  for (const auto& i : program.instructions) {
    bytes.add(i.op);
    bytes.add(i.type);
    bytes.add(i.mode);
    bytes.add(i.flags);
    bytes.add(i.operand_count);
    for (Value v : program.operands_of(i)) bytes.add(v);
    bytes.add(i.end);
    bytes.add(i.immediate);
  }
  return hash_bytes(bytes.data.data(), bytes.data.size());
}

Hash128 hash_bytes(const void* data, std::size_t bytes) {
  const XXH128_hash_t h = XXH3_128bits(data, bytes);
  return {h.low64, h.high64};
}

}  // namespace noyau::jit

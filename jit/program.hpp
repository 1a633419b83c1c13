// Program: the structured SPMD form that every emitter and the interpreter read.
// SPDX-License-Identifier: Apache-2.0
//
// A Program is a flat array of typed instructions with integer operands. The value of an
// instruction is its index. A region is the range of instructions between its opening instruction
// and that instruction's `end`; inner regions lie inside it. A value is assigned once and visible
// from its instruction to the end of its region, with one exception: the parameters of a loop stay
// visible after it, and are there the values at exit.
//
//   if c            loop a, b          func T, U            The regions, each closed by its last
//   instruction:
//     ...             p = loop_param     x = func_param       if    then part, closed by yield
//     v...; `end` is its `else` yield v           ...              ...                  else  other
//     part, closed by yield w...; `end` is past it
//   else              while c            return v             loop  parameters, header, `while c`,
//   body, `yield next...`
//     ...             ...                                     func  parameters, body, `return v...`
//     yield w         yield a', b'
//   r = result %if, 0
//
// Every part is closed by its yield, with no operands where nothing is yielded; an `if` that yields
// nothing may lack its else. loop_param and func_param follow their opening at once, in order, and
// hold their number in `immediate`. `result` (of an if with values, or of a call) holds its number
// there and the if or call as its operand. Funcs come before the entry and are called by the index
// of their instruction (a call's `immediate`), so recursion cannot be written; a func sees no
// values but its own. An atomic holds its MemoryOrder in `flags`; an atomic load has no value
// operand and an atomic store makes no value.
//
// Every operation is total, and means the same on every backend:
//   integers wrap; x / 0 = 0 and x % 0 = 0; INT_MIN / -1 = INT_MIN and INT_MIN % -1 = 0 (division
//   truncates); a shift by n >= width gives 0, or the sign for a signed shr; a negative n counts as
//   >= width; float to integer truncates and saturates, NaN gives 0; to bool is x != 0; min and max
//   return NaN when an operand is NaN, and order -0 below +0; rint is half to even;
//   + - * / sqrt fma are IEEE 754, never contracted, denormals kept; x % y of floats is C's fmod;
//   absolute(INT_MIN) = INT_MIN; eq, lt ... are false on NaN, ne is true; which NaN is made is
//   open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "noyau/dtype.hpp"

namespace noyau::jit {

/// name, operand count (-1: any), what it makes
enum class Opcode : std::uint8_t {
  // leaves
  constant,   ///< immediate holds the bits
  parameter,  ///< the launch's scalar number `immediate`; uniform
  item,       ///< int64, my index in the domain on axis `immediate` (items programs)
  block,   ///< int64, my block's index on axis `immediate` (blocks programs); uniform in the block
  thread,  ///< int64, my index inside the block on axis `immediate` (blocks programs)
  // arithmetic, operands and result of one type
  add,
  subtract,
  multiply,
  divide,
  remainder,
  negate,
  absolute,
  minimum,
  maximum,
  fma,
  sqrt,
  floor,
  ceil,
  trunc,
  rint,
  bit_and,
  bit_or,
  bit_xor,
  bit_not,
  shift_left,
  shift_right,  ///< integers and bool (no shifts of bool)
  // to bool, operands of one type
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  select,   ///< (bool, T, T)
  convert,  ///< by value, as above
  bitcast,  ///< types of one size
  // memory: `immediate` is the number of the memory object
  load,    ///< (int64 offset in elements)
  store,   ///< (int64 offset, value)
  atomic,  ///< (offset, value[, expected]); `atomic_op`; the old value
  // between lanes of a block
  barrier,  ///< all threads of the block; block-uniform control flow only
  fence,    ///< orders memory for the whole device
  shuffle,  ///< (value, int64 lane or mask); `shuffle_mode`; within a gang of 32 threads (thread
            ///< index / 32)
  vote,     ///< (bool); `vote_mode`: any, all; of the gang, as shuffle
  fault,    ///< (bool condition, int64 detail); when true the plan's error word gets `immediate` as
            ///< its code
  print,    ///< (values...); `immediate` numbers a format string of the program
  // regions
  if_,
  else_,
  result,
  loop,
  loop_param,
  while_,
  yield,
  func,
  func_param,
  call,
  return_,
};
inline constexpr int opcode_count = static_cast<int>(Opcode::return_) + 1;
std::string_view name(Opcode op);
/// How many operands `op` takes, or -1 where that depends on the instruction.
int operand_count_of(Opcode op);
/// True for the instructions that compute a value from their operands alone: same operands (and
/// immediate, type), same bits. Leaves are pure too; loads are not.
bool is_pure(Opcode op);
/// True when the result and all operands have one type: add ... shift_right.
constexpr bool is_arithmetic(Opcode op) { return op >= Opcode::add && op <= Opcode::shift_right; }
constexpr bool is_comparison(Opcode op) {
  return op >= Opcode::equal && op <= Opcode::greater_equal;
}

enum class AtomicOp : std::uint8_t {
  add,
  minimum,
  maximum,
  bit_and,
  bit_or,
  bit_xor,
  exchange,
  compare_exchange,
  load,
  store
};
enum class ShuffleMode : std::uint8_t {
  index,
  exclusive_or,
  down,
  up
};  ///< out of the gang: the lane's own value
enum class VoteMode : std::uint8_t { any, all };
enum class MemoryOrder : std::uint8_t { relaxed, acquire, release, acquire_release };
std::string_view name(AtomicOp op);
std::string_view name(ShuffleMode mode);
std::string_view name(VoteMode mode);
std::string_view name(MemoryOrder order);

using Value = std::int32_t;  ///< the index of the instruction that makes it
inline constexpr Value no_value = -1;

/// One instruction: 32 bytes.
struct Instruction {
  Opcode op = Opcode::constant;
  DType type = bool_;  ///< of its value; of the stored value for store; ignored where there is none
  std::uint8_t mode = 0;      ///< AtomicOp, ShuffleMode or VoteMode
  std::uint8_t flags = 0;     ///< MemoryOrder of an atomic
  std::int32_t operands = 0;  ///< the first of its operands in Program::operands
  std::int32_t operand_count = 0;
  std::int32_t end =
      0;  ///< regions: one past the last instruction (for if_: its else_, or one past the end)
  std::int64_t immediate =
      0;  ///< constant bits, axis, parameter, memory object, result number, callee, fault code
  std::int32_t place = 0;  ///< byte offset in the user's text, for messages; 0 when there is none
};
static_assert(sizeof(Instruction) == 32);
/// In the flags of a loop, for compilers: its rounds do not depend on one another's memory; copy
/// all its rounds; copy some; copy none. No part of a Program's text.
inline constexpr std::uint8_t independent_loop = 1, unrolled_loop = 3, partly_unrolled_loop = 4,
                              rolled_loop = 5;
/// The flags of loads and stores: 0, or how many of them, one right after the other, access
/// elements side by side of a buffer, the first of them a multiple of that number, at a multiple of
/// their bytes. Emitters may make one access of them. No part of a Program's text either.

/// A typed region of memory that loads, stores and atomics name by number.
struct MemoryObject {
  enum class Kind : std::uint8_t {
    buffer,   ///< an argument; buffers are numbered in this order at launch
    shared,   ///< one per block
    private_  ///< one per thread
  };
  Kind kind = Kind::buffer;
  DType dtype = float32;
  bool read = true, written = false;  ///< of buffers
  bool streamed = false;      ///< stores bypass the cache: written once, aligned, not read soon
  std::int64_t elements = 0;  ///< of shared and private objects, when size_parameter < 0
  std::int32_t size_parameter = -1;  ///< the parameter that holds the number of elements
  std::string name;
  bool operator==(const MemoryObject&) const = default;
};

struct Parameter {
  DType dtype = int64;
  std::string name;
  bool operator==(const Parameter&) const = default;
};

/// How a launch spreads a Program.
enum class Domain : std::uint8_t {
  items,  ///< exactly extent[0] * extent[1] * extent[2] independent items (axis 0 fastest): no
          ///< shared memory, barriers, shuffles
  blocks  ///< extent[] blocks of block_size[] threads each (axis 0 fastest)
};

struct Program {
  std::string name = "kernel";  ///< tells the operations in it
  Domain domain = Domain::items;
  std::int32_t block_size[3] = {1, 1,
                                1};  ///< of blocks programs: part of the program and of its key
  std::vector<MemoryObject> memory;
  std::vector<Parameter> parameters;
  std::vector<std::string> formats;       ///< of print
  std::vector<Instruction> instructions;  ///< funcs first, then the entry
  std::vector<Value> operands;

  std::span<const Value> operands_of(const Instruction& i) const {
    return {operands.data() + i.operands, static_cast<std::size_t>(i.operand_count)};
  }
  const Instruction& operator[](Value v) const { return instructions[static_cast<std::size_t>(v)]; }
  Value size() const { return static_cast<Value>(instructions.size()); }
  /// The func of that name, or no_value. Function names live in `function_names`, numbered by
  /// Instruction::immediate.
  Value find_function(std::string_view function_name) const;
  /// The first instruction of the entry: past the last func.
  Value entry() const;
  std::vector<std::string> function_names;
};

/// Builds a Program instruction by instruction. Used by the lowering of kernels, by the parser of
/// kernel strings and by hand. Methods return the new value; types are checked by verify, and
/// arithmetic asserts that operand types agree.
class KernelBuilder {
 public:
  explicit KernelBuilder(std::string name, Domain domain = Domain::items);

  int buffer(DType type, bool read, bool written, std::string name = {});
  int shared(DType type, std::int64_t elements, std::string name = {});
  int shared_sized_by(DType type, int size_parameter, std::string name = {});
  int private_array(DType type, std::int64_t elements, std::string name = {});
  int new_parameter(DType type, std::string name = {});  ///< the parameter's number

  Value constant(Scalar value);
  Value constant_i64(std::int64_t value);
  template <class T>
  Value constant_of(T value) {
    return constant(Scalar::of(value));
  }
  Value parameter(int number);
  Value item(int axis);
  Value block(int axis);
  Value thread(int axis);
  Value unary(Opcode op, Value a);
  Value binary(Opcode op, Value a, Value b);
  Value ternary(Opcode op, Value a, Value b, Value c);  ///< fma
  Value compare(Opcode op, Value a, Value b);
  Value select(Value condition, Value a, Value b);
  Value convert(Value a, DType type);
  Value bitcast(Value a, DType type);
  Value load(int memory, Value offset);
  void store(int memory, Value offset, Value value);
  /// `value` is no_value for a load, `expected` belongs to compare_exchange.
  Value atomic(AtomicOp op, int memory, Value offset, Value value, Value expected = no_value,
               MemoryOrder order = MemoryOrder::relaxed);
  void barrier();
  void fence();
  Value shuffle(ShuffleMode mode, Value value, Value lane);
  Value vote(VoteMode mode, Value condition);
  void fault(Value condition, std::int64_t code, Value detail);
  int format(std::string text);  ///< the number of a new format string, for print
  void print(int format, std::span<const Value> values);

  /// if: begin_if(c); ... [begin_else(then_values); ...] end_if(values) -> one result for each
  /// value. An if without else has no values.
  void begin_if(Value condition);
  void begin_else(std::span<const Value> then_values = {});
  std::vector<Value> end_if(std::span<const Value> values = {});

  /// loop: p = begin_loop(initial values); header; loop_while(c); body; end_loop(next values). p[k]
  /// after it is the exit value.
  std::vector<Value> begin_loop(std::span<const Value> initial);
  void loop_while(Value condition);
  void end_loop(std::span<const Value> next);

  /// func: parameters = begin_function(name, types); body; end_function(results) -> the func's
  /// value.
  std::vector<Value> begin_function(std::string name, std::span<const DType> parameters);
  Value end_function(std::span<const Value> results);
  std::vector<Value> call(Value function, std::span<const Value> arguments);

  /// Copies the body of `function` of `source` here, with what it calls, and returns its results.
  /// Loads, stores, parameters and prints are allowed only when `source` is the program being
  /// built: their numbers mean nothing in another. Copies take the current place.
  std::vector<Value> inline_function(const Program& source, Value function,
                                     std::span<const Value> arguments);

  DType type(Value v) const;
  void set_place(std::int32_t byte_offset) { place_ = byte_offset; }
  Program& program() { return program_; }
  /// The finished program; verified in debug builds.
  Program finish();

 private:
  struct Inlining;
  Value emit(Opcode op, DType type, std::span<const Value> operands, std::int64_t immediate = 0,
             std::uint8_t mode = 0, std::uint8_t flags = 0);
  Value emit(Opcode op, DType type, std::initializer_list<Value> operands,
             std::int64_t immediate = 0, std::uint8_t mode = 0, std::uint8_t flags = 0);
  void check_type(Opcode op, Value v, DType expected) const;
  const MemoryObject& memory_object(Opcode op, int number) const;
  int add_memory(MemoryObject object);
  void close(Value region) { program_.instructions[static_cast<std::size_t>(region)].end = size(); }
  Value size() const { return program_.size(); }
  void copy_instruction(const Program& source, Inlining& frame, Value from);
  struct Open {  ///< an unfinished region
    Opcode op;   ///< if_, loop or func
    Value instruction;
    Value otherwise = no_value;  ///< the else_ of an if
    bool tested = false;         ///< a loop that has its while
    std::vector<DType> types{};  ///< of the values that its yields must give
  };
  Open& innermost(Opcode op, const char* called);
  Program program_;
  std::vector<Open> open_;
  std::int32_t place_ = 0;
};

/// The text form; parse(print(p)) == p.
std::string print(const Program& program);
Program parse_program(std::string_view text);  ///< CompileError with line and column
/// One instruction as the text form shows it, for messages: "%7: float32 = add %5, %6".
std::string print_instruction(const Program& program, Value instruction);
/// Equal instruction by instruction, operands by value (not where they are stored), names included.
bool operator==(const Program& a, const Program& b);

/// Checks what every pass must keep: operands defined and in scope, types, regions closed.
/// InternalError says which instruction and why.
void verify(const Program& program);

/// True when no instruction is a region, a call, an atomic, a shuffle, a vote, a fence or a
/// barrier: straight-line code.
bool is_straight(const Program& program);

/// A 128-bit hash of everything that decides the generated code: not of names, nor of places.
struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};
Hash128 hash(const Program& program);
/// XXH3-128 of bytes: what keys and checksums are made of.
Hash128 hash_bytes(const void* data, std::size_t bytes);

}  // namespace noyau::jit

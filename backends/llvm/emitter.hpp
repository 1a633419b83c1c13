// The emitter's state and its parts, one file each: the frame, arithmetic, memory, regions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <memory>
#include <utility>
#include <vector>

#include "backends/llvm/emit_ir.hpp"

namespace noyau::llvm_backend {

/// A value while it is emitted.
struct LaneValue {
  llvm::Value* scalar = nullptr;  ///< of a uniform value; an affine value's origin
  llvm::Value* stride = nullptr;  ///< of an affine value
  llvm::Value* vector = nullptr;  ///< of a varying value; of others when some user wants it
};

/// Of the function that a kernel becomes.
enum Argument : unsigned { memory_table, parameters, begin_unit, end_unit, extents, error_word };

class Emitter {
 public:
  Emitter(const jit::Program& program, const LaneAnalysis& lanes, int gangs_at_once,
          llvm::LLVMContext& context);
  std::unique_ptr<llvm::Module> emit();

 private:
  using Operands = llvm::ArrayRef<llvm::Value*>;

  /// An open if, else or loop.
  struct Region {
    jit::Value opening = jit::no_value;
    jit::Opcode op = jit::Opcode::if_;
    bool divergent = false;
    bool flat = false;  ///< of the part that is open
    llvm::Value* outer_mask = nullptr;
    llvm::Value* condition = nullptr;       ///< of an if: i1, or a vector when divergent
    llvm::BasicBlock* before = nullptr;     ///< the block that branches into this part
    llvm::BasicBlock* header = nullptr;     ///< of a loop
    llvm::BasicBlock* after = nullptr;      ///< where this part's end goes
    llvm::PHINode* mask = nullptr;          ///< of a divergent loop
    std::vector<llvm::Value*> then_values;  ///< of the if, when this is its else
    std::vector<bool> scalars;              ///< which of them are scalars
    std::vector<llvm::PHINode*> phis;       ///< of a loop's parameters
  };

  // The frame: emit_ir.cpp
  void declare();
  void emit_items();
  void emit_items_in_tiles();
  void emit_blocks();
  void finish_function();
  void emit_gangs_of_block(llvm::Value* block_number);
  void emit_level(Level level);
  void emit_body(llvm::Value* mask);
  void emit_in_body(jit::Value v);
  void emit_interleaved_bodies(llvm::Value* gang);
  void emit_instruction(jit::Value v);
  void emit_leaf(jit::Value v);
  void emit_thread(jit::Value v);
  llvm::Value* stores_are_aligned();
  bool is_streamed_store(jit::Value v) const;
  void check_supported() const;

  // Arithmetic: emit_arithmetic.cpp
  void emit_pure(jit::Value v);
  void emit_affine(jit::Value v);
  llvm::Value* compute(const jit::Instruction& i, DType operand_type, Operands x);
  llvm::Value* compute_float(const jit::Instruction& i, Operands x);
  llvm::Value* compute_integer(const jit::Instruction& i, Operands x);
  llvm::Value* compare(jit::Opcode op, DType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* float_extremum(bool maximum, llvm::Value* a, llvm::Value* b);
  llvm::Value* divide(DType type, bool remainder, llvm::Value* a, llvm::Value* b);
  llvm::Value* narrow_quotient(DType type, llvm::Value* a, llvm::Value* divisor);
  llvm::Value* wide_quotient(llvm::Value* a, llvm::Value* divisor);
  llvm::Value* shift(DType type, bool left, llvm::Value* a, llvm::Value* n);
  llvm::Value* convert(llvm::Value* x, DType from, DType to);
  llvm::Value* float_to_integer(llvm::Value* x, DType from, DType to);
  llvm::Value* call_helper(const char* name, llvm::Value* a, llvm::Value* b);

  // Memory and lanes: emit_memory.cpp
  void emit_base_pointer(jit::Value v);
  llvm::Value* pointer_of(jit::Value v, const jit::Instruction& i);
  llvm::Value* lane_offsets(const jit::Instruction& i);
  void fetch_tile(jit::Value v, llvm::Value* lanes, llvm::Value* rows);
  llvm::Value* tile_row_pointer(jit::Value v);
  void emit_load(jit::Value v);
  llvm::Value* gather(const jit::Instruction& i);
  void emit_store(jit::Value v);
  void stream(llvm::Value* x, llvm::Value* pointer, DType type);
  void store_whole(llvm::Value* x, llvm::Value* pointer, DType type, bool streamed);
  void scatter(const jit::Instruction& i, llvm::Value* value);
  void emit_atomic(jit::Value v);
  llvm::Value* atomic_access(const jit::Instruction& i, llvm::Value* pointer, Operands values);
  llvm::Value* exchange_loop(const jit::Instruction& i, llvm::Value* pointer, llvm::Value* value);
  void emit_shuffle(jit::Value v);
  void emit_vote(jit::Value v);
  void emit_fault(jit::Value v);
  llvm::Value* to_memory(llvm::Value* x, DType type);
  llvm::Value* from_memory(llvm::Value* x, DType type);

  // Regions: emit_regions.cpp
  void begin_if(jit::Value v);
  void begin_else(jit::Value v);
  void begin_loop(jit::Value v);
  void loop_while(jit::Value v);
  void close_part(jit::Value v);
  void close_then(Region region, jit::Value v);
  void close_else(Region region, jit::Value v);
  void close_loop(Region region, jit::Value v);
  void bind_loop_parameter(jit::Value v);

  // Values
  const LaneInfo& info(jit::Value v) const { return lanes_.values[static_cast<std::size_t>(v)]; }
  LaneValue& value(jit::Value v) { return values_[static_cast<std::size_t>(v)]; }
  jit::Value operand(const jit::Instruction& i, int k) const {
    return p_.operands_of(i)[static_cast<std::size_t>(k)];
  }
  const jit::MemoryObject& object(const jit::Instruction& i) const {
    return p_.memory[static_cast<std::size_t>(i.immediate)];
  }
  bool is_private(const jit::Instruction& i) const {
    return object(i).kind == jit::MemoryObject::Kind::private_;
  }
  llvm::Value* scalar(jit::Value v) { return value(v).scalar; }
  llvm::Value* vector(jit::Value v);
  llvm::Value* splat(llvm::Value* x) { return b_.CreateVectorSplat(gang_lanes, x); }
  void set(jit::Value v, llvm::Value* x);
  void want_vector(jit::Value v);

  // Types and masks
  llvm::Type* scalar_type(DType type);
  llvm::Type* memory_type(DType type);
  llvm::Type* wide(llvm::Type* type) { return llvm::FixedVectorType::get(type, gang_lanes); }
  llvm::Type* like(llvm::Value* shape, llvm::Type* type);
  llvm::Value* lane_numbers(llvm::Type* integer);
  llvm::Value* full_mask() { return llvm::Constant::getAllOnesValue(wide(b_.getInt1Ty())); }
  llvm::Value* mask_or_full() { return mask_ == nullptr ? full_mask() : mask_; }
  llvm::Value* narrow_mask(llvm::Value* condition);
  llvm::Value* mask_bits(llvm::Value* mask) { return b_.CreateBitCast(mask, b_.getInt32Ty()); }
  llvm::Value* any(llvm::Value* mask) { return b_.CreateICmpNE(mask_bits(mask), b_.getInt32(0)); }
  llvm::Value* first_lanes(llvm::Value* count);
  llvm::BasicBlock* new_block(const char* name);
  llvm::Value* entry_slot(llvm::Type* type);

  const jit::Program& p_;
  const LaneAnalysis& lanes_;
  const int gangs_at_once_;
  llvm::LLVMContext& context_;
  std::unique_ptr<llvm::Module> module_;
  llvm::Function* function_ = nullptr;
  llvm::IRBuilder<> b_;
  std::vector<LaneValue> values_;
  std::vector<llvm::Value*> base_pointers_;  ///< of loads and stores, made at their offset's level
  std::vector<llvm::Value*> memory_;
  std::vector<std::vector<LaneValue>> results_;  ///< of closed ifs, by opening
  std::vector<Region> regions_;
  llvm::Value* extent_[3] = {nullptr, nullptr, nullptr};
  llvm::Value* row_item_[3] = {nullptr, nullptr, nullptr};  ///< items: my row's indices 1, 2
  llvm::Value* block_[3] = {nullptr, nullptr, nullptr};
  std::vector<llvm::Value*> tiles_;    ///< [tile_rows][lanes], by load where it is transposed
  llvm::Value* tile_row_ = nullptr;    ///< my row in them
  llvm::Value* gang_ = nullptr;        ///< number of the gang in its block; nullptr: 0
  llvm::Value* gang_x_ = nullptr;      ///< lane 0's index on axis 0; nullptr: 0
  llvm::Value* lane_limit_ = nullptr;  ///< blocks: how many lanes are threads
  llvm::Value* mask_ = nullptr;        ///< which lanes are active; nullptr: all
  bool two_bodies_ = false;            ///< items: an unmasked body and a masked one
  bool streaming_ = false;             ///< in the unmasked body with aligned stores
  bool any_streamed_ = false;          ///< a fence must follow
};

}  // namespace noyau::llvm_backend

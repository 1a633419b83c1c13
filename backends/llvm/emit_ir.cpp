// The frame of a kernel: loops over rows, blocks and gangs, and what is computed at each level.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/emit_ir.hpp"

#include <fmt/format.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include "backends/llvm/emitter.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {

using jit::Domain;
using jit::Instruction;
using jit::MemoryObject;
using jit::Opcode;
using jit::Value;

namespace {

bool is_access(Opcode op) { return op == Opcode::load || op == Opcode::store; }

}  // namespace

Emitter::Emitter(const jit::Program& program, const LaneAnalysis& lanes, int gangs_at_once,
                 llvm::LLVMContext& context)
    : p_(program),
      lanes_(lanes),
      gangs_at_once_(gangs_at_once),
      context_(context),
      module_(std::make_unique<llvm::Module>(program.name, context)),
      b_(context),
      values_(program.instructions.size()),
      base_pointers_(program.instructions.size()),
      results_(program.instructions.size()),
      tiles_(program.instructions.size()) {}

std::unique_ptr<llvm::Module> Emitter::emit() {
  check_supported();
  declare();
  if (p_.domain == Domain::items && !lanes_.transposed_loads.empty()) emit_items_in_tiles();
  else if (p_.domain == Domain::items) emit_items();
  else emit_blocks();
  return std::move(module_);
}

void Emitter::check_supported() const {
  for (const Instruction& i : p_.instructions) {
    const bool needs_block = i.op == Opcode::barrier;
    if (needs_block && !lanes_.one_gang) {
      throw NotImplemented(fmt::format(
          "compile: kernel '{}' has a barrier in blocks of {} x {} x {} threads; the CPU runs "
          "barriers in blocks of at most {} threads on axis 0 so far",
          p_.name, p_.block_size[0], p_.block_size[1], p_.block_size[2], gang_lanes));
    }
    if (i.op == Opcode::print) {
      throw NotImplemented(
          fmt::format("compile: kernel '{}' prints, which the CPU cannot do yet", p_.name));
    }
  }
  for (const MemoryObject& m : p_.memory) {
    if (m.kind == MemoryObject::Kind::shared && !lanes_.one_gang) {
      throw NotImplemented(fmt::format(
          "compile: kernel '{}' has a shared array in blocks of more than {} threads, which the "
          "CPU cannot run yet",
          p_.name, gang_lanes));
    }
  }
}

void Emitter::declare() {
  llvm::Type* pointer = b_.getPtrTy();
  llvm::Type* integer = b_.getInt64Ty();
  auto* type = llvm::FunctionType::get(
      b_.getVoidTy(), {pointer, pointer, integer, integer, pointer, pointer}, false);
  function_ =
      llvm::Function::Create(type, llvm::Function::ExternalLinkage, kernel_symbol, module_.get());
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  // Vectors of 512 bits are what we wrote, and what we want.
  function_->addFnAttr("min-legal-vector-width", "512");
  function_->addFnAttr("prefer-vector-width", "512");
  b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function_));
  for (unsigned k = 0; k < p_.memory.size(); ++k) {
    llvm::Value* slot = b_.CreateConstGEP1_32(pointer, function_->getArg(memory_table), k);
    memory_.push_back(b_.CreateLoad(pointer, slot));
  }
  for (unsigned axis = 0; axis < 3; ++axis) {
    llvm::Value* slot = b_.CreateConstGEP1_32(integer, function_->getArg(extents), axis);
    extent_[axis] = b_.CreateLoad(integer, slot);
  }
}

// ---- levels

/// Emits what belongs to the launch or to a row, in the program's order.
void Emitter::emit_level(Level level) {
  for (Value v = 0; v < p_.size(); ++v) {
    const Instruction& i = p_[v];
    if (is_access(i.op)) {
      const LaneInfo& offset = info(operand(i, 0));
      const bool here = offset.spread != Spread::varying && offset.level == level;
      if (here && !is_private(i)) emit_base_pointer(v);
      if (i.op == Opcode::store) continue;
    }
    if (info(v).spread != Spread::varying && info(v).level == level) emit_instruction(v);
  }
}

/// Emits the gang level once, under `mask` (nullptr: all lanes).
void Emitter::emit_body(llvm::Value* mask) {
  mask_ = mask;
  for (Value v = 0; v < p_.size(); ++v) emit_in_body(v);
  mask_ = nullptr;
}

void Emitter::emit_in_body(Value v) {
  const LaneInfo& lanes = info(v);
  if (lanes.level == Level::gang) {
    emit_instruction(v);
  } else if (lanes.spread == Spread::affine && lanes.wants_vector) {
    value(v).vector = nullptr;
    value(v).vector = vector(v);
  }
}

/// The unmasked body of straight code for several gangs from `gang` on, one instruction of each in
/// turn: a long chain of operations leaves a processor waiting that has no others to run between.
void Emitter::emit_interleaved_bodies(llvm::Value* gang) {
  std::vector<std::vector<LaneValue>> values(static_cast<std::size_t>(gangs_at_once_), values_);
  std::vector<llvm::Value*> first_lane;
  for (int k = 0; k < gangs_at_once_; ++k) {
    llvm::Value* mine = b_.CreateAdd(gang, b_.getInt64(static_cast<std::uint64_t>(k)));
    first_lane.push_back(b_.CreateMul(mine, b_.getInt64(gang_lanes)));
  }
  for (Value v = 0; v < p_.size(); ++v) {
    for (std::size_t k = 0; k < values.size(); ++k) {
      gang_x_ = first_lane[k];
      values_.swap(values[k]);
      emit_in_body(v);
      values_.swap(values[k]);
    }
  }
}

void Emitter::emit_instruction(Value v) {
  const Instruction& i = p_[v];
  switch (i.op) {
    case Opcode::constant:
    case Opcode::parameter:
    case Opcode::item:
    case Opcode::block:
      emit_leaf(v);
      break;
    case Opcode::thread:
      emit_thread(v);
      break;
    case Opcode::load:
      emit_load(v);
      break;
    case Opcode::store:
      emit_store(v);
      break;
    case Opcode::atomic:
      emit_atomic(v);
      break;
    case Opcode::barrier:
      break;  // a block of one gang is always together
    case Opcode::fence:
      b_.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
      break;
    case Opcode::shuffle:
      emit_shuffle(v);
      break;
    case Opcode::vote:
      emit_vote(v);
      break;
    case Opcode::fault:
      emit_fault(v);
      break;
    case Opcode::if_:
      begin_if(v);
      break;
    case Opcode::else_:
      begin_else(v);
      break;
    case Opcode::result: {
      const std::vector<LaneValue>& of = results_[static_cast<std::size_t>(operand(i, 0))];
      value(v) = of[static_cast<std::size_t>(i.immediate)];
      want_vector(v);
      break;
    }
    case Opcode::loop:
      begin_loop(v);
      break;
    case Opcode::loop_param:
      bind_loop_parameter(v);
      break;
    case Opcode::while_:
      loop_while(v);
      break;
    case Opcode::yield:
      close_part(v);
      break;
    default:
      if (!jit::is_pure(i.op)) {
        throw InternalError(fmt::format("llvm: {} reached the emitter", jit::name(i.op)));
      }
      emit_pure(v);
  }
}

void Emitter::emit_leaf(Value v) {
  const Instruction& i = p_[v];
  const auto axis = static_cast<std::size_t>(i.immediate);
  switch (i.op) {
    case Opcode::constant: {
      llvm::Type* type = scalar_type(i.type);
      const auto bits = static_cast<std::uint64_t>(i.immediate);
      llvm::Constant* x = nullptr;
      if (is_floating(i.type)) {
        llvm::Type* raw = b_.getIntNTy(static_cast<unsigned>(8 * size_of(i.type)));
        x = llvm::ConstantFP::get(
            type,
            llvm::APFloat(
                type->getFltSemantics(),
                llvm::cast<llvm::ConstantInt>(llvm::ConstantInt::get(raw, bits))->getValue()));
      } else {
        x = llvm::ConstantInt::get(type, bits);
      }
      value(v) = {.scalar = x, .vector = splat(x)};
      return;
    }
    case Opcode::parameter: {
      llvm::Value* slot = b_.CreateConstGEP1_32(b_.getInt64Ty(), function_->getArg(parameters),
                                                static_cast<unsigned>(i.immediate));
      set(v, from_memory(b_.CreateLoad(memory_type(i.type), slot), i.type));
      return;
    }
    case Opcode::item:
      if (axis == 0) value(v) = {.scalar = b_.getInt64(0), .stride = b_.getInt64(1)};
      else set(v, row_item_[axis]);
      return;
    default:
      set(v, block_[axis]);
  }
}

/// thread(axis): lanes run along the block's linear thread index.
void Emitter::emit_thread(Value v) {
  const Instruction& i = p_[v];
  const std::int32_t* size = p_.block_size;
  const auto axis = static_cast<int>(i.immediate);
  if (size[axis] == 1) {
    set(v, b_.getInt64(0));
  } else if (lanes_.rows_of_gangs && axis == 0) {
    value(v) = {.scalar = b_.getInt64(0), .stride = b_.getInt64(1)};
  } else if (lanes_.rows_of_gangs) {  // the same for all lanes of the gang
    llvm::Value* row =
        b_.CreateUDiv(gang_, b_.getInt64(static_cast<std::uint64_t>(size[0] / gang_lanes)));
    const auto y = b_.getInt64(static_cast<std::uint64_t>(size[1]));
    set(v, axis == 1 ? b_.CreateURem(row, y) : b_.CreateUDiv(row, y));
  } else {
    llvm::Type* integer = b_.getInt32Ty();
    llvm::Value* first = b_.CreateMul(b_.CreateTrunc(gang_, integer), b_.getInt32(gang_lanes));
    llvm::Value* t = b_.CreateAdd(splat(first), lane_numbers(integer));
    for (int k = 0; k < axis; ++k) {
      t = b_.CreateUDiv(t, splat(b_.getInt32(static_cast<std::uint32_t>(size[k]))));
    }
    t = b_.CreateURem(t, splat(b_.getInt32(static_cast<std::uint32_t>(size[axis]))));
    set(v, b_.CreateZExt(t, wide(b_.getInt64Ty())));
  }
}

/// Whoever reads next must see what bypassed the caches.
void Emitter::finish_function() {
  if (any_streamed_) b_.CreateIntrinsic(b_.getVoidTy(), llvm::Intrinsic::x86_sse_sfence, {});
  b_.CreateRetVoid();
}

// ---- blocks

void Emitter::emit_blocks() {
  llvm::Type* i64 = b_.getInt64Ty();
  llvm::BasicBlock* loop = new_block("block");
  llvm::BasicBlock* leave = new_block("leave");
  emit_level(Level::launch);
  llvm::BasicBlock* entry = b_.GetInsertBlock();
  b_.CreateBr(loop);

  b_.SetInsertPoint(loop);
  llvm::PHINode* number = b_.CreatePHI(i64, 2, "number");
  number->addIncoming(function_->getArg(begin_unit), entry);
  emit_gangs_of_block(number);
  llvm::Value* next = b_.CreateAdd(number, b_.getInt64(1));
  number->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpULT(next, function_->getArg(end_unit)), loop, leave);

  b_.SetInsertPoint(leave);
  finish_function();
}

void Emitter::emit_gangs_of_block(llvm::Value* number) {
  if (lanes_.uses_block[0]) block_[0] = b_.CreateURem(number, extent_[0]);
  if (lanes_.uses_block[1] || lanes_.uses_block[2]) {
    llvm::Value* rest = b_.CreateUDiv(number, extent_[0]);
    block_[1] = b_.CreateURem(rest, extent_[1]);
    block_[2] = b_.CreateUDiv(rest, extent_[1]);
  }
  emit_level(Level::row);
  const std::int64_t threads = std::int64_t{p_.block_size[0]} * p_.block_size[1] * p_.block_size[2];
  if (lanes_.one_gang) {
    lane_limit_ = b_.getInt64(static_cast<std::uint64_t>(threads));
    emit_body(threads == gang_lanes ? nullptr : first_lanes(lane_limit_));
    return;
  }
  llvm::Type* i64 = b_.getInt64Ty();
  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::BasicBlock* loop = new_block("gang");
  llvm::BasicBlock* after = new_block("gangs.end");
  b_.CreateBr(loop);
  b_.SetInsertPoint(loop);
  llvm::PHINode* gang = b_.CreatePHI(i64, 2, "gang");
  gang->addIncoming(b_.getInt64(0), before);
  gang_ = gang;
  llvm::Value* first = b_.CreateMul(gang, b_.getInt64(gang_lanes));
  gang_x_ = b_.CreateURem(first, b_.getInt64(static_cast<std::uint64_t>(p_.block_size[0])));
  const bool whole = threads % gang_lanes == 0;
  llvm::Value* rest = b_.CreateSub(b_.getInt64(static_cast<std::uint64_t>(threads)), first);
  lane_limit_ =
      whole ? b_.getInt64(gang_lanes)
            : b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, rest, b_.getInt64(gang_lanes));
  emit_body(whole ? nullptr : first_lanes(lane_limit_));
  llvm::Value* next = b_.CreateAdd(gang, b_.getInt64(1));
  gang->addIncoming(next, b_.GetInsertBlock());
  const auto gangs = static_cast<std::uint64_t>((threads + gang_lanes - 1) / gang_lanes);
  b_.CreateCondBr(b_.CreateICmpULT(next, b_.getInt64(gangs)), loop, after);
  b_.SetInsertPoint(after);
}

// ---- values, types, masks

void Emitter::set(Value v, llvm::Value* x) {
  value(v) = {};
  if (info(v).spread == Spread::varying) {
    value(v).vector = x;
  } else {
    value(v).scalar = x;
    want_vector(v);
  }
}

void Emitter::want_vector(Value v) {
  if (info(v).wants_vector && value(v).vector == nullptr) value(v).vector = vector(v);
}

/// The value as a vector; made here when nobody wanted it before.
llvm::Value* Emitter::vector(Value v) {
  const LaneValue& x = value(v);
  if (x.vector != nullptr) return x.vector;
  if (x.stride == nullptr) return splat(x.scalar);
  llvm::Value* first = x.scalar;
  if (gang_x_ != nullptr) first = b_.CreateAdd(first, b_.CreateMul(gang_x_, x.stride));
  llvm::Value* steps = b_.CreateMul(lane_numbers(b_.getInt64Ty()), splat(x.stride));
  return b_.CreateAdd(splat(first), steps);
}

llvm::Type* Emitter::scalar_type(DType type) {
  if (type == bool_) return b_.getInt1Ty();
  return memory_type(type);
}
llvm::Type* Emitter::memory_type(DType type) {
  if (type == float32) return b_.getFloatTy();
  if (type == float64) return b_.getDoubleTy();
  if (type == float16) return b_.getHalfTy();
  return b_.getIntNTy(static_cast<unsigned>(8 * size_of(type)));
}

/// `type`, or the vector of it when `shape` is a vector.
llvm::Type* Emitter::like(llvm::Value* shape, llvm::Type* type) {
  return shape->getType()->isVectorTy() ? wide(type) : type;
}

llvm::Value* Emitter::lane_numbers(llvm::Type* integer) {
  llvm::SmallVector<llvm::Constant*, gang_lanes> numbers;
  for (unsigned k = 0; k < gang_lanes; ++k) {
    numbers.push_back(llvm::ConstantInt::get(integer, k));
  }
  return llvm::ConstantVector::get(numbers);
}

/// A mask of the first `count` (at least 1) lanes.
llvm::Value* Emitter::first_lanes(llvm::Value* count) {
  llvm::Value* lanes = b_.getInt64(gang_lanes);
  llvm::Value* n = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, count, lanes);
  llvm::Value* off = b_.CreateTrunc(b_.CreateSub(lanes, n), b_.getInt32Ty());
  return b_.CreateBitCast(b_.CreateLShr(b_.getInt32(~0u), off), wide(b_.getInt1Ty()));
}

llvm::Value* Emitter::narrow_mask(llvm::Value* condition) {
  return mask_ == nullptr ? condition : b_.CreateAnd(mask_, condition);
}

llvm::BasicBlock* Emitter::new_block(const char* name) {
  return llvm::BasicBlock::Create(context_, name, function_);
}

/// A stack slot that lives as long as the call.
llvm::Value* Emitter::entry_slot(llvm::Type* type) {
  llvm::BasicBlock& entry = function_->getEntryBlock();
  llvm::IRBuilder<> at(&entry, entry.begin());
  llvm::AllocaInst* slot = at.CreateAlloca(type);
  slot->setAlignment(llvm::Align(64));
  return slot;
}

std::unique_ptr<llvm::Module> emit_ir(const jit::Program& program, const LaneAnalysis& lanes,
                                      int gangs_at_once, llvm::LLVMContext& context) {
  std::unique_ptr<llvm::Module> module = Emitter(program, lanes, gangs_at_once, context).emit();
#ifndef NDEBUG
  std::string words;
  llvm::raw_string_ostream out(words);
  if (llvm::verifyModule(*module, &out)) {
    module->print(out, nullptr);
    throw InternalError(fmt::format("llvm: kernel '{}' became bad IR: {}", program.name, words));
  }
#endif
  return module;
}

}  // namespace noyau::llvm_backend

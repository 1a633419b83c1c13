// Memory and what passes between lanes: loads, stores, atomics, shuffles, votes, faults.
// SPDX-License-Identifier: Apache-2.0
#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/Metadata.h>

#include <algorithm>
#include <string>

#include "backends/llvm/emitter.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {

using jit::AtomicOp;
using jit::Instruction;
using jit::MemoryOrder;
using jit::Opcode;
using jit::ShuffleMode;
using jit::Value;
using llvm::AtomicOrdering;

namespace {

llvm::Align alignment_of(DType type) { return llvm::Align(size_of(type)); }

AtomicOrdering ordering(const Instruction& i) {
  switch (static_cast<MemoryOrder>(i.flags)) {
    case MemoryOrder::acquire:
      return AtomicOrdering::Acquire;
    case MemoryOrder::release:
      return AtomicOrdering::Release;
    case MemoryOrder::acquire_release:
      return AtomicOrdering::AcquireRelease;
    default:
      return AtomicOrdering::Monotonic;
  }
}

}  // namespace

// A bool is a byte in memory and a bit in registers.
llvm::Value* Emitter::to_memory(llvm::Value* x, DType type) {
  return type == bool_ ? b_.CreateZExt(x, like(x, b_.getInt8Ty())) : x;
}
llvm::Value* Emitter::from_memory(llvm::Value* x, DType type) {
  if (type != bool_) return x;
  return b_.CreateICmpNE(x, llvm::Constant::getNullValue(x->getType()));
}

// ---- addresses

/// The address of the offset's origin, as far out as that is known.
void Emitter::emit_base_pointer(Value v) {
  const Instruction& i = p_[v];
  base_pointers_[static_cast<std::size_t>(v)] =
      b_.CreateGEP(memory_type(object(i).dtype), memory_[static_cast<std::size_t>(i.immediate)],
                   scalar(operand(i, 0)));
}

/// The address of a uniform offset, or of lane 0 of an affine one.
llvm::Value* Emitter::pointer_of(Value v, const Instruction& i) {
  const Value offset = operand(i, 0);
  const LaneInfo& lanes = info(offset);
  llvm::Type* type = memory_type(object(i).dtype);
  llvm::Value* origin = base_pointers_[static_cast<std::size_t>(v)];
  if (lanes.level == Level::gang || origin == nullptr) {
    origin = b_.CreateGEP(type, memory_[static_cast<std::size_t>(i.immediate)], scalar(offset));
  }
  if (lanes.spread == Spread::uniform || gang_x_ == nullptr) return origin;
  const bool next_to_each_other = lanes.stride_known && lanes.stride == 1;
  llvm::Value* x = next_to_each_other ? gang_x_ : b_.CreateMul(gang_x_, value(offset).stride);
  return b_.CreateGEP(type, origin, x);
}

/// Every lane's offset as a vector; a private array is [elements][lanes].
llvm::Value* Emitter::lane_offsets(const Instruction& i) {
  llvm::Value* offsets = vector(operand(i, 0));
  if (!is_private(i)) return offsets;
  return b_.CreateAdd(b_.CreateMul(offsets, splat(b_.getInt64(gang_lanes))),
                      lane_numbers(b_.getInt64Ty()));
}

// ---- tiles: [tile_rows][lanes] of what a transposed load reads

llvm::Value* Emitter::tile_row_pointer(Value v) {
  return b_.CreateGEP(wide(memory_type(p_[v].type)), tiles_[static_cast<std::size_t>(v)],
                      tile_row_);
}

/// Copies `rows` rows from this one on: row k of lane l is at pointer + l * stride + k.
void Emitter::fetch_tile(Value v, llvm::Value* lanes, llvm::Value* rows) {
  const Instruction& i = p_[v];
  llvm::Value*& tile = tiles_[static_cast<std::size_t>(v)];
  tile = entry_slot(llvm::ArrayType::get(wide(memory_type(i.type)), tile_rows));
  const std::string name = "noyau_transpose_" + std::to_string(8 * size_of(i.type));
  llvm::Type* pointer = b_.getPtrTy();
  llvm::Type* integer = b_.getInt64Ty();
  auto* type =
      llvm::FunctionType::get(b_.getVoidTy(), {pointer, pointer, integer, integer, integer}, false);
  llvm::FunctionCallee helper = module_->getOrInsertFunction(name, type);
  b_.CreateCall(helper,
                {tile_row_pointer(v), pointer_of(v, i), value(operand(i, 0)).stride, lanes, rows})
      ->setDoesNotThrow();
}

// ---- loads and stores

void Emitter::emit_load(Value v) {
  const Instruction& i = p_[v];
  const LaneInfo& offset = info(operand(i, 0));
  llvm::Type* type = memory_type(i.type);
  llvm::Type* vectors = wide(type);
  const llvm::Align align = alignment_of(i.type);
  const auto contiguous = [&](llvm::Value* pointer, llvm::Value* mask) -> llvm::Value* {
    if (mask == nullptr) return b_.CreateAlignedLoad(vectors, pointer, align);
    return b_.CreateMaskedLoad(vectors, pointer, align, mask,
                               llvm::Constant::getNullValue(vectors));
  };
  llvm::Value* x = nullptr;
  if (tiles_[static_cast<std::size_t>(v)] != nullptr) {
    x = b_.CreateAlignedLoad(vectors, tile_row_pointer(v), llvm::Align(32));
  } else if (offset.spread == Spread::uniform && is_private(i)) {
    llvm::Value* row = b_.CreateMul(scalar(operand(i, 0)), b_.getInt64(gang_lanes));
    x = contiguous(b_.CreateGEP(type, memory_[static_cast<std::size_t>(i.immediate)], row), mask_);
  } else if (offset.spread == Spread::uniform) {
    x = b_.CreateAlignedLoad(type, pointer_of(v, i), align);
  } else if (offset.spread == Spread::affine && offset.stride_known && offset.stride == 1 &&
             !is_private(i)) {
    x = contiguous(pointer_of(v, i), mask_);
  } else if (offset.spread == Spread::affine && offset.stride_known && offset.stride == -1 &&
             !is_private(i)) {
    llvm::Value* lowest = b_.CreateGEP(type, pointer_of(v, i),
                                       b_.getInt64(static_cast<std::uint64_t>(-(gang_lanes - 1))));
    llvm::Value* mask = mask_ == nullptr ? nullptr : b_.CreateVectorReverse(mask_);
    x = b_.CreateVectorReverse(contiguous(lowest, mask));
  } else {
    x = gather(i);
  }
  set(v, from_memory(x, i.type));
}

llvm::Value* Emitter::gather(const Instruction& i) {
  llvm::Type* type = memory_type(i.type);
  llvm::Value* base = memory_[static_cast<std::size_t>(i.immediate)];
  llvm::Value* offsets = lane_offsets(i);
  llvm::Value* mask = mask_or_full();
  if (size_of(i.type) < 4 && mask_ != nullptr) {
    // There are no gathers of small elements, and a branch for each lane is slow to compile: idle
    // lanes read where the first active one does.
    llvm::Value* bits = mask_bits(mask_);
    llvm::Value* first =
        b_.CreateIntrinsic(llvm::Intrinsic::cttz, {bits->getType()}, {bits, b_.getInt1(false)});
    llvm::Value* lane = b_.CreateAnd(first, b_.getInt32(gang_lanes - 1));
    offsets = b_.CreateSelect(mask_, offsets, splat(b_.CreateExtractElement(offsets, lane)));
    mask = full_mask();
  }
  return b_.CreateMaskedGather(wide(type), b_.CreateGEP(type, base, offsets), alignment_of(i.type),
                               mask, llvm::Constant::getNullValue(wide(type)));
}

void Emitter::emit_store(Value v) {
  const Instruction& i = p_[v];
  const Value offset = operand(i, 0), stored = operand(i, 1);
  const LaneInfo& lanes = info(offset);
  llvm::Type* type = memory_type(i.type);
  const llvm::Align align = alignment_of(i.type);
  if (lanes.spread == Spread::uniform && !is_private(i)) {
    llvm::Value* x = scalar(stored);
    if (info(stored).spread != Spread::uniform) {  // the last active lane's stays
      llvm::Value* bits = mask_bits(mask_or_full());
      llvm::Value* above =
          b_.CreateIntrinsic(llvm::Intrinsic::ctlz, {bits->getType()}, {bits, b_.getInt1(false)});
      llvm::Value* lane = b_.CreateAnd(b_.CreateSub(b_.getInt32(gang_lanes - 1), above),
                                       b_.getInt32(gang_lanes - 1));
      x = b_.CreateExtractElement(vector(stored), lane);
    }
    b_.CreateAlignedStore(to_memory(x, i.type), pointer_of(v, i), align);
    return;
  }
  llvm::Value* x = to_memory(vector(stored), i.type);
  const bool row_of_private = lanes.spread == Spread::uniform;
  if (!row_of_private && (is_private(i) || !lanes.stride_known || lanes.stride != 1 ||
                          lanes.spread == Spread::varying)) {
    scatter(i, x);
    return;
  }
  llvm::Value* pointer = row_of_private
                             ? b_.CreateGEP(type, memory_[static_cast<std::size_t>(i.immediate)],
                                            b_.CreateMul(scalar(offset), b_.getInt64(gang_lanes)))
                             : pointer_of(v, i);
  if (streaming_ && is_streamed_store(v)) {
    stream(x, pointer, i.type);
  } else if (!two_bodies_ && (object(i).streamed || mask_ != nullptr)) {
    store_whole(x, pointer, i.type, object(i).streamed);
  } else if (mask_ != nullptr) {
    b_.CreateMaskedStore(x, pointer, align, mask_);
  } else {
    b_.CreateAlignedStore(x, pointer, align);
  }
}

/// A whole vector past the caches.
void Emitter::stream(llvm::Value* x, llvm::Value* pointer, DType type) {
  const std::uint64_t bytes = std::min<std::uint64_t>(size_of(type) * gang_lanes, 64);
  llvm::StoreInst* store = b_.CreateAlignedStore(x, pointer, llvm::Align(bytes));
  store->setMetadata(llvm::LLVMContext::MD_nontemporal,
                     llvm::MDNode::get(context_, llvm::ConstantAsMetadata::get(b_.getInt32(1))));
  any_streamed_ = true;
}

/// An ordinary store when all lanes are active (a masked one takes ten times as long on some
/// processors), past the caches when the address is a vector's too. The branches go the same way
/// for a whole row.
void Emitter::store_whole(llvm::Value* x, llvm::Value* pointer, DType type, bool streamed) {
  llvm::BasicBlock* after = new_block("store.end");
  const auto branch = [&](llvm::Value* condition, const char* name) {
    llvm::BasicBlock* yes = new_block(name);
    llvm::BasicBlock* no = new_block("store.else");
    b_.CreateCondBr(condition, yes, no);
    b_.SetInsertPoint(yes);
    return no;
  };
  llvm::BasicBlock* partial = nullptr;
  if (mask_ != nullptr) {
    partial = branch(b_.CreateICmpEQ(mask_bits(mask_), b_.getInt32(~0u)), "store.whole");
  }
  if (streamed) {
    llvm::Value* low = b_.CreateAnd(b_.CreatePtrToInt(pointer, b_.getInt64Ty()), b_.getInt64(63));
    llvm::BasicBlock* unaligned = branch(b_.CreateICmpEQ(low, b_.getInt64(0)), "stream");
    stream(x, pointer, type);
    b_.CreateBr(after);
    b_.SetInsertPoint(unaligned);
  }
  b_.CreateAlignedStore(x, pointer, alignment_of(type));
  b_.CreateBr(after);
  if (partial != nullptr) {
    b_.SetInsertPoint(partial);
    b_.CreateMaskedStore(x, pointer, alignment_of(type), mask_);
    b_.CreateBr(after);
  }
  b_.SetInsertPoint(after);
}

void Emitter::scatter(const Instruction& i, llvm::Value* x) {
  llvm::Type* type = memory_type(i.type);
  llvm::Value* base = memory_[static_cast<std::size_t>(i.immediate)];
  b_.CreateMaskedScatter(x, b_.CreateGEP(type, base, lane_offsets(i)), alignment_of(i.type),
                         mask_or_full());
}

// ---- atomics: active lanes in order, one at a time

void Emitter::emit_atomic(Value v) {
  const Instruction& i = p_[v];
  llvm::Type* type = memory_type(i.type);
  llvm::Type* bits_type = b_.getInt32Ty();
  llvm::Value* offsets = vector(operand(i, 0));
  llvm::SmallVector<llvm::Value*, 2> values;
  for (int k = 1; k < i.operand_count; ++k) values.push_back(vector(operand(i, k)));
  llvm::Value* active = mask_bits(mask_or_full());

  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::BasicBlock* loop = new_block("atomic");
  llvm::BasicBlock* after = new_block("atomic.end");
  b_.CreateBr(loop);
  b_.SetInsertPoint(loop);
  llvm::PHINode* bits = b_.CreatePHI(bits_type, 2);
  llvm::PHINode* old = b_.CreatePHI(wide(type), 2);
  bits->addIncoming(active, before);
  old->addIncoming(llvm::Constant::getNullValue(wide(type)), before);
  llvm::Value* lane = b_.CreateAnd(
      b_.CreateIntrinsic(llvm::Intrinsic::cttz, {bits_type}, {bits, b_.getInt1(false)}),
      b_.getInt32(gang_lanes - 1));
  llvm::SmallVector<llvm::Value*, 2> mine;
  for (llvm::Value* x : values) mine.push_back(b_.CreateExtractElement(x, lane));
  llvm::Value* pointer = b_.CreateGEP(type, memory_[static_cast<std::size_t>(i.immediate)],
                                      b_.CreateExtractElement(offsets, lane));
  llvm::Value* found = atomic_access(i, pointer, mine);
  llvm::Value* collected =
      found == nullptr ? static_cast<llvm::Value*>(old) : b_.CreateInsertElement(old, found, lane);
  llvm::Value* rest = b_.CreateAnd(bits, b_.CreateSub(bits, b_.getInt32(1)));
  bits->addIncoming(rest, b_.GetInsertBlock());
  old->addIncoming(collected, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpNE(rest, b_.getInt32(0)), loop, after);
  b_.SetInsertPoint(after);
  value(v) = {.vector = collected};
}

/// One lane's access; the old value, or nullptr for a store.
llvm::Value* Emitter::atomic_access(const Instruction& i, llvm::Value* pointer, Operands x) {
  using RMW = llvm::AtomicRMWInst;
  const bool with_sign = is_signed_integer(i.type), floats = is_floating(i.type);
  const llvm::Align align = alignment_of(i.type);
  llvm::Type* type = memory_type(i.type);
  const auto modify = [&](RMW::BinOp op) -> llvm::Value* {
    return b_.CreateAtomicRMW(op, pointer, x[0], align, ordering(i));
  };
  switch (static_cast<AtomicOp>(i.mode)) {
    case AtomicOp::add:
      return modify(floats ? RMW::FAdd : RMW::Add);
    case AtomicOp::minimum:
      return floats ? exchange_loop(i, pointer, x[0]) : modify(with_sign ? RMW::Min : RMW::UMin);
    case AtomicOp::maximum:
      return floats ? exchange_loop(i, pointer, x[0]) : modify(with_sign ? RMW::Max : RMW::UMax);
    case AtomicOp::bit_and:
      return modify(RMW::And);
    case AtomicOp::bit_or:
      return modify(RMW::Or);
    case AtomicOp::bit_xor:
      return modify(RMW::Xor);
    case AtomicOp::exchange:
      return modify(RMW::Xchg);
    case AtomicOp::compare_exchange: {
      llvm::Type* integer = b_.getIntNTy(static_cast<unsigned>(8 * size_of(i.type)));
      llvm::Value* pair = b_.CreateAtomicCmpXchg(
          pointer, b_.CreateBitCast(x[1], integer), b_.CreateBitCast(x[0], integer), align,
          ordering(i), llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(ordering(i)));
      return b_.CreateBitCast(b_.CreateExtractValue(pair, 0), type);
    }
    case AtomicOp::load: {
      llvm::LoadInst* load = b_.CreateAlignedLoad(type, pointer, align);
      load->setAtomic(AtomicOrdering::Acquire);
      return load;
    }
    case AtomicOp::store: {
      llvm::StoreInst* store = b_.CreateAlignedStore(x[0], pointer, align);
      store->setAtomic(AtomicOrdering::Release);
      return nullptr;
    }
  }
  throw InternalError("llvm: unknown atomic operation");
}

/// minimum and maximum of floats: exchange until nobody came between.
llvm::Value* Emitter::exchange_loop(const Instruction& i, llvm::Value* pointer, llvm::Value* x) {
  llvm::Type* type = memory_type(i.type);
  llvm::Type* integer = b_.getIntNTy(static_cast<unsigned>(8 * size_of(i.type)));
  const llvm::Align align = alignment_of(i.type);
  llvm::LoadInst* first = b_.CreateAlignedLoad(integer, pointer, align);
  first->setAtomic(AtomicOrdering::Monotonic);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::BasicBlock* loop = new_block("exchange");
  llvm::BasicBlock* after = new_block("exchange.end");
  b_.CreateBr(loop);
  b_.SetInsertPoint(loop);
  llvm::PHINode* seen = b_.CreatePHI(integer, 2);
  seen->addIncoming(first, before);
  const bool maximum = static_cast<AtomicOp>(i.mode) == AtomicOp::maximum;
  llvm::Value* next = float_extremum(maximum, b_.CreateBitCast(seen, type), x);
  llvm::Value* pair =
      b_.CreateAtomicCmpXchg(pointer, seen, b_.CreateBitCast(next, integer), align, ordering(i),
                             llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(ordering(i)));
  seen->addIncoming(b_.CreateExtractValue(pair, 0), b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateExtractValue(pair, 1), after, loop);
  b_.SetInsertPoint(after);
  return b_.CreateBitCast(b_.CreateExtractValue(pair, 0), type);
}

// ---- between lanes

/// Lanes read each other; who reads past the threads of the gang gets its own value.
void Emitter::emit_shuffle(Value v) {
  const Instruction& i = p_[v];
  const Value shuffled = operand(i, 0);
  if (info(shuffled).spread == Spread::uniform) {
    set(v, scalar(shuffled));
    return;
  }
  llvm::Value* x = vector(shuffled);
  if (info(v).spread == Spread::uniform) {
    set(v, b_.CreateExtractElement(x, scalar(operand(i, 1))));
    return;
  }
  llvm::Value* lanes = lane_numbers(b_.getInt64Ty());
  llvm::Value* source = vector(operand(i, 1));
  switch (static_cast<ShuffleMode>(i.mode)) {
    case ShuffleMode::index:
      break;
    case ShuffleMode::exclusive_or:
      source = b_.CreateXor(lanes, source);
      break;
    case ShuffleMode::down:
      source = b_.CreateAdd(lanes, source);
      break;
    case ShuffleMode::up:
      source = b_.CreateSub(lanes, source);
      break;
  }
  source = b_.CreateSelect(b_.CreateICmpULT(source, splat(lane_limit_)), source, lanes);
  if (auto* fixed = llvm::dyn_cast<llvm::Constant>(source)) {
    llvm::SmallVector<int, gang_lanes> order;
    for (unsigned k = 0; k < gang_lanes; ++k) {
      const auto* number = llvm::cast<llvm::ConstantInt>(fixed->getAggregateElement(k));
      order.push_back(static_cast<int>(number->getZExtValue()));
    }
    value(v) = {.vector = b_.CreateShuffleVector(x, order)};
    return;
  }
  llvm::Type* type = memory_type(i.type);
  llvm::Value* slot = entry_slot(wide(type));
  b_.CreateAlignedStore(to_memory(x, i.type), slot, llvm::Align(64));
  llvm::Value* read = b_.CreateMaskedGather(wide(type), b_.CreateGEP(type, slot, source),
                                            alignment_of(i.type), full_mask());
  value(v) = {.vector = from_memory(read, i.type)};
}

void Emitter::emit_vote(Value v) {
  const Instruction& i = p_[v];
  const Value condition = operand(i, 0);
  if (info(condition).spread == Spread::uniform) {
    set(v, scalar(condition));
    return;
  }
  llvm::Value* c = vector(condition);
  if (static_cast<jit::VoteMode>(i.mode) == jit::VoteMode::any) {
    set(v, any(narrow_mask(c)));
  } else {
    set(v, b_.CreateNot(any(narrow_mask(b_.CreateNot(c)))));
  }
}

/// The first fault of a launch stays in its error word.
void Emitter::emit_fault(Value v) {
  const Instruction& i = p_[v];
  const Value condition = operand(i, 0), detail = operand(i, 1);
  const bool uniform = info(condition).spread == Spread::uniform;
  llvm::Value* bits = nullptr;
  llvm::Value* wrong = nullptr;
  if (uniform) {
    wrong = scalar(condition);
    bits = mask_bits(mask_or_full());
  } else {
    bits = mask_bits(narrow_mask(vector(condition)));
    wrong = b_.CreateICmpNE(bits, b_.getInt32(0));
  }
  llvm::BasicBlock* report = new_block("fault");
  llvm::BasicBlock* note = new_block("fault.first");
  llvm::BasicBlock* after = new_block("fault.end");
  b_.CreateCondBr(wrong, report, after);
  b_.SetInsertPoint(report);
  llvm::Value* word = function_->getArg(5);
  llvm::Value* pair = b_.CreateAtomicCmpXchg(
      word, b_.getInt64(0), b_.getInt64(static_cast<std::uint64_t>(i.immediate)), llvm::Align(8),
      AtomicOrdering::Monotonic, AtomicOrdering::Monotonic);
  b_.CreateCondBr(b_.CreateExtractValue(pair, 1), note, after);
  b_.SetInsertPoint(note);
  llvm::Value* lane = b_.CreateAnd(
      b_.CreateIntrinsic(llvm::Intrinsic::cttz, {bits->getType()}, {bits, b_.getInt1(false)}),
      b_.getInt32(gang_lanes - 1));
  llvm::Value* what = b_.CreateExtractElement(vector(detail), lane);
  b_.CreateStore(what, b_.CreateConstGEP1_32(b_.getInt64Ty(), word, 1));
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

}  // namespace noyau::llvm_backend

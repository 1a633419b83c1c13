// Kernels over items: rows of gangs along axis 0, or tiles where loads run across the rows.
// SPDX-License-Identifier: Apache-2.0
#include <llvm/IR/Constants.h>

#include "backends/llvm/emitter.hpp"

namespace noyau::llvm_backend {

using jit::Domain;
using jit::Instruction;
using jit::Opcode;
using jit::Value;

bool Emitter::is_streamed_store(Value v) const {
  const Instruction& i = p_[v];
  if (i.op != Opcode::store || !object(i).streamed) return false;
  const LaneInfo& offset = info(operand(i, 0));
  return offset.spread == Spread::affine && offset.stride_known && offset.stride == 1 &&
         offset.level != Level::gang && p_.domain == Domain::items &&
         lanes_.depth[static_cast<std::size_t>(v)] == 0;
}

/// Whether every streamed store of this row begins at a whole vector; nullptr when there is none.
llvm::Value* Emitter::stores_are_aligned() {
  llvm::Value* low = nullptr;
  for (Value v = 0; v < p_.size(); ++v) {
    if (!is_streamed_store(v)) continue;
    llvm::Value* address =
        b_.CreatePtrToInt(base_pointers_[static_cast<std::size_t>(v)], b_.getInt64Ty());
    low = low == nullptr ? address : b_.CreateOr(low, address);
  }
  if (low == nullptr) return nullptr;
  return b_.CreateICmpEQ(b_.CreateAnd(low, b_.getInt64(63)), b_.getInt64(0));
}

void Emitter::emit_items() {
  llvm::Type* i64 = b_.getInt64Ty();
  llvm::Value* lanes = b_.getInt64(gang_lanes);
  llvm::BasicBlock* row_block = new_block("row");
  llvm::BasicBlock* several = new_block("several");
  llvm::BasicBlock* several_body = new_block("several.body");
  llvm::BasicBlock* fast = new_block("fast");
  llvm::BasicBlock* fast_body = new_block("fast.body");
  llvm::BasicBlock* masked = new_block("masked");
  llvm::BasicBlock* masked_body = new_block("masked.body");
  llvm::BasicBlock* row_end = new_block("row.end");
  llvm::BasicBlock* leave = new_block("leave");

  emit_level(Level::launch);
  llvm::Value* full = b_.CreateUDiv(extent_[0], lanes);
  llvm::Value* in_row = b_.CreateUDiv(b_.CreateAdd(extent_[0], b_.getInt64(gang_lanes - 1)), lanes);
  llvm::Value* first_row = b_.CreateUDiv(function_->getArg(begin_unit), in_row);
  llvm::Value* first_gang =
      b_.CreateSub(function_->getArg(begin_unit), b_.CreateMul(first_row, in_row));
  llvm::Value* units = b_.CreateSub(function_->getArg(end_unit), function_->getArg(begin_unit));
  llvm::BasicBlock* entry = b_.GetInsertBlock();
  b_.CreateBr(row_block);

  b_.SetInsertPoint(row_block);
  llvm::PHINode* row = b_.CreatePHI(i64, 2, "row");
  llvm::PHINode* gang = b_.CreatePHI(i64, 2, "gang");
  llvm::PHINode* left = b_.CreatePHI(i64, 2, "left");
  row->addIncoming(first_row, entry);
  gang->addIncoming(first_gang, entry);
  left->addIncoming(units, entry);
  if (lanes_.uses_item[1]) row_item_[1] = b_.CreateURem(row, extent_[1]);
  if (lanes_.uses_item[2]) row_item_[2] = b_.CreateUDiv(row, extent_[1]);
  emit_level(Level::row);
  llvm::Value* stop =
      b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, b_.CreateAdd(gang, left), in_row);
  // Masked stores cannot bypass the cache, nor can unaligned ones: those rows take the masked body.
  llvm::Value* fast_stop = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, stop, full);
  llvm::Value* aligned = stores_are_aligned();
  if (aligned != nullptr) fast_stop = b_.CreateSelect(aligned, fast_stop, gang);
  const bool doubled = two_bodies_ =
      !lanes_.has_loops && (aligned != nullptr || p_.size() <= most_doubled_instructions);
  const bool interleaved = doubled && gangs_at_once_ > 1 && !lanes_.has_regions;
  llvm::BasicBlock* row_ready = b_.GetInsertBlock();
  b_.CreateBr(interleaved ? several : doubled ? fast : masked);

  llvm::PHINode* s = nullptr;
  if (interleaved) {
    b_.SetInsertPoint(several);
    s = b_.CreatePHI(i64, 2, "s");
    s->addIncoming(gang, row_ready);
    llvm::Value* next = b_.CreateAdd(s, b_.getInt64(static_cast<std::uint64_t>(gangs_at_once_)));
    b_.CreateCondBr(b_.CreateICmpULE(next, fast_stop), several_body, fast);
    b_.SetInsertPoint(several_body);
    streaming_ = aligned != nullptr;
    emit_interleaved_bodies(s);
    streaming_ = false;
    s->addIncoming(next, b_.GetInsertBlock());
    b_.CreateBr(several);
  } else {
    for (llvm::BasicBlock* unused : {several, several_body}) unused->eraseFromParent();
  }

  llvm::PHINode* x = nullptr;
  if (doubled) {
    b_.SetInsertPoint(fast);
    x = b_.CreatePHI(i64, 2, "x");
    x->addIncoming(interleaved ? static_cast<llvm::Value*>(s) : gang,
                   interleaved ? several : row_ready);
    b_.CreateCondBr(b_.CreateICmpULT(x, fast_stop), fast_body, masked);
    b_.SetInsertPoint(fast_body);
    gang_x_ = b_.CreateMul(x, lanes);
    streaming_ = aligned != nullptr;
    emit_body(nullptr);
    streaming_ = false;
    x->addIncoming(b_.CreateAdd(x, b_.getInt64(1)), b_.GetInsertBlock());
    b_.CreateBr(fast);
  } else {
    for (llvm::BasicBlock* unused : {fast, fast_body}) unused->eraseFromParent();
  }

  b_.SetInsertPoint(masked);
  llvm::PHINode* m = b_.CreatePHI(i64, 2, "m");
  m->addIncoming(doubled ? static_cast<llvm::Value*>(x) : gang, doubled ? fast : row_ready);
  b_.CreateCondBr(b_.CreateICmpULT(m, stop), masked_body, row_end);
  b_.SetInsertPoint(masked_body);
  gang_x_ = b_.CreateMul(m, lanes);
  emit_body(first_lanes(b_.CreateSub(extent_[0], gang_x_)));
  m->addIncoming(b_.CreateAdd(m, b_.getInt64(1)), b_.GetInsertBlock());
  b_.CreateBr(masked);

  b_.SetInsertPoint(row_end);
  llvm::Value* still = b_.CreateSub(left, b_.CreateSub(stop, gang));
  row->addIncoming(b_.CreateAdd(row, b_.getInt64(1)), row_end);
  gang->addIncoming(b_.getInt64(0), row_end);
  left->addIncoming(still, row_end);
  b_.CreateCondBr(b_.CreateICmpNE(still, b_.getInt64(0)), row_block, leave);

  b_.SetInsertPoint(leave);
  finish_function();
}

/// Where lanes read memory lines of their own (a transpose), the rows below read the same lines. So
/// units go down a few rows first, then to the next gang, and such loads are copied and turned a
/// tile at a time. One masked body; nothing is hoisted out of a unit but what the launch knows.
void Emitter::emit_items_in_tiles() {
  llvm::Type* i64 = b_.getInt64Ty();
  llvm::Value* one = b_.getInt64(1);
  llvm::Value* tall = b_.getInt64(tile_rows);
  llvm::BasicBlock* loop = new_block("unit");
  llvm::BasicBlock* fetch = new_block("fetch");
  llvm::BasicBlock* body = new_block("body");
  llvm::BasicBlock* leave = new_block("leave");
  emit_level(Level::launch);
  llvm::Value* in_row =
      b_.CreateUDiv(b_.CreateAdd(extent_[0], b_.getInt64(gang_lanes - 1)), b_.getInt64(gang_lanes));
  llvm::Value* rows = b_.CreateMul(extent_[1], extent_[2]);
  llvm::Value* in_tile = b_.CreateMul(in_row, tall);
  llvm::BasicBlock* entry = b_.GetInsertBlock();
  b_.CreateBr(loop);

  b_.SetInsertPoint(loop);
  llvm::PHINode* unit = b_.CreatePHI(i64, 2, "unit");
  unit->addIncoming(function_->getArg(begin_unit), entry);
  llvm::Value* tile = b_.CreateUDiv(unit, in_tile);
  llvm::Value* place = b_.CreateSub(unit, b_.CreateMul(tile, in_tile));
  llvm::Value* first = b_.CreateMul(tile, tall);
  llvm::Value* height =
      b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, b_.CreateSub(rows, first), tall);
  llvm::Value* gang = b_.CreateUDiv(place, height);
  tile_row_ = b_.CreateSub(place, b_.CreateMul(gang, height));
  llvm::Value* row = b_.CreateAdd(first, tile_row_);
  row_item_[1] = b_.CreateURem(row, extent_[1]);
  if (lanes_.uses_item[2]) row_item_[2] = b_.CreateUDiv(row, extent_[1]);
  emit_level(Level::row);
  gang_x_ = b_.CreateMul(gang, b_.getInt64(gang_lanes));
  // The tile holds this row unless it is the first of the call, of the tile or of its axis.
  llvm::Value* zero = b_.getInt64(0);
  llvm::Value* fresh = b_.CreateOr(
      b_.CreateICmpEQ(unit, function_->getArg(begin_unit)),
      b_.CreateOr(b_.CreateICmpEQ(tile_row_, zero), b_.CreateICmpEQ(row_item_[1], zero)));
  b_.CreateCondBr(fresh, fetch, body);

  b_.SetInsertPoint(fetch);
  llvm::Value* below = b_.CreateSub(height, tile_row_);
  llvm::Value* on_axis = b_.CreateSub(extent_[1], row_item_[1]);
  llvm::Value* still = b_.CreateSub(function_->getArg(end_unit), unit);
  llvm::Value* count = b_.CreateBinaryIntrinsic(
      llvm::Intrinsic::umin, b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, below, on_axis),
      still);
  llvm::Value* lanes = b_.CreateBinaryIntrinsic(
      llvm::Intrinsic::umin, b_.CreateSub(extent_[0], gang_x_), b_.getInt64(gang_lanes));
  for (const Value v : lanes_.transposed_loads) fetch_tile(v, lanes, count);
  b_.CreateBr(body);

  b_.SetInsertPoint(body);
  emit_body(first_lanes(b_.CreateSub(extent_[0], gang_x_)));
  llvm::Value* next = b_.CreateAdd(unit, one);
  unit->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpULT(next, function_->getArg(end_unit)), loop, leave);

  b_.SetInsertPoint(leave);
  finish_function();
}

}  // namespace noyau::llvm_backend

// Control flow: branches where the condition is uniform, execution masks where it is not.
// SPDX-License-Identifier: Apache-2.0
#include <llvm/IR/Constants.h>

#include "backends/llvm/emitter.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {

using jit::Instruction;
using jit::no_value;
using jit::Opcode;
using jit::Value;

// ---- if
//
// uniform:    br c, then, else            divergent:  t = mask & c; br any(t), then, other
//             then ... br end                         then (mask t) ... br other
//             else ... br end                         e = mask & ~c; br any(e), else, end
//             end: phis                               else (mask e) ... br end; selects by c
// A flat part of a divergent if has no branch around it.

void Emitter::begin_if(Value v) {
  const Instruction& i = p_[v];
  const RegionInfo& known = lanes_.regions[static_cast<std::size_t>(v)];
  Region region;
  region.opening = v;
  region.divergent = known.divergent;
  region.flat = known.divergent && known.flat;
  region.outer_mask = mask_;
  region.condition = known.divergent ? vector(operand(i, 0)) : scalar(operand(i, 0));
  region.before = b_.GetInsertBlock();
  if (region.divergent) mask_ = narrow_mask(region.condition);
  if (!region.flat) {
    llvm::BasicBlock* then = new_block("then");
    region.after = new_block(known.partner == no_value ? "if.end" : "else");
    b_.CreateCondBr(region.divergent ? any(mask_) : region.condition, then, region.after);
    b_.SetInsertPoint(then);
  }
  regions_.push_back(std::move(region));
}

/// Its region was opened when the then part closed.
void Emitter::begin_else(Value) {}

void Emitter::close_part(Value v) {
  Region region = std::move(regions_.back());
  regions_.pop_back();
  if (region.op == Opcode::loop) close_loop(std::move(region), v);
  else if (region.op == Opcode::else_) close_else(std::move(region), v);
  else close_then(std::move(region), v);
}

void Emitter::close_then(Region region, Value v) {
  const Value otherwise = lanes_.regions[static_cast<std::size_t>(region.opening)].partner;
  if (otherwise == no_value) {
    if (!region.flat) {
      b_.CreateBr(region.after);
      b_.SetInsertPoint(region.after);
    }
    mask_ = region.outer_mask;
    return;
  }
  const Instruction& mine = p_[v];
  const Instruction& others = p_[p_[otherwise].end - 1];
  std::vector<llvm::Value*> yielded;
  for (int k = 0; k < mine.operand_count; ++k) {
    const bool as_scalar = !region.divergent && info(operand(mine, k)).spread == Spread::uniform &&
                           info(operand(others, k)).spread == Spread::uniform;
    region.scalars.push_back(as_scalar);
    yielded.push_back(as_scalar ? scalar(operand(mine, k)) : vector(operand(mine, k)));
  }
  llvm::BasicBlock* then_end = b_.GetInsertBlock();
  llvm::BasicBlock* other = region.after;
  if (region.divergent) {
    if (!region.flat) {
      b_.CreateBr(other);
      b_.SetInsertPoint(other);
      for (llvm::Value*& x : yielded) {  // skipped: whatever, but not poison
        llvm::PHINode* phi = b_.CreatePHI(x->getType(), 2);
        phi->addIncoming(llvm::Constant::getNullValue(x->getType()), region.before);
        phi->addIncoming(x, then_end);
        x = phi;
      }
    }
    mask_ = region.outer_mask;
    mask_ = narrow_mask(b_.CreateNot(region.condition));
    region.flat = lanes_.regions[static_cast<std::size_t>(otherwise)].flat;
    if (!region.flat) {
      llvm::BasicBlock* part = new_block("else.part");
      region.before = b_.GetInsertBlock();
      region.after = new_block("if.end");
      b_.CreateCondBr(any(mask_), part, region.after);
      b_.SetInsertPoint(part);
    }
  } else {
    region.before = then_end;
    region.after = new_block("if.end");
    b_.CreateBr(region.after);
    b_.SetInsertPoint(other);
  }
  region.then_values = std::move(yielded);
  region.op = Opcode::else_;
  regions_.push_back(std::move(region));
}

void Emitter::close_else(Region region, Value v) {
  const Instruction& i = p_[v];
  std::vector<llvm::Value*> yielded;
  for (int k = 0; k < i.operand_count; ++k) {
    const Value x = operand(i, k);
    yielded.push_back(region.scalars[static_cast<std::size_t>(k)] ? scalar(x) : vector(x));
  }
  llvm::BasicBlock* else_end = b_.GetInsertBlock();
  if (!region.flat) {
    b_.CreateBr(region.after);
    b_.SetInsertPoint(region.after);
  }
  std::vector<LaneValue>& results = results_[static_cast<std::size_t>(region.opening)];
  results.clear();
  for (std::size_t k = 0; k < yielded.size(); ++k) {
    llvm::Value* then_value = region.then_values[k];
    llvm::Value* x = yielded[k];
    if (!region.flat) {
      llvm::PHINode* phi = b_.CreatePHI(x->getType(), 2);
      phi->addIncoming(region.divergent ? llvm::Constant::getNullValue(x->getType()) : then_value,
                       region.before);
      phi->addIncoming(x, else_end);
      x = phi;
    }
    results.push_back(region.scalars[k] ? LaneValue{.scalar = x} : LaneValue{.vector = x});
  }
  if (region.divergent) {  // after the phis
    for (std::size_t k = 0; k < results.size(); ++k) {
      results[k].vector =
          b_.CreateSelect(region.condition, region.then_values[k], results[k].vector);
    }
  }
  mask_ = region.outer_mask;
}

// ---- loop
//
// A divergent loop runs until no lane is active; lanes that left keep their parameters.

void Emitter::begin_loop(Value v) {
  const Instruction& i = p_[v];
  Region region;
  region.opening = v;
  region.op = Opcode::loop;
  region.divergent = lanes_.regions[static_cast<std::size_t>(v)].divergent;
  region.outer_mask = mask_;
  std::vector<llvm::Value*> first;
  for (int k = 0; k < i.operand_count; ++k) {
    const bool vectors = info(v + 1 + k).spread == Spread::varying;
    first.push_back(vectors ? vector(operand(i, k)) : scalar(operand(i, k)));
  }
  llvm::Value* mask = mask_or_full();
  region.before = b_.GetInsertBlock();
  region.header = new_block("loop");
  region.after = new_block("loop.end");
  b_.CreateBr(region.header);
  b_.SetInsertPoint(region.header);
  for (llvm::Value* x : first) {
    llvm::PHINode* phi = b_.CreatePHI(x->getType(), 2);
    phi->addIncoming(x, region.before);
    region.phis.push_back(phi);
  }
  if (region.divergent) {
    region.mask = b_.CreatePHI(mask->getType(), 2);
    region.mask->addIncoming(mask, region.before);
    mask_ = region.mask;
  }
  regions_.push_back(std::move(region));
}

/// All phis are there already, so vectors made of them follow the phis.
void Emitter::bind_loop_parameter(Value v) {
  const auto k = static_cast<std::size_t>(p_[v].immediate);
  llvm::PHINode* phi = regions_.back().phis[k];
  if (info(v).spread == Spread::affine) {
    value(v) = {.scalar = phi, .stride = b_.getInt64(static_cast<std::uint64_t>(info(v).stride))};
    want_vector(v);
  } else {
    set(v, phi);
  }
}

void Emitter::loop_while(Value v) {
  Region& region = regions_.back();
  const Value condition = operand(p_[v], 0);
  llvm::BasicBlock* body = new_block("loop.body");
  if (region.divergent) {
    mask_ = narrow_mask(vector(condition));
    b_.CreateCondBr(any(mask_), body, region.after);
  } else {
    b_.CreateCondBr(scalar(condition), body, region.after);
  }
  b_.SetInsertPoint(body);
}

void Emitter::close_loop(Region region, Value v) {
  const Instruction& i = p_[v];
  std::vector<llvm::Value*> next;
  for (int k = 0; k < i.operand_count; ++k) {
    const bool vectors = info(region.opening + 1 + k).spread == Spread::varying;
    llvm::Value* x = vectors ? vector(operand(i, k)) : scalar(operand(i, k));
    if (vectors && region.divergent) {
      x = b_.CreateSelect(mask_, x, region.phis[static_cast<std::size_t>(k)]);
    }
    next.push_back(x);
  }
  for (std::size_t k = 0; k < next.size(); ++k) {
    region.phis[k]->addIncoming(next[k], b_.GetInsertBlock());
  }
  if (region.divergent) region.mask->addIncoming(mask_, b_.GetInsertBlock());
  b_.CreateBr(region.header);
  b_.SetInsertPoint(region.after);
  mask_ = region.outer_mask;
}

}  // namespace noyau::llvm_backend

// Arithmetic: total and exactly rounded, the same for scalars and for vectors of lanes.
// SPDX-License-Identifier: Apache-2.0
#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/PatternMatch.h>

#include <cmath>

#include "backends/llvm/emitter.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {

using jit::Instruction;
using jit::Opcode;
using jit::Value;

namespace {

unsigned bits_of(DType type) { return static_cast<unsigned>(8 * size_of(type)); }

/// The largest value of an integer type that a float type has, and one more than its largest.
struct FloatRange {
  double low, high, limit;
  bool high_is_last;  ///< `high` is the type's largest value itself
};
FloatRange float_range(DType to, DType from) {
  const int digits = static_cast<int>(bits_of(to)) - (is_signed_integer(to) ? 1 : 0);
  const int mantissa = from == float32 ? 24 : 53;
  const double limit = std::ldexp(1.0, digits);
  const double last_step = digits > mantissa ? std::ldexp(1.0, digits - mantissa) : 1.0;
  return {is_signed_integer(to) ? -limit : 0.0, limit - last_step, limit, digits <= mantissa};
}

}  // namespace

/// Any pure instruction but the leaves.
void Emitter::emit_pure(Value v) {
  const Instruction& i = p_[v];
  if (info(v).spread == Spread::affine) {
    emit_affine(v);
    return;
  }
  const bool vectors = info(v).spread == Spread::varying;
  llvm::SmallVector<llvm::Value*, 3> x;
  for (Value operand_value : p_.operands_of(i)) {
    x.push_back(vectors ? vector(operand_value) : scalar(operand_value));
  }
  set(v, compute(i, p_[operand(i, 0)].type, x));
}

/// add, subtract, negate and multiply by a uniform value keep int64 affine.
void Emitter::emit_affine(Value v) {
  const Instruction& i = p_[v];
  const auto stride_of = [&](Value x) -> llvm::Value* {
    return value(x).stride == nullptr ? b_.getInt64(0) : value(x).stride;
  };
  const Value a = operand(i, 0);
  LaneValue made;
  if (i.op == Opcode::negate) {
    made = {.scalar = b_.CreateNeg(scalar(a)), .stride = b_.CreateNeg(stride_of(a))};
  } else {
    const Value b = operand(i, 1);
    if (i.op == Opcode::add) {
      made = {.scalar = b_.CreateAdd(scalar(a), scalar(b)),
              .stride = b_.CreateAdd(stride_of(a), stride_of(b))};
    } else if (i.op == Opcode::subtract) {
      made = {.scalar = b_.CreateSub(scalar(a), scalar(b)),
              .stride = b_.CreateSub(stride_of(a), stride_of(b))};
    } else {
      const bool left = info(a).spread == Spread::affine;
      const Value lanes = left ? a : b;
      llvm::Value* factor = scalar(left ? b : a);
      made = {.scalar = b_.CreateMul(scalar(lanes), factor),
              .stride = b_.CreateMul(stride_of(lanes), factor)};
    }
  }
  value(v) = made;
  // Others get their vector in the body, where the gang's x is known.
  if (info(v).level == Level::gang) want_vector(v);
}

llvm::Value* Emitter::compute(const Instruction& i, DType operand_type, Operands x) {
  if (jit::is_comparison(i.op)) return compare(i.op, operand_type, x[0], x[1]);
  switch (i.op) {
    case Opcode::select:
      return b_.CreateSelect(x[0], x[1], x[2]);
    case Opcode::convert:
      return convert(x[0], operand_type, i.type);
    case Opcode::bitcast:
      return b_.CreateBitCast(x[0], like(x[0], scalar_type(i.type)));
    default:
      return is_floating(i.type) ? compute_float(i, x) : compute_integer(i, x);
  }
}

llvm::Value* Emitter::compute_float(const Instruction& i, Operands x) {
  using llvm::Intrinsic::ID;
  const auto unary = [&](ID id) { return b_.CreateUnaryIntrinsic(id, x[0]); };
  switch (i.op) {
    case Opcode::add:
      return b_.CreateFAdd(x[0], x[1]);
    case Opcode::subtract:
      return b_.CreateFSub(x[0], x[1]);
    case Opcode::multiply:
      return b_.CreateFMul(x[0], x[1]);
    case Opcode::divide:
      return b_.CreateFDiv(x[0], x[1]);
    case Opcode::remainder:
      return call_helper(i.type == float32 ? "noyau_fmod_f32" : "noyau_fmod_f64", x[0], x[1]);
    case Opcode::negate:
      return b_.CreateFNeg(x[0]);
    case Opcode::absolute:
      return unary(llvm::Intrinsic::fabs);
    case Opcode::minimum:
      return float_extremum(false, x[0], x[1]);
    case Opcode::maximum:
      return float_extremum(true, x[0], x[1]);
    case Opcode::fma:
      return b_.CreateIntrinsic(llvm::Intrinsic::fma, {x[0]->getType()}, {x[0], x[1], x[2]});
    case Opcode::sqrt:
      return unary(llvm::Intrinsic::sqrt);
    case Opcode::floor:
      return unary(llvm::Intrinsic::floor);
    case Opcode::ceil:
      return unary(llvm::Intrinsic::ceil);
    case Opcode::trunc:
      return unary(llvm::Intrinsic::trunc);
    case Opcode::rint:
      return unary(llvm::Intrinsic::roundeven);
    default:
      throw InternalError("llvm: " + std::string(jit::name(i.op)) + " of floats");
  }
}

llvm::Value* Emitter::compute_integer(const Instruction& i, Operands x) {
  const bool is_signed_type = is_signed_integer(i.type);
  const auto pick = [&](llvm::Intrinsic::ID with_sign, llvm::Intrinsic::ID without) {
    return b_.CreateBinaryIntrinsic(is_signed_type ? with_sign : without, x[0], x[1]);
  };
  switch (i.op) {
    case Opcode::add:
      return b_.CreateAdd(x[0], x[1]);
    case Opcode::subtract:
      return b_.CreateSub(x[0], x[1]);
    case Opcode::multiply:
      return b_.CreateMul(x[0], x[1]);
    case Opcode::divide:
      return divide(i.type, false, x[0], x[1]);
    case Opcode::remainder:
      return divide(i.type, true, x[0], x[1]);
    case Opcode::negate:
      return b_.CreateNeg(x[0]);
    case Opcode::absolute:
      return is_signed_type
                 ? b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x[0], b_.getInt1(false))
                 : x[0];
    case Opcode::minimum:
      return pick(llvm::Intrinsic::smin, llvm::Intrinsic::umin);
    case Opcode::maximum:
      return pick(llvm::Intrinsic::smax, llvm::Intrinsic::umax);
    case Opcode::bit_and:
      return b_.CreateAnd(x[0], x[1]);
    case Opcode::bit_or:
      return b_.CreateOr(x[0], x[1]);
    case Opcode::bit_xor:
      return b_.CreateXor(x[0], x[1]);
    case Opcode::bit_not:
      return b_.CreateNot(x[0]);
    case Opcode::shift_left:
      return shift(i.type, true, x[0], x[1]);
    case Opcode::shift_right:
      return shift(i.type, false, x[0], x[1]);
    default:
      throw InternalError("llvm: " + std::string(jit::name(i.op)) + " of integers");
  }
}

llvm::Value* Emitter::compare(Opcode op, DType type, llvm::Value* a, llvm::Value* b) {
  using P = llvm::CmpInst::Predicate;
  constexpr P floats[] = {P::FCMP_OEQ, P::FCMP_UNE, P::FCMP_OLT,
                          P::FCMP_OLE, P::FCMP_OGT, P::FCMP_OGE};
  constexpr P with_sign[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_SLT,
                             P::ICMP_SLE, P::ICMP_SGT, P::ICMP_SGE};
  constexpr P without[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_ULT,
                           P::ICMP_ULE, P::ICMP_UGT, P::ICMP_UGE};
  const auto k = static_cast<std::size_t>(op) - static_cast<std::size_t>(Opcode::equal);
  if (is_floating(type)) return b_.CreateFCmp(floats[k], a, b);
  return b_.CreateICmp(is_signed_integer(type) ? with_sign[k] : without[k], a, b);
}

/// minimum and maximum: NaN when either is NaN, -0 below +0. x86 has one instruction that gives its
/// second operand when the operands are both zero or one is NaN, so a constant operand is cheap.
llvm::Value* Emitter::float_extremum(bool maximum, llvm::Value* a, llvm::Value* b) {
  using namespace llvm::PatternMatch;
  const llvm::APFloat* constant = nullptr;
  if (match(a, m_APFloat(constant))) std::swap(a, b);
  if (match(b, m_APFloat(constant)) && !constant->isNaN()) {
    // b better ? b : a, which is a for NaN and for two zeros.
    llvm::Value* better = maximum ? b_.CreateFCmpOGT(b, a) : b_.CreateFCmpOLT(b, a);
    llvm::Value* picked = b_.CreateSelect(better, b, a);
    // Of two zeros a may be the wrong one: +0 must win a maximum, -0 a minimum; adding it decides.
    const bool wrong_zero = constant->isZero() && constant->isNegative() != maximum;
    if (!wrong_zero) return picked;
    if (maximum) return b_.CreateFAdd(picked, b);
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::minimum, a, b);
  }
  return b_.CreateBinaryIntrinsic(maximum ? llvm::Intrinsic::maximum : llvm::Intrinsic::minimum, a,
                                  b);
}

/// x / 0 = 0, x % 0 = 0, MIN / -1 = MIN, MIN % -1 = 0: with the divisor 1 in those cases nothing
/// traps, and only the quotient by 0 is left to mend.
llvm::Value* Emitter::divide(DType type, bool remainder, llvm::Value* a, llvm::Value* b) {
  llvm::Type* integer = a->getType();
  llvm::Value* zero = llvm::Constant::getNullValue(integer);
  llvm::Value* one = llvm::ConstantInt::get(integer, 1);
  const bool with_sign = is_signed_integer(type);
  llvm::Value* by_zero = b_.CreateICmpEQ(b, zero);
  llvm::Value* replaced = by_zero;
  if (with_sign) {
    llvm::Value* lowest =
        llvm::ConstantInt::get(integer, llvm::APInt::getSignedMinValue(bits_of(type)));
    llvm::Value* wraps = b_.CreateAnd(b_.CreateICmpEQ(a, lowest),
                                      b_.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(integer)));
    replaced = b_.CreateOr(by_zero, wraps);
  }
  llvm::Value* divisor = b_.CreateSelect(replaced, one, b);
  if (!integer->isVectorTy()) {
    if (remainder) {
      return with_sign ? b_.CreateSRem(a, divisor) : b_.CreateURem(a, divisor);
    }
    llvm::Value* q = with_sign ? b_.CreateSDiv(a, divisor) : b_.CreateUDiv(a, divisor);
    return b_.CreateSelect(by_zero, zero, q);
  }
  llvm::Value* quotient = nullptr;
  if (bits_of(type) < 64) quotient = narrow_quotient(type, a, divisor);
  else if (with_sign) quotient = wide_quotient(a, divisor);
  else quotient = call_helper("noyau_divide_u64", a, divisor);
  if (remainder) return b_.CreateSub(a, b_.CreateMul(quotient, divisor));
  return b_.CreateSelect(by_zero, zero, quotient);
}

/// Vectors have no integer division. Up to 32 bits the truncated floating-point quotient is exact:
/// a / b misses the next integer by at least 1 / b, more than the rounding error.
llvm::Value* Emitter::narrow_quotient(DType type, llvm::Value* a, llvm::Value* divisor) {
  const bool with_sign = is_signed_integer(type);
  llvm::Type* wide_float = wide(bits_of(type) == 32 ? b_.getDoubleTy() : b_.getFloatTy());
  llvm::Value* x = with_sign ? b_.CreateSIToFP(a, wide_float) : b_.CreateUIToFP(a, wide_float);
  llvm::Value* y =
      with_sign ? b_.CreateSIToFP(divisor, wide_float) : b_.CreateUIToFP(divisor, wide_float);
  llvm::Value* q = b_.CreateFDiv(x, y);
  if (bits_of(type) == 32) {
    return with_sign ? b_.CreateFPToSI(q, a->getType()) : b_.CreateFPToUI(q, a->getType());
  }
  return b_.CreateTrunc(b_.CreateFPToSI(q, wide(b_.getInt32Ty())), a->getType());
}

/// int64: a quotient in float64, a second one of what it left, and one step back when the sum went
/// too far. After the first step |rest| <= 2^12 + |divisor|, so the second is off by one at most,
/// and only away from zero.
llvm::Value* Emitter::wide_quotient(llvm::Value* a, llvm::Value* divisor) {
  llvm::Type* integer = a->getType();
  llvm::Type* wide_float = wide(b_.getDoubleTy());
  llvm::Value* y = b_.CreateSIToFP(divisor, wide_float);
  llvm::Value* last = llvm::ConstantFP::get(wide_float, 9223372036854774784.0);
  llvm::Value* q = b_.CreateFDiv(b_.CreateSIToFP(a, wide_float), y);
  q = b_.CreateSelect(b_.CreateFCmpOLT(q, last), q, last);
  llvm::Value* first = b_.CreateFPToSI(q, integer);
  llvm::Value* rest = b_.CreateSub(a, b_.CreateMul(first, divisor));
  llvm::Value* second =
      b_.CreateFPToSI(b_.CreateFDiv(b_.CreateSIToFP(rest, wide_float), y), integer);
  rest = b_.CreateSub(rest, b_.CreateMul(second, divisor));
  llvm::Value* zero = llvm::Constant::getNullValue(integer);
  llvm::Value* too_far =
      b_.CreateAnd(b_.CreateICmpNE(rest, zero), b_.CreateICmpSLT(b_.CreateXor(rest, a), zero));
  llvm::Value* sign =
      b_.CreateOr(b_.CreateAShr(b_.CreateXor(a, divisor), 63), llvm::ConstantInt::get(integer, 1));
  llvm::Value* sum = b_.CreateAdd(first, second);
  return b_.CreateSelect(too_far, b_.CreateSub(sum, sign), sum);
}

/// Counts of the width and more, negative ones included, give 0, or the sign.
llvm::Value* Emitter::shift(DType type, bool left, llvm::Value* a, llvm::Value* n) {
  llvm::Type* integer = a->getType();
  if (!left && is_signed_integer(type)) {
    llvm::Value* last = llvm::ConstantInt::get(integer, bits_of(type) - 1);
    return b_.CreateAShr(a, b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, n, last));
  }
  llvm::Value* fits = b_.CreateICmpULT(n, llvm::ConstantInt::get(integer, bits_of(type)));
  // The count itself must stay in range: a shift too far is poison, not zero.
  llvm::Value* count = b_.CreateSelect(fits, n, llvm::Constant::getNullValue(integer));
  llvm::Value* shifted = left ? b_.CreateShl(a, count) : b_.CreateLShr(a, count);
  return b_.CreateSelect(fits, shifted, llvm::Constant::getNullValue(integer));
}

llvm::Value* Emitter::convert(llvm::Value* x, DType from, DType to) {
  if (from == to) return x;
  llvm::Type* type = like(x, scalar_type(to));
  if (to == bool_) {
    llvm::Value* zero = llvm::Constant::getNullValue(x->getType());
    return is_floating(from) ? b_.CreateFCmpUNE(x, zero) : b_.CreateICmpNE(x, zero);
  }
  if (is_floating(from)) {
    return is_floating(to) ? b_.CreateFPCast(x, type) : float_to_integer(x, from, to);
  }
  if (is_floating(to)) {
    return is_signed_integer(from) ? b_.CreateSIToFP(x, type) : b_.CreateUIToFP(x, type);
  }
  return b_.CreateIntCast(x, type, is_signed_integer(from));
}

/// Truncates and saturates; NaN gives 0. The operand is brought into range first.
llvm::Value* Emitter::float_to_integer(llvm::Value* x, DType from, DType to) {
  const FloatRange range = float_range(to, from);
  llvm::Type* floats = x->getType();
  const auto constant = [&](double c) { return llvm::ConstantFP::get(floats, c); };
  llvm::Value* low = constant(range.low);
  llvm::Value* high = constant(range.high);
  llvm::Value* inside = b_.CreateSelect(b_.CreateFCmpOGT(x, low), x, low);  // NaN becomes low
  inside = b_.CreateSelect(b_.CreateFCmpOLT(inside, high), inside, high);
  const bool narrow = bits_of(to) < 32;
  llvm::Type* integer = like(x, narrow ? b_.getInt32Ty() : scalar_type(to));
  llvm::Value* y = is_signed_integer(to) || narrow ? b_.CreateFPToSI(inside, integer)
                                                   : b_.CreateFPToUI(inside, integer);
  if (narrow) y = b_.CreateTrunc(y, like(x, scalar_type(to)));
  if (!range.high_is_last) {
    const llvm::APInt last = is_signed_integer(to) ? llvm::APInt::getSignedMaxValue(bits_of(to))
                                                   : llvm::APInt::getMaxValue(bits_of(to));
    y = b_.CreateSelect(b_.CreateFCmpOGE(x, constant(range.limit)),
                        llvm::ConstantInt::get(y->getType(), last), y);
  }
  if (!is_signed_integer(to)) return y;
  return b_.CreateSelect(b_.CreateFCmpUNO(x, x), llvm::Constant::getNullValue(y->getType()), y);
}

/// What vectors have no instructions for: a helper of ours works through memory,
/// name(a, b, count): a[k] = a[k] op b[k].
llvm::Value* Emitter::call_helper(const char* name, llvm::Value* a, llvm::Value* b) {
  llvm::Type* pointer = b_.getPtrTy();
  auto* type = llvm::FunctionType::get(b_.getVoidTy(), {pointer, pointer, b_.getInt64Ty()}, false);
  llvm::FunctionCallee helper = module_->getOrInsertFunction(name, type);
  llvm::Value* left = entry_slot(a->getType());
  llvm::Value* right = entry_slot(b->getType());
  b_.CreateStore(a, left);
  b_.CreateStore(b, right);
  const std::uint64_t count = a->getType()->isVectorTy() ? gang_lanes : 1;
  b_.CreateCall(helper, {left, right, b_.getInt64(count)})->setDoesNotThrow();
  return b_.CreateLoad(a->getType(), left);
}

}  // namespace noyau::llvm_backend

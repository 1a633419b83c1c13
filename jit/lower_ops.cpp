// Lowering of operations: addresses, loads, arithmetic by the rows of ops.def, reductions'
// combinations.
// SPDX-License-Identifier: Apache-2.0
#include "jit/lower_ops.hpp"

#include <bit>
#include <limits>

#include "ops/iota_source.hpp"
#include "ops/op_table.hpp"
#include "ops/random_source.hpp"

namespace noyau::jit {

using Kind = KernelOp::Kind;

OpLowering::OpLowering(const Kernel& kernel, std::span<const DType> slot_types,
                       const Options& options)
    : kernel_(kernel),
      options_(options),
      b_(kernel.name, options.domain),
      index_(kernel.axes.size(), no_value),
      values_(kernel.ops.size(), no_value) {
  for (const KernelBuffer& buffer : kernel.buffers) {
    const int k = b_.buffer(buffer.dtype, !buffer.written, buffer.written);
    b_.program().memory[static_cast<std::size_t>(k)].streamed = buffer.written && options.streamed;
  }
  for (std::size_t a = 0; a < kernel.axes.size(); ++a)
    extent_.push_back(
        number(static_cast<std::uint64_t>(kernel.axes[a].extent), fmt::format("extent{}", a)));
  if (kernel.has_rows()) {
    row_size_parameter_ = static_cast<int>(sources_.size());
    row_size_ = number(static_cast<std::uint64_t>(kernel.row_size()), "rows");
  }
  split_extent_ = extent_;
  if (options.vector > 1)
    split_extent_.back() =
        number(static_cast<std::uint64_t>(kernel.axes.back().extent / options.vector), "units");
  declare_divisors();
  for (const KernelOp& op : kernel.ops) {
    for (const AffineMap& map : op.maps)
      for (std::size_t a = 0; a < map.strides.size(); ++a) {
        const std::int64_t s = map.strides[a];
        if (s != 0 && s != 1 && s != -1 && !strides_.count({a, s}))
          strides_[{a, s}] =
              number(static_cast<std::uint64_t>(s), fmt::format("stride{}_{}", a, strides_.size()));
      }
    declare_numbers(op);
    const int slots = op.kind == Kind::iota        ? 2 + (op.exact_last ? 1 : 0)
                      : op.kind == Kind::random    ? 4
                      : op.kind == Kind::roll_load ? static_cast<int>(op.maps.size())
                      : op.slot >= 0               ? 1
                                                   : 0;
    for (std::int32_t k = 0; k < slots; ++k) {
      if (slots_.count(op.slot + k)) continue;
      const int parameter = b_.new_parameter(slot_types[static_cast<std::size_t>(op.slot + k)],
                                             fmt::format("scalar{}", slots_.size()));
      sources_.push_back({op.slot + k, 0});
      slots_[op.slot + k] = b_.parameter(parameter);
    }
  }
}

LoweredKernel OpLowering::take() {
  LoweredKernel result;
  result.program = b_.finish();
  result.parameters = std::move(sources_);
  return result;
}

Value OpLowering::number(DType type, std::uint64_t bits, std::string name) {
  const int parameter = b_.new_parameter(type, std::move(name));
  sources_.push_back({-1, bits});
  return b_.parameter(parameter);
}

void OpLowering::declare_numbers(const KernelOp& op) {
  auto declare = [&](std::int64_t v) {
    if (!numbers_.count(v))
      numbers_[v] = number(static_cast<std::uint64_t>(v), fmt::format("number{}", numbers_.size()));
  };
  if (op.kind == Kind::load || op.kind == Kind::store) return;
  for (const AffineMap& map : op.maps) declare(map.offset);
  for (const auto* list : {&op.extents, &op.strides, &op.low})
    for (std::int64_t v : *list) declare(v);
}

Value OpLowering::number_of(std::int64_t value) { return numbers_.at(value); }

// -- index arithmetic -----------------------------------------------------------------------------

void OpLowering::declare_divisors() {
  // Divisions by an extent are a multiplication and a shift with constants as parameters (Granlund
  // and Montgomery, PLDI 1994): exact for numbers below 2^31. Larger spaces divide.
  std::int64_t size = 1;
  for (const KernelAxis& axis : kernel_.axes) size *= axis.extent;
  if (size >= std::int64_t{1} << 31) return;
  for (std::size_t a = 0; a < kernel_.axes.size(); ++a) {
    const bool last = a + 1 == kernel_.axes.size();
    const auto d = static_cast<std::uint64_t>(
        std::max<std::int64_t>(kernel_.axes[a].extent / (last ? options_.vector : 1), 1));
    const auto shift = static_cast<std::uint64_t>(31 + std::bit_width(d - 1));
    const std::uint64_t multiplier = ((std::uint64_t{1} << shift) + d - 1) / d;
    divisors_[a] = {number(DType::int64, multiplier, fmt::format("multiplier{}", a)),
                    number(DType::int64, shift, fmt::format("shift{}", a))};
  }
}

void OpLowering::split_index(Value rest, std::span<const std::size_t> axes, std::int64_t) {
  for (std::size_t k = axes.size(); k-- > 0;) {
    const std::size_t axis = axes[k];
    Value quotient = no_value, index = rest;
    if (k > 0) {
      const Value extent = split_extent_[axis];
      if (auto d = divisors_.find(axis); d != divisors_.end()) {
        const Value scaled = b_.binary(Opcode::multiply, b_.bitcast(as_int64(rest), DType::uint64),
                                       b_.bitcast(d->second.multiplier, DType::uint64));
        quotient = as_index(b_.bitcast(
            b_.binary(Opcode::shift_right, scaled, b_.bitcast(d->second.shift, DType::uint64)),
            DType::int64));
      } else {
        quotient = b_.binary(Opcode::divide, rest, extent);
      }
      index = b_.binary(Opcode::subtract, rest, b_.binary(Opcode::multiply, quotient, extent));
    }
    const bool units = options_.vector > 1 && axis + 1 == kernel_.axes.size();
    index_[axis] = units ? b_.binary(Opcode::multiply, index, integer(options_.vector)) : index;
    rest = quotient;
  }
}

Value OpLowering::flat_index(std::span<const std::size_t> axes) {
  Value sum = no_value;
  for (std::size_t axis : axes)
    sum = sum == no_value ? index_[axis]
                          : b_.binary(Opcode::add, b_.binary(Opcode::multiply, sum, extent_[axis]),
                                      index_[axis]);
  return sum == no_value ? integer(0) : sum;
}

/// The sum of stride times index; the offset lies in the buffer's address. The innermost axis is
/// added last, so that what does not vary between lanes is summed first.
Value OpLowering::offset(const AffineMap& map) {
  Value sum = no_value;
  for (std::size_t a = 0; a < map.strides.size(); ++a) {
    const std::int64_t s = map.strides[a];
    if (s == 0) continue;
    if (s == -1) {
      sum = sum == no_value ? b_.unary(Opcode::negate, index_[a])
                            : b_.binary(Opcode::subtract, sum, index_[a]);
      continue;
    }
    const Value term =
        s == 1 ? index_[a] : b_.binary(Opcode::multiply, index_[a], strides_.at({a, s}));
    sum = sum == no_value ? term : b_.binary(Opcode::add, sum, term);
  }
  return sum == no_value ? integer(0) : sum;
}

Value OpLowering::coordinate(const AffineMap& map) {
  return b_.binary(Opcode::add, offset(map), number_of(map.offset));
}

// -- operations -----------------------------------------------------------------------------------

void OpLowering::emit(std::size_t k) {
  const KernelOp& op = kernel_.ops[k];
  Value v = no_value;
  switch (op.kind) {
    case Kind::load:
      v = b_.load(op.buffer, address(k));
      break;
    case Kind::store:
      b_.store(op.buffer, address(k), value(op.args[0]));
      break;
    case Kind::scalar:
      v = slot(op.slot);
      break;
    case Kind::cast:
      v = b_.convert(value(op.args[0]), op.dtype);
      break;
    case Kind::iota:
      v = iota(op);
      break;
    case Kind::random:
      v = random(op);
      break;
    case Kind::roll_load:
      v = load_rolled(op);
      break;
    case Kind::pad_load:
      v = load_padded(op);
      break;
    case Kind::elementwise: {
      std::vector<Value> arguments;
      for (std::int32_t a : op.args)
        if (a >= 0) arguments.push_back(value(a));
      const ops::Meaning m = ops::meaning(static_cast<ops::ElementwiseOp>(op.code), op.compute);
      v = b_.inline_function(*m.program, m.function, arguments)[0];
      break;
    }
    // Loops bind the results of real reductions; these are over axes of extent 1.
    case Kind::reduce:
      v = value(op.args[0]);
      break;
    case Kind::arg_reduce:
      v = b_.constant_i64(0);
      break;
  }
  values_[k] = v;
}

Value OpLowering::iota(const KernelOp& op) {
  const Value index = coordinate(op.maps[0]);
  const bool narrow = is_floating(op.dtype) && op.dtype != DType::float64;
  const DType wide = narrow                  ? DType::float32
                     : is_floating(op.dtype) ? DType::float64
                                             : DType::int64;
  const Value start = b_.convert(slot(op.slot), wide), step = b_.convert(slot(op.slot + 1), wide);
  Value v = no_value;
  if (narrow) {
    const ops::Meaning m = ops::float32_iota(b_.type(index));
    v = b_.inline_function(*m.program, m.function, std::vector<Value>{index, start, step})[0];
  } else if (wide == DType::float64) {
    v = b_.ternary(Opcode::fma, b_.convert(index, wide), step, start);
  } else {
    v = b_.binary(Opcode::add, b_.binary(Opcode::multiply, b_.convert(index, wide), step), start);
  }
  v = b_.convert(v, op.dtype);
  if (op.exact_last) {
    const Value last = b_.compare(Opcode::equal, index, number_of(op.extents[0]));
    v = b_.select(last, b_.convert(slot(op.slot + 2), op.dtype), v);
  }
  return v;
}

Value OpLowering::random(const KernelOp& op) {
  const ops::Meaning m = ops::random_function(op.distribution, op.dtype);
  const DType argument = op.distribution == Distribution::integers ? DType::int64 : op.dtype;
  std::vector<Value> arguments{b_.bitcast(as_int64(coordinate(op.maps[0])), DType::uint64),
                               slot(op.slot), slot(op.slot + 1)};
  if (op.distribution == Distribution::uniform || op.distribution == Distribution::integers) {
    arguments.push_back(b_.convert(slot(op.slot + 2), argument));
    arguments.push_back(b_.convert(slot(op.slot + 3), argument));
  }
  return b_.convert(b_.inline_function(*m.program, m.function, arguments)[0], op.dtype);
}

Value OpLowering::load_rolled(const KernelOp& op) {
  Value sum = integer(0);
  const Value zero = integer(0);
  for (std::size_t k = 0; k < op.maps.size(); ++k) {
    const Value shifted = b_.binary(Opcode::subtract, coordinate(op.maps[k]),
                                    as_index(slot(op.slot + static_cast<std::int32_t>(k))));
    const Value wrapped =
        b_.select(b_.compare(Opcode::less, shifted, zero),
                  b_.binary(Opcode::add, shifted, number_of(op.extents[k])), shifted);
    sum =
        b_.binary(Opcode::add, sum, b_.binary(Opcode::multiply, wrapped, number_of(op.strides[k])));
  }
  return b_.load(op.buffer, as_int64(sum));
}

Value OpLowering::load_padded(const KernelOp& op) {
  const Value zero = integer(0), one = integer(1);
  Value sum = zero, inside = no_value;
  for (std::size_t k = 0; k < op.maps.size(); ++k) {
    Value c = coordinate(op.maps[k]);
    if (op.padded[k]) {
      c = b_.binary(Opcode::subtract, c, number_of(op.low[k]));
      const Value last = b_.binary(Opcode::subtract, number_of(op.extents[k]), one);
      if (op.pad_mode == PadMode::reflect) {
        c = b_.unary(Opcode::absolute, c);
        const Value mirrored = b_.binary(Opcode::subtract, b_.binary(Opcode::add, last, last), c);
        c = b_.select(b_.compare(Opcode::greater, c, last), mirrored, c);
      } else {
        const Value clamped = b_.binary(Opcode::maximum, b_.binary(Opcode::minimum, c, last), zero);
        const Value here = b_.compare(Opcode::equal, clamped, c);
        inside = inside == no_value ? here : b_.binary(Opcode::bit_and, inside, here);
        c = clamped;
      }
    }
    sum = b_.binary(Opcode::add, sum, b_.binary(Opcode::multiply, c, number_of(op.strides[k])));
  }
  const Value loaded = b_.load(op.buffer, as_int64(sum));
  if (op.pad_mode != PadMode::constant || op.slot < 0 || inside == no_value) return loaded;
  return b_.select(inside, loaded, b_.convert(slot(op.slot), op.dtype));
}

// -- reductions -----------------------------------------------------------------------------------

namespace {

Scalar extreme(DType type, bool largest) {
  if (is_floating(type)) {
    const double inf = std::numeric_limits<double>::infinity();
    return Scalar::of(largest ? inf : -inf).as(type);
  }
  if (type == DType::boolean) return Scalar::of(largest);
  const int bits = static_cast<int>(size_of(type)) * 8;
  const std::uint64_t ones = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  if (is_unsigned_integer(type)) return {type, largest ? ones : 0};
  return {type, largest ? ones >> 1 : (ones >> 1) + 1};
}

}  // namespace

std::vector<Value> OpLowering::identity(const KernelOp& op) {
  const DType type = op.compute;
  const auto code = static_cast<ReduceOp>(op.code);
  Scalar value = Scalar::of(0).as(type);
  if (code == ReduceOp::product || code == ReduceOp::all) value = Scalar::of(1).as(type);
  if (code == ReduceOp::minimum) value = extreme(type, true);
  if (code == ReduceOp::maximum) value = extreme(type, false);
  std::vector<Value> result{b_.constant(value)};
  // An arg reduction starts past the end, so that any element, even one equal to the identity,
  // wins.
  if (op.kind == Kind::arg_reduce)
    result.push_back(b_.constant_i64(std::numeric_limits<std::int64_t>::max()));
  return result;
}

std::vector<Value> OpLowering::combine(const KernelOp& op, std::span<const Value> a,
                                       std::span<const Value> b) {
  const auto code = static_cast<ReduceOp>(op.code);
  if (op.kind == Kind::arg_reduce) {
    // b wins when it is more extreme, or as extreme and earlier; NaN is the most extreme.
    const Opcode beats = code == ReduceOp::maximum ? Opcode::greater : Opcode::less;
    Value better = b_.compare(beats, b[0], a[0]);
    Value same = b_.compare(Opcode::equal, b[0], a[0]);
    if (is_floating(op.compute)) {
      const Value a_nan = b_.compare(Opcode::not_equal, a[0], a[0]),
                  b_nan = b_.compare(Opcode::not_equal, b[0], b[0]);
      better = b_.binary(Opcode::bit_or, better,
                         b_.binary(Opcode::bit_and, b_nan, b_.unary(Opcode::bit_not, a_nan)));
      same = b_.binary(Opcode::bit_or, same, b_.binary(Opcode::bit_and, a_nan, b_nan));
    }
    const Value earlier = b_.compare(Opcode::less, b[1], a[1]);
    const Value take = b_.binary(Opcode::bit_or, better, b_.binary(Opcode::bit_and, same, earlier));
    return {b_.select(take, b[0], a[0]), b_.select(take, b[1], a[1])};
  }
  Opcode combining = Opcode::add;
  switch (code) {
    case ReduceOp::sum:
      combining = Opcode::add;
      break;
    case ReduceOp::product:
      combining = Opcode::multiply;
      break;
    case ReduceOp::minimum:
      combining = Opcode::minimum;
      break;
    case ReduceOp::maximum:
      combining = Opcode::maximum;
      break;
    case ReduceOp::any:
      combining = Opcode::bit_or;
      break;
    case ReduceOp::all:
      combining = Opcode::bit_and;
      break;
  }
  return {b_.binary(combining, a[0], b[0])};
}

bool OpLowering::is_dear(const KernelOp& op) {
  if (op.kind == Kind::random) return true;
  if (op.kind != Kind::elementwise) return false;
  const auto meaning = ops::row(op.code).meaning;
  return meaning.find("exp") != std::string_view::npos ||
         meaning.find("log") != std::string_view::npos ||
         meaning.find('/') != std::string_view::npos ||
         meaning.find("sin") != std::string_view::npos ||
         meaning.find("cos") != std::string_view::npos ||
         meaning.find("tan") != std::string_view::npos ||
         meaning.find("erf") != std::string_view::npos ||
         meaning.find("power") != std::string_view::npos ||
         meaning.find("sqrt") != std::string_view::npos;
}

}  // namespace noyau::jit

// Programs that say everything a Program can say, with launches of them.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/program_cases.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "jit/interpret.hpp"
#include "noyau/error.hpp"
#include "ops/math.hpp"

namespace noyau::jit::testing {
namespace {

bool is_nan(const HostBuffer& b, std::size_t k) {
  if (b.dtype == float32) return std::isnan(b.values<float>()[k]);
  if (b.dtype == float64) return std::isnan(b.values<double>()[k]);
  if (is_half(b.dtype)) {
    return std::isnan(Scalar{b.dtype, b.values<std::uint16_t>()[k]}.to_double());
  }
  return false;
}

template <class T>
std::vector<T> special_values() {
  using L = std::numeric_limits<T>;
  if constexpr (std::is_same_v<T, bool>) {
    return {false, true};
  } else if constexpr (std::is_floating_point_v<T>) {
    return {T(0),
            -T(0),
            T(1),
            T(-1),
            T(0.5),
            T(-0.5),
            T(1.5),
            T(2.5),
            T(-2.5),
            T(3.7),
            T(-3.7),
            T(127.5),
            T(-128.5),
            T(255.9),
            T(256),
            T(-1e-3),
            T(32767.5),
            T(-32769),
            T(2147483520.),
            T(2147483648.),
            T(-2147483648.),
            T(4294967296.),
            T(9.2233720368547758e18),
            T(-9.2233720368547758e18),
            T(1.8446744073709552e19),
            T(1e30),
            T(-1e30),
            L::min(),
            L::denorm_min(),
            -L::denorm_min(),
            L::max(),
            L::lowest(),
            L::infinity(),
            -L::infinity(),
            L::quiet_NaN(),
            L::epsilon(),
            T(16777217.),
            T(4503599627370497.5)};
  } else {
    std::vector<T> v = {T(0),
                        T(1),
                        T(2),
                        T(3),
                        T(5),
                        T(7),
                        T(8),
                        T(10),
                        T(31),
                        T(32),
                        T(33),
                        T(63),
                        T(64),
                        T(65),
                        T(100),
                        L::max(),
                        T(L::max() - 1),
                        T(L::max() / 2),
                        T(L::max() / 3),
                        L::min(),
                        T(L::min() + 1),
                        T(L::min() / 2)};
    if constexpr (std::is_signed_v<T>) {
      for (const int k : {-1, -2, -3, -7, -8, -10, -31, -32, -33, -64, -100}) v.push_back(T(k));
    }
    if constexpr (sizeof(T) == 8) {
      for (const double big : {3.3e18, 4503599627370497., 1e15, 1234567890123.})
        v.push_back(T(big));
      if constexpr (std::is_signed_v<T>) v.push_back(T(-3.3e18));
    }
    return v;
  }
}

template <class Function>
void with_type(DType type, Function f) {
  switch (type) {
    case DType::boolean:
      return f(bool{});
    case DType::int8:
      return f(std::int8_t{});
    case DType::int16:
      return f(std::int16_t{});
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::uint8:
      return f(std::uint8_t{});
    case DType::uint16:
      return f(std::uint16_t{});
    case DType::uint32:
      return f(std::uint32_t{});
    case DType::uint64:
      return f(std::uint64_t{});
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::float16:
    case DType::bfloat16:
      throw InternalError("C++ has no type for halves");
  }
}

/// Gangs with no huge argument, with some, and with nothing else: sin, cos and tan branch.
std::vector<Scalar> math_arguments(DType type, unsigned seed) {
  std::vector<Scalar> values = specials(type);
  std::uint64_t state = seed;
  for (int k = 0; k < 1000; ++k) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double part = static_cast<double>(state >> 11) * 0x1p-53 - 0.5;
    const bool huge = k > 700 || (k > 400 && k % 7 == 0);
    const double x = huge ? std::ldexp(part, 20 + k % 100) : 20 * part;
    values.push_back(Scalar::of(x).as(type));
  }
  return values;
}

}  // namespace

std::vector<HostBuffer> interpreted(const Program& program, const Extent& extent,
                                    const std::vector<std::uint64_t>& parameters,
                                    const std::vector<HostBuffer>& buffers) {
  std::vector<HostBuffer> after = buffers;
  std::vector<InterpreterBuffer> arguments;
  for (HostBuffer& b : after) arguments.push_back(b.argument());
  interpret(program, extent, arguments, parameters);
  return after;
}

::testing::AssertionResult same(const std::vector<HostBuffer>& a,
                                const std::vector<HostBuffer>& b) {
  for (std::size_t n = 0; n < a.size(); ++n) {
    const std::size_t size = size_of(a[n].dtype);
    for (std::size_t k = 0; k * size < a[n].bytes.size(); ++k) {
      const bool equal =
          std::equal(a[n].bytes.begin() + static_cast<std::ptrdiff_t>(k * size),
                     a[n].bytes.begin() + static_cast<std::ptrdiff_t>((k + 1) * size),
                     b[n].bytes.begin() + static_cast<std::ptrdiff_t>(k * size));
      if (equal || (is_nan(a[n], k) && is_nan(b[n], k))) continue;
      std::uint64_t x = 0, y = 0;
      std::memcpy(&x, a[n].bytes.data() + k * size, size);
      std::memcpy(&y, b[n].bytes.data() + k * size, size);
      return ::testing::AssertionFailure()
             << "buffer " << n << ", element " << k << ": bits " << std::hex << x
             << " on the device, " << y << " interpreted";
    }
  }
  return ::testing::AssertionSuccess();
}

std::vector<Scalar> specials(DType type) {
  std::vector<Scalar> found;
  if (is_half(type)) {
    for (const Scalar& s : specials(float32)) found.push_back(s.as(type));
    // The ends of the subnormals, the normals and the NaNs of both.
    for (const std::uint64_t bits :
         {0x0001u, 0x007fu, 0x0080u, 0x03ffu, 0x0400u, 0x7bffu, 0x7c00u, 0x7c01u, 0x7f7fu, 0x7f80u,
          0x7f81u, 0x7fffu, 0x8001u, 0xfbffu, 0xff80u, 0xffffu}) {
      found.push_back({type, bits});
    }
    return found;
  }
  with_type(type, [&](auto zero) {
    for (const auto v : special_values<decltype(zero)>()) {
      found.push_back(Scalar::of(static_cast<decltype(zero)>(v)));
    }
  });
  return found;
}

HostBuffer buffer_of(DType type, const std::vector<Scalar>& values) {
  HostBuffer b{type, std::vector<unsigned char>(values.size() * size_of(type))};
  for (std::size_t k = 0; k < values.size(); ++k) {
    std::memcpy(b.bytes.data() + k * size_of(type), &values[k].bits, size_of(type));
  }
  return b;
}
HostBuffer zeros(DType type, std::size_t elements) {
  return {type, std::vector<unsigned char>(elements * size_of(type))};
}

bool has_meaning(Opcode op, DType t) {
  if (is_half(t)) return false;
  if (op == Opcode::sqrt || op == Opcode::floor || op == Opcode::ceil || op == Opcode::trunc ||
      op == Opcode::rint || op == Opcode::fma) {
    return is_floating(t);
  }
  if (op >= Opcode::bit_and && op <= Opcode::bit_not) return !is_floating(t);
  if (op == Opcode::shift_left || op == Opcode::shift_right) return is_integer(t);
  return t != bool_ || is_comparison(op);
}

Program binary_program(Opcode op, DType type, Second second, bool uniform_first, Scalar constant) {
  KernelBuilder b("binary");
  const int x = b.buffer(type, true, false), y = b.buffer(type, true, false);
  const bool comparison = is_comparison(op);
  const int z = b.buffer(comparison ? bool_ : type, false, true);
  const int p = b.new_parameter(type), q = b.new_parameter(type);
  const Value i = b.item(0);
  const Value first = uniform_first ? b.parameter(q) : b.load(x, i);
  const Value other = second == Second::loaded      ? b.load(y, i)
                      : second == Second::parameter ? b.parameter(p)
                                                    : b.constant(constant);
  b.store(z, i, comparison ? b.compare(op, first, other) : b.binary(op, first, other));
  return b.finish();
}

void visit_binary(DType type, const Visit& visit) {
  const std::vector<Scalar> values = specials(type);
  std::vector<Scalar> left, right;
  for (const Scalar& a : values) {
    for (const Scalar& b : values) {
      left.push_back(a);
      right.push_back(b);
    }
  }
  const auto n = static_cast<std::int64_t>(left.size());
  for (int k = 0; k < opcode_count; ++k) {
    const auto op = static_cast<Opcode>(k);
    const bool binary = operand_count_of(op) == 2 && (is_arithmetic(op) || is_comparison(op));
    if (!binary || !has_meaning(op, type)) continue;
    visit(binary_program(op, type, Second::loaded, false, {type, 0}), {n, 1, 1}, {0, 0},
          {buffer_of(type, left), buffer_of(type, right),
           zeros(is_comparison(op) ? bool_ : type, left.size())});
  }
}

/// Some instructions are emitted in another way when an operand is a constant.
void visit_constant_operands(DType type, const Visit& visit) {
  const std::vector<Scalar> values = specials(type);
  const auto n = static_cast<std::int64_t>(values.size());
  for (const Opcode op : {Opcode::minimum, Opcode::maximum, Opcode::shift_left, Opcode::shift_right,
                          Opcode::divide, Opcode::remainder}) {
    if (!has_meaning(op, type)) continue;
    const bool all = is_floating(type) && op != Opcode::remainder && op != Opcode::divide;
    for (std::size_t k = 0; k < values.size(); k += all ? 1 : 4) {
      visit(binary_program(op, type, Second::constant, false, values[k]), {n, 1, 1}, {0, 0},
            {buffer_of(type, values), buffer_of(type, values), zeros(type, values.size())});
    }
  }
}

void visit_unary(DType type, const Visit& visit) {
  const std::vector<Scalar> values = specials(type);
  const auto n = static_cast<std::int64_t>(values.size());
  for (const Opcode op : {Opcode::negate, Opcode::absolute, Opcode::sqrt, Opcode::floor,
                          Opcode::ceil, Opcode::trunc, Opcode::rint, Opcode::bit_not}) {
    if (!has_meaning(op, type)) continue;
    KernelBuilder b("unary");
    const int x = b.buffer(type, true, false), z = b.buffer(type, false, true);
    const int u = b.buffer(type, false, true), p = b.new_parameter(type);
    const Value i = b.item(0);
    b.store(z, i, b.unary(op, b.load(x, i)));
    b.store(u, i, b.unary(op, b.parameter(p)));
    const Program program = b.finish();
    const std::vector<HostBuffer> buffers = {buffer_of(type, values), zeros(type, values.size()),
                                             zeros(type, values.size())};
    for (std::size_t k = 0; k < values.size(); k += 3) {
      visit(program, {n, 1, 1}, {values[k].bits}, buffers);
    }
  }
}

void visit_conversions(DType type, const Visit& visit) {
  const DType from = type;
  const std::vector<Scalar> values = specials(from);
  const auto n = static_cast<std::int64_t>(values.size());
  for (int k = 0; k < dtype_count; ++k) {
    const auto to = static_cast<DType>(k);
    for (const bool bits : {false, true}) {
      if (to == from) continue;
      if (bits && (size_of(to) != size_of(from) || to == bool_ || from == bool_)) continue;
      KernelBuilder b("convert");
      const int x = b.buffer(from, true, false), z = b.buffer(to, false, true);
      const int u = b.buffer(to, false, true);
      const Value i = b.item(0);
      const Value loaded = b.load(x, i), uniform = b.load(x, b.item(1));
      b.store(z, i, bits ? b.bitcast(loaded, to) : b.convert(loaded, to));
      // The last row's stays.
      b.store(u, b.item(1), bits ? b.bitcast(uniform, to) : b.convert(uniform, to));
      visit(b.finish(), {n, n, 1}, {},
            {buffer_of(from, values), zeros(to, values.size()), zeros(to, values.size())});
    }
  }
}

void visit_addresses(DType type, const Visit& visit) {
  const std::vector<Scalar> values = specials(type);
  constexpr std::int64_t rows = 3;
  for (const std::int64_t n : {1, 5, 31, 32, 33, 63, 64, 65, 70}) {
    for (int kind = 0; kind < 6; ++kind) {
      std::vector<Scalar> input;
      std::vector<std::int64_t> order;
      for (std::int64_t k = 0; k < 4 * n * rows; ++k) {
        input.push_back(values[static_cast<std::size_t>(k) % values.size()]);
        order.push_back((k * 7 + 3) % n);
      }
      KernelBuilder b("addresses");
      const int x = b.buffer(type, true, false), j = b.buffer(int64, true, false);
      const int z = b.buffer(type, false, true);
      const int stride = b.new_parameter(int64), row = b.new_parameter(int64);
      const Value i = b.item(0);
      const Value start = b.binary(Opcode::multiply, b.item(1), b.parameter(row));
      const Value last = b.binary(Opcode::subtract, b.parameter(row), b.constant_i64(1));
      Value in = i, out = i;
      if (kind == 1) in = b.unary(Opcode::negate, b.binary(Opcode::subtract, i, last));
      if (kind == 2) in = b.binary(Opcode::multiply, i, b.parameter(stride));
      if (kind == 3) out = b.binary(Opcode::multiply, b.constant_i64(3), i);
      if (kind == 4) in = b.load(j, i);
      if (kind == 5) in = b.constant_i64(2);
      if (kind == 5) out = b.binary(Opcode::multiply, i, b.constant_i64(0));
      const Value loaded = b.load(x, b.binary(Opcode::add, start, in));
      b.store(z, b.binary(Opcode::add, start, out), loaded);
      b.program().memory.back().streamed = kind < 3;
      visit(b.finish(), {n, rows, 1}, {3, static_cast<std::uint64_t>(n)},
            {buffer_of(type, input), HostBuffer::of(order), zeros(type, input.size())});
    }
  }
}

void visit_fma_and_select(const Visit& visit) {
  for (const DType type : {float32, float64}) {
    const std::vector<Scalar> values = specials(type);
    std::vector<Scalar> a, b, c;
    for (const Scalar& x : values) {
      for (const Scalar& y : values) {
        for (const Scalar& z : values) {
          a.push_back(x);
          b.push_back(y);
          c.push_back(z);
        }
      }
    }
    KernelBuilder k("fma");
    const int x = k.buffer(type, true, false), y = k.buffer(type, true, false);
    const int z = k.buffer(type, true, true);
    const Value i = k.item(0), vx = k.load(x, i), vy = k.load(y, i), vz = k.load(z, i);
    const Value fused = k.ternary(Opcode::fma, vx, vy, vz);
    k.store(z, i, k.select(k.compare(Opcode::less, vx, vy), fused, vx));
    visit(k.finish(), {static_cast<std::int64_t>(a.size()), 1, 1}, {},
          {buffer_of(type, a), buffer_of(type, b), buffer_of(type, c)});
  }
}

void visit_math(const Visit& visit) {
  const FunctionLibrary& library = ops::math_library();
  for (const ops::MathAccuracy& row : ops::math_accuracy()) {
    for (const DType type : {float32, float64}) {
      const bool two = row.function == "pow" || row.function == "atan2";
      const std::vector<DType> types(two ? 2 : 1, type);
      KernelBuilder k{std::string(row.function)};
      std::vector<HostBuffer> buffers;
      std::vector<Value> inputs;
      const Value i = k.item(0);
      for (unsigned n = 0; n < types.size(); ++n) {
        buffers.push_back(buffer_of(type, math_arguments(type, n + 1)));
        inputs.push_back(k.load(k.buffer(type, true, false), i));
      }
      const auto n = static_cast<std::int64_t>(math_arguments(type, 1).size());
      buffers.push_back(zeros(type, static_cast<std::size_t>(n)));
      const int out = k.buffer(type, false, true);
      k.program().memory[static_cast<std::size_t>(out)].streamed = true;
      const Value function = library.find(row.function, types)->function;
      k.store(out, i, k.inline_function(library.program, function, inputs)[0]);
      visit(k.finish(), {n, 1, 1}, {}, buffers);
    }
  }
}

void visit_transposed_loads(const Visit& visit) {
  const std::vector<std::array<std::int64_t, 3>> extents = {
      {1, 1, 1}, {5, 70, 2}, {32, 31, 3}, {33, 33, 2}, {70, 64, 1}, {300, 501, 1}};
  for (const DType type : {bool_, int16, float32, float64}) {
    for (const auto& e : extents) {
      KernelBuilder b("transpose");
      const int x = b.buffer(type, true, false), z = b.buffer(type, false, true);
      b.program().memory.back().streamed = e[0] != 33;
      const int width = b.new_parameter(int64), height = b.new_parameter(int64);
      const auto op = [&](Opcode o, Value l, Value r) { return b.binary(o, l, r); };
      const Value plane = op(Opcode::multiply, b.item(2),
                             op(Opcode::multiply, b.parameter(width), b.parameter(height)));
      const Value in = op(Opcode::add, op(Opcode::add, b.item(1), plane),
                          op(Opcode::multiply, b.item(0), b.parameter(height)));
      const Value out = op(Opcode::add, op(Opcode::multiply, b.item(1), b.parameter(width)),
                           op(Opcode::add, b.item(0), plane));
      b.store(z, out, b.load(x, in));
      const auto size = static_cast<std::size_t>(e[0] * e[1] * e[2]);
      std::vector<Scalar> input;
      for (std::size_t k = 0; k < size; ++k) {
        input.push_back(Scalar::of(static_cast<int>(k * 7 % 1013)).as(type));
      }
      visit(b.finish(), e, {static_cast<std::uint64_t>(e[0]), static_cast<std::uint64_t>(e[1])},
            {buffer_of(type, input), zeros(type, size)});
    }
  }
}

void visit_private_arrays(const Visit& visit) {
  const Program program = parse_program(R"(
buffer x: int32 read
buffer y: int32 written
private mine: int32[5]
%i = item 0
%zero: int64 = constant 0
%one: int64 = constant 1
%five: int64 = constant 5
%z32: int32 = constant 0
%n = multiply %i, %five
loop %zero
  %k = loop_param
  %more = less %k, %five
while %more
  %at = add %n, %k
  %v = load x[%at]
  store mine[%k], %v
  %k2 = add %k, %one
  yield %k2
loop %zero, %z32
  %j = loop_param
  %sum = loop_param
  %again = less %j, %five
while %again
  %r = add %i, %j
  %slot = remainder %r, %five
  %w = load mine[%slot]
  store mine[%slot], %sum
  %sum2 = add %sum, %w
  %sum3 = add %sum2, %sum
  %j2 = add %j, %one
  yield %j2, %sum3
store y[%i], %sum
)");
  std::vector<std::int32_t> x(5 * 70);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<std::int32_t>(k * k % 97);
  for (const std::int64_t n : {1, 31, 32, 70}) {
    visit(program, {n, 1, 1}, {},
          {HostBuffer::of(x), HostBuffer::of(std::vector<std::int32_t>(70))});
  }
}

void visit_streamed_rows(const Visit& visit) {
  Program program = parse_program(R"(blocks 32
parameter n: int64
buffer x: float32 read
buffer y: float32 written
%t = thread 0
%row = block 0
%n = parameter n
%start = multiply %row, %n
%end = add %start, %n
%step: int64 = constant 32
loop %start
  %p = loop_param
  %after = add %p, %step
  %whole = less_equal %after, %end
while %whole
  %i = add %p, %t
  %v = load x[%i]
  %w = add %v, %v
  store y[%i], %w
  yield %after
%last = add %p, %t
%inside = less %last, %end
if %inside
  %u = load x[%last]
  %u2 = add %u, %u
  store y[%last], %u2
  yield
)");
  program.memory[1].streamed = true;
  for (const std::int64_t n : {1, 31, 32, 64, 70, 96, 100}) {
    const std::vector<float> x = random_floats(static_cast<std::size_t>(5 * n), 7);
    visit(program, {5, 1, 1}, {static_cast<std::uint64_t>(n)},
          {HostBuffer::of(x), HostBuffer::of(std::vector<float>(x.size()))});
  }
}

void visit_shuffles_and_votes(const Visit& visit) {
  for (const std::string mode : {"index", "exclusive_or", "down", "up"}) {
    for (const int threads : {1, 5, 31, 32, 34, 64, 96}) {
      for (const std::string lane : {"%three", "%loaded", "%thirty_three"}) {
        const std::string text =
            "blocks " + std::to_string(threads) +
            "\nbuffer x: int64 read written\nbuffer v: int64 written\n%t = thread 0\n%b = block 0\n"
            "%threads: int64 = constant " +
            std::to_string(threads) +
            "\n%first = multiply %b, %threads\n%i = add %first, %t\n%three: int64 = constant 3\n"
            "%thirty_three: int64 = constant 33\n%loaded = load x[%i]\n%twice = add %loaded, %i\n"
            "%s = shuffle " +
            mode + " %twice, " + lane + "\nstore x[%i], %s\n%c = less %twice, %thirty_three\n" +
            "%any = vote any %c\n%all = vote all %c\n%a1: int64 = convert %any\n"
            "%a2: int64 = convert %all\n%votes = add %a1, %a2\nstore v[%i], %votes";
        std::vector<std::int64_t> x(static_cast<std::size_t>(threads) * 3);
        for (std::size_t k = 0; k < x.size(); ++k) {
          x[k] = static_cast<std::int64_t>(k * 5 % 37) - 2;
        }
        visit(parse_program(text), {3, 1, 1}, {}, {HostBuffer::of(x), HostBuffer::of(x)});
      }
    }
  }
}

void visit_block_shapes(const Visit& visit) {
  const std::vector<std::array<int, 3>> shapes = {{1, 1, 1}, {7, 1, 1},  {32, 2, 3}, {64, 2, 2},
                                                  {5, 4, 3}, {1, 33, 1}, {48, 2, 1}};
  for (const auto& s : shapes) {
    KernelBuilder b("threads", Domain::blocks);
    int total = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      b.program().block_size[axis] = s[axis];
      total *= s[axis];
    }
    const int z = b.buffer(int64, false, true);
    const auto times = [&](Value v, std::int64_t by) {
      return b.binary(Opcode::multiply, v, b.constant_i64(by));
    };
    const auto plus = [&](Value x, Value y) { return b.binary(Opcode::add, x, y); };
    const Value t = plus(plus(b.thread(0), times(b.thread(1), s[0])),
                         times(b.thread(2), std::int64_t{s[0]} * s[1]));
    const Value number = plus(plus(b.block(0), times(b.block(1), 3)), times(b.block(2), 6));
    const Value at = plus(times(number, total), t);
    const Value tag = plus(plus(times(b.thread(0), 1000), times(b.thread(1), 100)),
                           plus(times(b.thread(2), 10), number));
    b.store(z, at, tag);
    visit(b.finish(), {3, 2, 2}, {},
          {HostBuffer::of(std::vector<std::int64_t>(static_cast<std::size_t>(total) * 12, -1))});
  }
}

void visit_atomics(const Visit& visit) {
  for (const std::string type : {"int32", "int64", "uint64", "float32", "float64"}) {
    for (const std::string op : {"add", "minimum", "maximum", "exchange", "bit_xor"}) {
      if (op == "bit_xor" && type.starts_with("float")) continue;
      const std::string text = "buffer x: " + type + " read\nbuffer h: " + type +
                               " read written\nbuffer old: " + type +
                               " written\n%i = item 0\n%three: int64 = constant 3\n"
                               "%bin = remainder %i, %three\n%v = load x[%i]\n%o = atomic " +
                               op + " relaxed h[%bin], %v\nstore old[%i], %o";
      const DType dtype = parse_program(text).memory[0].dtype;
      std::vector<Scalar> x;
      for (int k = 0; k < 70; ++k) x.push_back(Scalar::of((k * 13 % 31) - 9).as(dtype));
      visit(parse_program(text), {70, 1, 1}, {},
            {buffer_of(dtype, x), zeros(dtype, 3), zeros(dtype, 70)});
    }
  }
}

}  // namespace noyau::jit::testing

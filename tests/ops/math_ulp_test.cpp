// Measures the error of every mathematical function in the interpreter and holds it to its bound.
// SPDX-License-Identifier: Apache-2.0
//
// The reference is the C library in long double (float64) or double (float32). Arguments: special
// values, numbers of every magnitude (random bits), a range where the function is interesting and,
// for sin, cos and tan, the neighbours of multiples of pi/2. NOYAU_UPDATE_TABLES=1 rewrites
// docs/ulp_table.md.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>

#include "jit/interpret.hpp"
#include "ops/math.hpp"

namespace noyau::ops {
namespace {

using Reference = long double (*)(long double, long double);

struct Function {
  const char* name;
  int inputs;
  Reference reference;
  double low, high;  ///< of both inputs, where it is interesting
};

/// cos and sin of pi x from the nearest quarter turn, so that zeros and ones are exact.
long double cos_pi(long double x, long double) {
  x = std::fmod(std::fabs(x), 2.0L);
  if (!(x <= 2)) return x;
  const long double quarter = std::rint(2 * x);
  const long double r = (x - quarter / 2) * 3.14159265358979323846264338L;
  const int q = static_cast<int>(quarter) & 3;
  const long double v = q % 2 == 0 ? std::cos(r) : -std::sin(r);
  return (q < 2 ? v : -v) + 0.0L;
}
long double sin_pi(long double x, long double) {
  const long double r = std::fmod(std::fabs(x), 2.0L);
  const long double v = cos_pi(r < 0.5L ? 0.5L - r : r - 0.5L, 0);
  if (std::fabs(x) < 0.125L) return std::sin(x * 3.14159265358979323846264338L);
  return v == 0 ? std::copysign(0.0L, x) : std::signbit(x) ? -v : v;
}

#define NOYAU_UNARY(name, low, high)                                             \
  {                                                                              \
#name, 1, [](long double x, long double) { return std::name(x); }, low, high \
  }
const Function functions[] = {
    NOYAU_UNARY(exp, -110, 95),
    NOYAU_UNARY(exp2, -155, 130),
    NOYAU_UNARY(expm1, -20, 90),
    NOYAU_UNARY(log, 0.5, 2),
    NOYAU_UNARY(log2, 0.5, 2),
    NOYAU_UNARY(log10, 0.5, 2),
    NOYAU_UNARY(log1p, -0.7, 1.5),
    {"pow", 2, [](long double x, long double y) { return std::pow(x, y); }, 0.01, 40},
    NOYAU_UNARY(sin, -40, 40),
    NOYAU_UNARY(cos, -40, 40),
    NOYAU_UNARY(tan, -40, 40),
    {"sinpi", 1, sin_pi, -4, 4},
    {"cospi", 1, cos_pi, -4, 4},
    NOYAU_UNARY(asin, -1, 1),
    NOYAU_UNARY(acos, -1, 1),
    NOYAU_UNARY(atan, -3, 3),
    {"atan2", 2, [](long double y, long double x) { return std::atan2(y, x); }, -4, 4},
    NOYAU_UNARY(sinh, -4, 4),
    NOYAU_UNARY(cosh, -4, 4),
    NOYAU_UNARY(tanh, -5, 5),
    NOYAU_UNARY(erf, -4, 4),
    {"rsqrt", 1, [](long double x, long double) { return 1 / std::sqrt(x); }, 0.1, 10},
};
#undef NOYAU_UNARY

/// The arguments that every function is tried with, in all pairs where it has two.
template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  const T huge = sizeof(T) == 4 ? static_cast<T>(0x1.86a002p16)  // just past the branch of sin
                                : static_cast<T>(0x1.dcd6500000001p29);
  std::vector<T> values = {0,
                           1,
                           T(0.5),
                           T(1.5),
                           2,
                           3,
                           T(1e-5),
                           10,
                           T(2.5),
                           16777216,
                           huge,
                           Limits::min(),
                           Limits::denorm_min(),
                           Limits::max(),
                           Limits::infinity(),
                           Limits::epsilon(),
                           std::nextafter(T(1), T(0)),
                           std::nextafter(T(1), T(2)),
                           static_cast<T>(6381956970095103.0 * 0x1p797)};  // next to a zero of cos
  for (std::size_t k = 0, n = values.size(); k < n; ++k) values.push_back(-values[k]);
  values.push_back(Limits::quiet_NaN());
  return values;
}

template <class T>
std::vector<T> arguments(const Function& f, int input, int count) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  std::mt19937_64 random(static_cast<std::uint64_t>(1 + input));
  std::uniform_real_distribution<double> range(f.low, f.high), exponent(-30, 30);
  const std::vector<T> special = special_values<T>();
  std::vector<T> values;
  for (std::size_t k = 0; k < special.size() * special.size(); ++k) {
    values.push_back(input == 0 ? special[k % special.size()] : special[k / special.size()]);
    if (f.inputs == 1 && values.size() == special.size()) break;
  }
  for (int k = 0; k < count; ++k) {
    T x = static_cast<T>(range(random));
    const auto bits = static_cast<Bits>(random());
    if (k % 4 == 1) std::memcpy(&x, &bits, sizeof x);
    if (k % 4 == 2) x = static_cast<T>((k % 8 == 2 ? -1 : 1) * std::exp2(exponent(random)));
    if (k % 8 == 3) {  // the floats around multiples of pi/2
      x = static_cast<T>(1.57079632679489661923 * static_cast<double>(random() % 1'000'000));
      x = std::nextafter(x, static_cast<T>(k % 16 == 3 ? 0 : 1e9));
    }
    values.push_back(x);
  }
  return values;
}

template <class T>
std::vector<T> interpreted(const Function& f, std::vector<std::vector<T>>& inputs) {
  constexpr DType type = dtype_of<T>();
  const jit::FunctionLibrary& library = math_library();
  const std::vector<DType> types(static_cast<std::size_t>(f.inputs), type);
  const auto* entry = library.find(f.name, types);
  if (entry == nullptr) throw std::runtime_error(fmt::format("no {}", f.name));
  jit::KernelBuilder builder(f.name);
  const jit::Value item = builder.item(0);
  std::vector<jit::Value> loaded;
  for (int k = 0; k < f.inputs; ++k) {
    loaded.push_back(builder.load(builder.buffer(type, true, false), item));
  }
  const jit::Value y = builder.inline_function(library.program, entry->function, loaded)[0];
  builder.store(builder.buffer(type, false, true), item, y);
  std::vector<T> out(inputs[0].size());
  std::vector<jit::InterpreterBuffer> buffers;
  for (auto& input : inputs) {
    buffers.push_back({input.data(), static_cast<std::int64_t>(input.size())});
  }
  buffers.push_back({out.data(), static_cast<std::int64_t>(out.size())});
  const std::int64_t extent[3] = {static_cast<std::int64_t>(out.size()), 1, 1};
  jit::interpret(builder.finish(), extent, buffers, {});
  return out;
}

/// Units in the last place of T at `expected`; infinity where NaN, infinity or the sign of zero
/// are wrong.
template <class T>
double error_in_ulp(T got, long double expected) {
  using Limits = std::numeric_limits<T>;
  const T rounded = static_cast<T>(expected);
  if (std::isnan(rounded)) return std::isnan(got) ? 0 : HUGE_VAL;
  if (std::isinf(rounded) || rounded == 0 || std::isinf(got)) {
    const bool same = got == rounded && std::signbit(got) == std::signbit(rounded);
    if (same) return 0;
    // Overflow and underflow may come one unit early or late.
    if (std::isinf(expected) || expected == 0 || std::isnan(got)) return HUGE_VAL;
    if (std::isinf(rounded)) return std::fabs(got) == Limits::max() ? 1 : HUGE_VAL;
    if (std::isinf(got)) return std::fabs(rounded) == Limits::max() ? 1 : HUGE_VAL;
  }
  int exponent = 0;
  std::frexp(expected, &exponent);
  const int last = std::max(exponent - Limits::digits, Limits::min_exponent - Limits::digits);
  return static_cast<double>(std::fabs(got - expected) / std::ldexp(1.0L, last));
}

template <class T>
double measure(const Function& f, int count, std::string& worst) {
  std::vector<std::vector<T>> inputs;
  for (int k = 0; k < f.inputs; ++k) inputs.push_back(arguments<T>(f, k, count));
  const std::vector<T> out = interpreted(f, inputs);
  double largest = 0;
  for (std::size_t k = 0; k < out.size(); ++k) {
    const T x = inputs[0][k], y = f.inputs > 1 ? inputs[1][k] : T(0);
    const long double expected =
        sizeof(T) == 4 ? static_cast<long double>(f.reference(x, y)) : f.reference(x, y);
    const double error = error_in_ulp(out[k], expected);
    if (error <= largest) continue;
    largest = error;
    worst = fmt::format("{}({:a}, {:a}) = {:a}, expected {:a}", f.name, x, y, out[k],
                        static_cast<double>(expected));
  }
  return largest;
}

TEST(Math, every_function_keeps_its_bound_in_units_in_the_last_place) {
  const bool update = std::getenv("NOYAU_UPDATE_TABLES") != nullptr;
  const int count = update ? 200'000 : 6'000;
  std::string table =
      "| function | float32: bound | measured | float64: bound | measured |\n"
      "|---|---|---|---|---|\n";
  std::map<std::string_view, const Function*> by_name;
  for (const Function& f : functions) by_name[f.name] = &f;
  ASSERT_EQ(std::size(functions), math_accuracy().size());
  for (const MathAccuracy& row : math_accuracy()) {
    ASSERT_TRUE(by_name.contains(row.function)) << row.function;
    const Function& f = *by_name[row.function];
    std::string worst_single, worst_double;
    const double single = measure<float>(f, count, worst_single);
    const double wide = measure<double>(f, count, worst_double);
    EXPECT_LE(single, row.float32) << worst_single;
    EXPECT_LE(wide, row.float64) << worst_double;
    EXPECT_GT(single, 0.3) << row.function << ": an error so small is an error of the test";
    EXPECT_GT(wide, 0.3) << row.function << ": an error so small is an error of the test";
    table += fmt::format("| {} | {} | {:.2f} | {} | {:.2f} |\n", row.function, row.float32, single,
                         row.float64, wide);
  }
  fmt::print("{}", table);
  const std::string path = NOYAU_SOURCE_DIR "/docs/ulp_table.md";
  if (update) std::ofstream(path) << table;
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  for (const MathAccuracy& row : math_accuracy()) {
    const std::string begin = fmt::format("| {} | {} | ", row.function, row.float32);
    const std::size_t at = text.str().find(begin);
    ASSERT_NE(at, std::string::npos) << "docs/ulp_table.md does not say: " << begin;
    const std::string line = text.str().substr(at, text.str().find('\n', at) - at);
    EXPECT_NE(line.find(fmt::format(" | {} | ", row.float64)), std::string::npos) << line;
  }
}

TEST(Math, is_straight_code_but_for_the_trigonometric_functions) {
  const jit::FunctionLibrary& library = math_library();
  for (const MathAccuracy& row : math_accuracy()) {
    const bool branches = row.function == "sin" || row.function == "cos" || row.function == "tan";
    for (DType type : {float32, float64}) {
      const bool two = row.function == "pow" || row.function == "atan2";
      const std::vector<DType> types(two ? 2 : 1, type);
      const auto* entry = library.find(row.function, types);
      ASSERT_NE(entry, nullptr) << row.function;
      jit::KernelBuilder builder("one");
      std::vector<jit::Value> inputs;
      for (DType t : types) inputs.push_back(builder.parameter(builder.new_parameter(t)));
      builder.inline_function(library.program, entry->function, inputs);
      EXPECT_NE(is_straight(builder.finish()), branches) << row.function;
    }
  }
}

}  // namespace
}  // namespace noyau::ops

// Carries error bounds through a graph beside the reference's values.
// SPDX-License-Identifier: Apache-2.0
#include "tests/common/expected.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "noyau/error.hpp"
#include "ops/math.hpp"

namespace noyau::test {
namespace {

using ops::ElementwiseOp;
using reference::Rounding;
using reference::Value;

constexpr double anything = std::numeric_limits<double>::infinity();

/// Bits of the fraction, and the exponents of the least and greatest normal numbers.
struct FloatFormat {
  int digits, least, greatest;
};
FloatFormat format_of(DType dtype) {
  switch (dtype) {
    case float16:
      return {10, -14, 15};
    case bfloat16:
      return {7, -126, 127};
    case float32:
      return {23, -126, 127};
    default:
      return {52, -1022, 1023};
  }
}

double epsilon(DType dtype) { return std::ldexp(1.0, -format_of(dtype).digits); }
double smallest(DType dtype) {
  return std::ldexp(1.0, format_of(dtype).least - format_of(dtype).digits);
}
double largest(DType dtype) { return std::ldexp(2.0 - epsilon(dtype), format_of(dtype).greatest); }

bool all_zero(const std::vector<double>& errors) {
  return std::all_of(errors.begin(), errors.end(), [](double e) { return e == 0; });
}
bool has_non_finite(const Value& value) {
  return std::any_of(value.reals.begin(), value.reals.end(),
                     [](double v) { return !std::isfinite(v); });
}
/// A value like `like` whose reals are f(element number); NaN becomes "anything".
template <class F>
Value with_reals(const Value& like, F f) {
  Value result = like;
  for (std::size_t i = 0; i < result.reals.size(); ++i) {
    result.reals[i] = f(i);
  }
  return result;
}
Value magnitudes(const Value& x) {
  return with_reals(x, [&](std::size_t i) { return std::fabs(x.reals[i]); });
}
Value errors_as_value(const Expected& x) {
  return with_reals(x.value, [&](std::size_t i) { return x.error[i]; });
}

/// The inputs and outputs of one node while its errors are worked out.
struct Step {
  const Node& node;
  std::vector<const Expected*> inputs;
  std::vector<Expected>& outputs;

  Expected& out() const { return outputs[0]; }
  const Expected& in(std::size_t k) const { return *inputs[k]; }
  /// The node's first output for other inputs, in float64.
  Value apply(std::vector<const Value*> values) const {
    return reference::apply(node, values, Rounding::none)[0];
  }
  bool exact() const {
    return std::all_of(inputs.begin(), inputs.end(),
                       [](const Expected* e) { return all_zero(e->error); });
  }
};

// -- elementwise ---------------------------------------------------------------------------------

/// Operations with a pole, a branch point or a jump that the corners of an interval may step over.
bool is_wild(ElementwiseOp op) {
  switch (op) {
    case ElementwiseOp::divide:
    case ElementwiseOp::floor_divide:
    case ElementwiseOp::remainder:
    case ElementwiseOp::reciprocal:
    case ElementwiseOp::sqrt:
    case ElementwiseOp::rsqrt:
    case ElementwiseOp::power:
    case ElementwiseOp::log:
    case ElementwiseOp::log2:
    case ElementwiseOp::log10:
    case ElementwiseOp::log1p:
    case ElementwiseOp::asin:
    case ElementwiseOp::acos:
    case ElementwiseOp::atan2:
    case ElementwiseOp::tan:
      return true;
    default:
      return false;
  }
}

/// One element of an operation's inputs, as a value of one element each.
class Element {
 public:
  Element(const Step& step, std::size_t i) : step_(step) {
    for (const Expected* input : step.inputs) {
      Value one(input->value.dtype, {});
      one.copy_element(0, input->value, i);
      values_.push_back(one);
      errors_.push_back(input->error[i]);
    }
  }
  /// The largest change of the result when every input moves by nothing or by its error, either
  /// way.
  double largest_change() {
    const double centre = result();
    double change = 0;
    std::vector<int> corner(values_.size(), -1);
    const std::vector<Value> middle = values_;
    for (;;) {
      for (std::size_t k = 0; k < values_.size(); ++k) {
        if (values_[k].is_real()) values_[k].reals[0] = middle[k].reals[0] + corner[k] * errors_[k];
      }
      const double there = result();
      const bool same = there == centre || (std::isnan(there) && std::isnan(centre));
      const double difference = same ? 0 : std::fabs(there - centre);
      change = std::isnan(difference) ? anything : std::max(change, difference);
      std::size_t k = 0;
      while (k < corner.size() && (++corner[k] == 2 || errors_[k] == 0)) corner[k++] = -1;
      if (k == corner.size()) return change;
    }
  }
  /// Whether an error is so large that nothing useful can be said about the result.
  bool is_hopeless(ElementwiseOp op) const {
    for (std::size_t k = 0; k < values_.size(); ++k) {
      const double x = values_[k].is_real() ? std::fabs(values_[k].reals[0]) : 0;
      const double e = errors_[k];
      if (e == anything || (e > 0 && !values_[k].is_real())) return true;
      if (is_wild(op) && e > 0.01 * x) return true;
      if (ulp_bound(op, float32) > 0 && e > 0.01 * (x + 1)) return true;
    }
    return false;
  }

 private:
  double result() {
    const auto op = static_cast<ElementwiseOp>(step_.node.code);
    const auto real = [&](std::size_t k) { return k < values_.size() ? values_[k].reals[0] : 0.0; };
    if (step_.node.kind == NodeKind::cast) {
      return is_floating(step_.node.dtype)
                 ? values_[0].reals[0]
                 : static_cast<double>(static_cast<std::int64_t>(
                       reference::to_integer(step_.node.dtype, values_[0].reals[0])));
    }
    if (is_floating(step_.node.dtype))
      return reference::real_operation(op, real(0), real(1), real(2));
    return truth(op);
  }
  double truth(ElementwiseOp op) const {  // comparisons, logic and predicates of real numbers
    const double x = values_[0].reals[0], y = values_.size() > 1 ? values_[1].reals[0] : 0;
    switch (op) {
      case ElementwiseOp::equal:
        return x == y;
      case ElementwiseOp::not_equal:
        return x != y;
      case ElementwiseOp::less:
        return x < y;
      case ElementwiseOp::less_equal:
        return x <= y;
      case ElementwiseOp::greater:
        return x > y;
      case ElementwiseOp::greater_equal:
        return x >= y;
      case ElementwiseOp::logical_and:
        return x != 0 && y != 0;
      case ElementwiseOp::logical_or:
        return x != 0 || y != 0;
      case ElementwiseOp::logical_xor:
        return (x != 0) != (y != 0);
      case ElementwiseOp::logical_not:
        return x == 0;
      case ElementwiseOp::isnan:
        return std::isnan(x);
      case ElementwiseOp::isinf:
        return std::isinf(x);
      default:
        return std::isfinite(x);
    }
  }
  const Step& step_;
  std::vector<Value> values_;
  std::vector<double> errors_;
};

double where_error(const Step& step, std::size_t i) {
  if (step.in(0).error[i] > 0) return anything;
  return step.in(step.in(0).value.is_true(i) ? 1 : 2).error[i];
}

void elementwise(const Step& step) {
  const auto op = static_cast<ElementwiseOp>(step.node.code);
  const bool cast = step.node.kind == NodeKind::cast;
  const bool real = is_floating(step.node.dtype);
  const double bound = cast || !real ? 0 : ulp_bound(op, step.node.dtype);
  for (std::size_t i = 0; i < step.out().error.size(); ++i) {
    double& error = step.out().error[i];
    const double ulp = real ? spacing(step.out().value.reals[i], step.node.dtype) : 0;
    if (bound > 0) error = (bound + 0.5) * ulp;
    if (!cast && op == ElementwiseOp::where) {
      error = where_error(step, i);
      continue;
    }
    if (std::all_of(step.inputs.begin(), step.inputs.end(),
                    [i](const Expected* input) { return input->error[i] == 0; })) {
      continue;
    }
    Element element(step, i);
    if (element.is_hopeless(cast ? ElementwiseOp::copy : op)) {
      error = anything;
      continue;
    }
    const double change = element.largest_change();
    // Both results are rounded, and may round apart by one more.
    error += real ? 1.25 * change + ulp : change > 0 ? anything : 0;
  }
}

// -- the other kinds -----------------------------------------------------------------------------

void move(const Step& step) {
  std::vector<const Value*> values;
  for (const Expected* input : step.inputs) values.push_back(&input->value);
  const std::vector<reference::Source> from = reference::sources(step.node, values);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i].input < 0) continue;
    step.out().error[i] = step.in(static_cast<std::size_t>(from[i].input))
                              .error[static_cast<std::size_t>(from[i].element)];
  }
  if (step.node.kind == NodeKind::max_pool_gather && !all_zero(step.in(1).error)) {
    std::fill(step.out().error.begin(), step.out().error.end(), anything);
  }
}

/// The error of a sum of `terms` products whose absolute values sum to `size`, in any order.
double summation_error(double terms, double size, DType dtype) {
  return 2 * (terms + 2) * epsilon(dtype) * size + (terms + 2) * smallest(dtype);
}

/// For a node that is linear in each input: errors of the inputs arrive as the same sums of their
/// sizes, and each sum rounds.
void linear(const Step& step, double terms) {
  const DType dtype = step.node.dtype;
  if (!is_floating(dtype)) {
    if (!step.exact()) std::fill(step.out().error.begin(), step.out().error.end(), anything);
    return;
  }
  std::vector<Value> sizes, errors;
  bool finite = true;
  for (const Expected* input : step.inputs) {
    sizes.push_back(magnitudes(input->value));
    errors.push_back(errors_as_value(*input));
    finite = finite && !has_non_finite(sizes.back()) && !has_non_finite(errors.back());
  }
  std::vector<double>& result = step.out().error;
  if (!finite) {  // a library may spread an infinity (Winograd): only tests without them are exact
    std::fill(result.begin(), result.end(), anything);
    return;
  }
  const Value nothing(dtype, step.node.shape);
  const auto sums = [&](const Value& a, const Value& b) {
    const auto is_zero = [](double v) { return v == 0; };
    const auto vanishes = [&](const Value& v) {
      return v.is_real() && std::all_of(v.reals.begin(), v.reals.end(), is_zero);
    };
    if (vanishes(a) || vanishes(b)) return nothing;
    return step.inputs.size() == 2 ? step.apply({&a, &b}) : step.apply({&a});
  };
  // The second input of max_pool_gradient is an array of indices.
  const bool two = step.inputs.size() == 2 && is_floating(sizes[1].dtype);
  const Value& second = sizes.back();
  const Value size = sums(sizes[0], second), from_first = sums(errors[0], second);
  const Value from_second = two ? sums(sizes[0], errors[1]) : nothing;
  const Value from_both = two ? sums(errors[0], errors[1]) : nothing;
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = summation_error(terms, size.reals[i], dtype) +
                1.01 * (from_first.reals[i] + from_second.reals[i] + from_both.reals[i]);
    if (size.reals[i] > largest(dtype) / 2) result[i] = anything;
  }
}

/// Winograd's transforms round against the largest products of a tile, not of the element's own.
void convolution(const Step& step, double terms) {
  linear(step, terms);
  double largest_of[2] = {0, 0};
  for (std::size_t k = 0; k < 2; ++k) {
    for (double v : step.in(k).value.reals) largest_of[k] = std::max(largest_of[k], std::fabs(v));
  }
  for (double& e : step.out().error) {
    e += 4 * terms * epsilon(step.node.dtype) * largest_of[0] * largest_of[1];
  }
}

double terms_of(const Step& step) {
  switch (step.node.kind) {
    case NodeKind::matmul:
      return static_cast<double>(step.in(0).value.shape.back());
    case NodeKind::convolution:
    case NodeKind::convolution_input_gradient: {
      const Shape& w = step.in(1).value.shape;
      return static_cast<double>(std::max(w[0], w[1]) * w[2] * w[3]);
    }
    case NodeKind::convolution_weight_gradient: {
      const Shape& dy = step.in(1).value.shape;
      return static_cast<double>(dy[0] * dy[2] * dy[3]);
    }
    default: {
      const auto& a = std::get<WindowAttributes>(step.node.attributes);
      return static_cast<double>(a.window[0] * a.window[1]);
    }
  }
}

/// For each element of a reduced array, the numbers of its terms.
std::vector<std::vector<std::size_t>> terms_of_reduction(const Node& node, const Shape& shape) {
  // The sum of iota's values tells them only for one; so reduce masks: slow, and plain.
  const auto& axes = std::get<AxesAttributes>(node.attributes).axes;
  Shape strides = Shape::filled(shape.rank(), 0);
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    strides[axis] = step;
    step *= shape[axis];
  }
  std::vector<std::vector<std::size_t>> terms(static_cast<std::size_t>(node.shape.elements()));
  Shape index = Shape::filled(shape.rank(), 0);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    std::int64_t to = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) to += index[axis] * strides[axis];
    terms[static_cast<std::size_t>(to)].push_back(static_cast<std::size_t>(i));
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return terms;
}

double sum_error(const Expected& x, const std::vector<std::size_t>& terms, DType dtype) {
  double size = 0, error = 0;
  bool finite = true;
  for (std::size_t i : terms) {
    const double v = x.value.to_double(i);
    finite = finite && std::isfinite(v);
    if (std::isfinite(v)) size += std::fabs(v);
    error += x.error[i];
  }
  if (size > largest(dtype) / 2 || (!finite && error > 0)) return anything;
  return finite ? error + summation_error(static_cast<double>(terms.size()), size, dtype) : 0;
}

double product_error(const Expected& x, const std::vector<std::size_t>& terms, DType dtype) {
  long double product = 1, large = 1, small = 1, relative = 0;
  bool special = false;
  for (std::size_t i : terms) {
    const double v = std::fabs(x.value.to_double(i));
    if (x.error[i] == anything) return anything;
    special = special || !std::isfinite(v) || v == 0;
    if (v > 1) large *= v;
    if (v < 1) small *= v;
    product *= v;
    relative += x.error[i] == 0 ? 0 : static_cast<long double>(x.error[i]) / v;
  }
  // Partial products in another order may overflow or lose bits.
  const double tiny = dtype == float32 ? 1e-37 : 1e-307;
  if (large > static_cast<long double>(largest(dtype)) / 2 || (small < tiny && !special) ||
      !(relative < 0.01L)) {
    return anything;
  }
  if (special) {
    return relative > 0 || small < tiny ? anything : 0;
  }
  relative += static_cast<long double>(terms.size()) * epsilon(dtype);
  return static_cast<double>(1.1L * relative * product);
}

void reduce(const Step& step) {
  const auto op = static_cast<ReduceOp>(step.node.code);
  const auto all_terms = terms_of_reduction(step.node, step.in(0).value.shape);
  for (std::size_t i = 0; i < all_terms.size(); ++i) {
    const std::vector<std::size_t>& terms = all_terms[i];
    double worst = 0;
    for (std::size_t k : terms) worst = std::max(worst, step.in(0).error[k]);
    double& error = step.out().error[i];
    if (!is_floating(step.node.dtype)) {
      error = worst > 0 ? anything : 0;
    } else if (op == ReduceOp::sum) {
      error = sum_error(step.in(0), terms, step.node.dtype);
    } else if (op == ReduceOp::product) {
      error = product_error(step.in(0), terms, step.node.dtype);
    } else {
      error = worst > 0 && !std::isfinite(step.out().value.reals[i]) ? anything : worst;
    }
  }
}

void arg_reduce(const Step& step) {
  const auto all_terms = terms_of_reduction(step.node, step.in(0).value.shape);
  for (std::size_t i = 0; i < all_terms.size(); ++i) {
    for (std::size_t k : all_terms[i]) {
      if (step.in(0).error[k] > 0) step.out().error[i] = anything;
    }
  }
}

/// The largest error in each window, and no index where there is any.
void max_pool(const Step& step) {
  const Value errors = errors_as_value(step.in(0));
  const Value worst = step.apply({&errors});
  for (std::size_t i = 0; i < worst.reals.size(); ++i) {
    step.outputs[0].error[i] = worst.reals[i];
    step.outputs[1].error[i] = worst.reals[i] > 0 ? anything : 0;
  }
}

void random(const Step& step) {
  const auto& a = std::get<RandomAttributes>(step.node.attributes);
  if (a.distribution != Distribution::normal) return;
  // The angle 2 pi u is rounded, so near its zeros the cosine is only absolutely accurate.
  for (double& e : step.out().error) e = 64 * epsilon(step.node.dtype);
}

void work_out_errors(const Step& step) {
  switch (step.node.kind) {
    case NodeKind::data:
    case NodeKind::constant:
    case NodeKind::iota:
      return;
    case NodeKind::elementwise:
    case NodeKind::cast:
      return elementwise(step);
    case NodeKind::view:
    case NodeKind::roll:
    case NodeKind::pad:
    case NodeKind::concatenate:
    case NodeKind::set:
    case NodeKind::max_pool_gather:
      return move(step);
    case NodeKind::reduce:
      return reduce(step);
    case NodeKind::arg_reduce:
      return arg_reduce(step);
    case NodeKind::random:
      return random(step);
    case NodeKind::convolution:
    case NodeKind::convolution_input_gradient:
    case NodeKind::convolution_weight_gradient:
      return convolution(step, terms_of(step));
    case NodeKind::matmul:
    case NodeKind::max_pool_gradient:
    case NodeKind::avg_pool:
    case NodeKind::avg_pool_gradient:
      return linear(step, terms_of(step));
    case NodeKind::max_pool:
      return max_pool(step);
    case NodeKind::watch:
    case NodeKind::stop_gradient:
    case NodeKind::custom_gradient:
    case NodeKind::transfer:
      step.out().error = step.in(0).error;
      return;
  }
}

std::string show(const Value& value, std::size_t i) {
  if (value.is_real()) return fmt::format("{:.17g}", value.reals[i]);
  if (is_signed_integer(value.dtype)) {
    return fmt::format("{}", static_cast<std::int64_t>(value.integers[i]));
  }
  return fmt::format("{}", value.integers[i]);
}

bool equal_bits(const Value& a, const Value& b, std::size_t i) {
  if (!a.is_real()) return a.integers[i] == b.integers[i];
  const double x = a.reals[i], y = b.reals[i];
  return (std::isnan(x) && std::isnan(y)) || (x == y && std::signbit(x) == std::signbit(y));
}

bool acceptable(const Value& got, const Expected& expected, std::size_t i) {
  const double e = expected.error[i];
  if (e == anything || equal_bits(got, expected.value, i)) return true;
  if (e == 0 || !got.is_real()) return false;
  const double want = expected.value.reals[i];
  if (std::isinf(got.reals[i]) && !std::isinf(want)) {  // rounding may have passed the edge
    return std::fabs(want) + e >= largest(got.dtype) && (got.reals[i] > 0) == (want > 0);
  }
  return std::fabs(got.reals[i] - want) <= e;
}

}  // namespace

double spacing(double value, DType dtype) {
  if (!std::isfinite(value)) return 0;
  const FloatFormat f = format_of(dtype);
  const int exponent = value == 0 ? f.least : std::max(std::ilogb(value), f.least);
  return std::ldexp(1.0, exponent - f.digits);
}

double ulp_bound(ElementwiseOp op, DType dtype) {
  if (op == ElementwiseOp::rsqrt) return 0;  // a root and a division, each rounded
  if (op == ElementwiseOp::sigmoid) return 3;
  const std::string_view function = op == ElementwiseOp::power ? "pow" : ops::row(op).name;
  for (const ops::MathAccuracy& known : ops::math_accuracy()) {
    if (known.function == function) return dtype == float32 ? known.float32 : known.float64;
  }
  return 0;
}

std::vector<Expected> expected(std::span<const Array> arrays) {
  std::unordered_map<const Node*, std::vector<Expected>> known;
  const auto find = [&known](const NodeRef& ref) -> const Expected& {
    auto [place, is_new] = known.try_emplace(ref.node());
    for (int k = 0; is_new && k < ref->output_count; ++k) {
      Value value = reference::stored(*ref.node(), k);
      std::vector<double> none(value.size(), 0);
      place->second.push_back({std::move(value), std::move(none)});
    }
    return place->second[static_cast<std::size_t>(ref.output())];
  };
  for (const Node* node : reference::pending_nodes(arrays)) {
    std::vector<const Expected*> inputs;
    std::vector<const Value*> values;
    for (const NodeRef& input : reference::inputs_of(*node)) {
      inputs.push_back(&find(input));
      values.push_back(&inputs.back()->value);
    }
    std::vector<Expected> outputs;
    for (Value& value : reference::apply(*node, values, Rounding::each_operation)) {
      std::vector<double> none(value.size(), 0);
      outputs.push_back({std::move(value), std::move(none)});
    }
    work_out_errors({*node, inputs, outputs});
    known[node] = std::move(outputs);
  }
  std::vector<Expected> results;
  for (const Array& array : arrays) results.push_back(find(NodeRef(array)));
  return results;
}

Expected expected(const Array& array) {
  return expected(std::span<const Array>(&array, 1)).front();
}

::testing::AssertionResult agrees(const Value& got, const Expected& expected) {
  const Value& want = expected.value;
  if (got.dtype != want.dtype || got.shape != want.shape) {
    return ::testing::AssertionFailure() << name(got.dtype) << " " << got.shape << " instead of "
                                         << name(want.dtype) << " " << want.shape;
  }
  std::size_t wrong = 0, first = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (!acceptable(got, expected, i) && wrong++ == 0) first = i;
  }
  if (wrong == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << fmt::format(
             "{} of {} elements of {} {} differ; element {} is {}, expected {} +- {:.3g}", wrong,
             want.size(), name(want.dtype), to_string(want.shape), first, show(got, first),
             show(want, first), expected.error[first]);
}

::testing::AssertionResult same_bits(const Value& a, const Value& b) {
  if (a.dtype != b.dtype || a.shape != b.shape) {
    return ::testing::AssertionFailure() << "dtypes or shapes differ";
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (equal_bits(a, b, i)) continue;
    return ::testing::AssertionFailure()
           << "element " << i << " is " << show(a, i) << " and " << show(b, i);
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult all_agree(std::span<const Array> arrays) {
  const std::vector<Expected> wanted = expected(arrays);
  eval(arrays);
  for (std::size_t k = 0; k < arrays.size(); ++k) {
    const ::testing::AssertionResult result = agrees(reference::computed(arrays[k]), wanted[k]);
    if (!result) return ::testing::AssertionFailure() << "array " << k << ": " << result.message();
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult agrees(const Array& array) {
  return all_agree(std::span<const Array>(&array, 1));
}

}  // namespace noyau::test

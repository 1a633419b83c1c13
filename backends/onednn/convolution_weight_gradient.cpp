// The gradient of a convolution by its weights. oneDNN splits the sum over pixels by the number of
// threads, so the work is cut here instead, into blocks of channels that depend on sizes only; each
// block is computed by one thread, and the result has the same bits for any number of them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <map>

#include "backends/onednn/check.hpp"
#include "backends/onednn/common.hpp"
#include "backends/onednn/routines.hpp"
#include "backends/onednn/sequence.hpp"
#include "noyau/error.hpp"

namespace noyau::onednn {
namespace {

constexpr std::string_view routine_name = "onednn.convolution_weight_gradient";

/// Blocks of one call: enough for the threads of a desktop, few enough that each is worth its copy.
constexpr std::int64_t most_blocks = 8;
/// Channels in a vector register of AVX-512: blocks are multiples of it.
constexpr std::int64_t channel_step = 16;

/// Some channels of one operand.
struct Range {
  std::int64_t begin = 0, count = 0;
  bool operator<(const Range& other) const {
    return std::pair(begin, count) < std::pair(other.begin, other.count);
  }
};

/// Outputs and inputs (whole groups of them when there are groups) that one thread computes.
struct Block {
  Range outputs, inputs;
  std::int64_t groups = 1;
};

std::int64_t round_up(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

std::vector<Range> cut(std::int64_t extent, std::int64_t parts, std::int64_t step) {
  const std::int64_t size = round_up((extent + parts - 1) / parts, step);
  std::vector<Range> ranges;
  for (std::int64_t begin = 0; begin < extent; begin += size)
    ranges.push_back({begin, std::min(size, extent - begin)});
  return ranges;
}

std::vector<Block> blocks_of(const Convolution& c) {
  std::vector<Block> blocks;
  const std::int64_t groups = c.groups(), outputs = c.y[1], inputs = c.x[1];
  if (groups > 1) {
    const std::int64_t o = outputs / groups, i = inputs / groups;
    for (const Range& g : cut(groups, most_blocks, o == 1 && i == 1 ? channel_step : 1))
      blocks.push_back({{g.begin * o, g.count * o}, {g.begin * i, g.count * i}, g.count});
    return blocks;
  }
  const auto by_output = cut(outputs, most_blocks, channel_step);
  const auto parts = most_blocks / static_cast<std::int64_t>(by_output.size());
  for (const Range& o : by_output)
    for (const Range& i : cut(inputs, parts, channel_step)) blocks.push_back({o, i, 1});
  return blocks;
}

Convolution part_of(const Convolution& c, const Block& block) {
  Convolution part = c;
  part.x[1] = block.inputs.count;
  part.y[1] = block.outputs.count;
  const Dims taps(c.weights.end() - 2, c.weights.end());
  part.weights = {block.outputs.count / block.groups, block.inputs.count / block.groups, taps[0],
                  taps[1]};
  if (block.groups > 1) part.weights.insert(part.weights.begin(), block.groups);
  return part;
}

/// One choice a block; blocks of equal size share it.
std::optional<std::vector<Choice>> choose(const Convolution& c, const std::vector<Block>& blocks) {
  const OneThread scope;
  std::map<std::array<std::int64_t, 3>, Choice> known;
  std::vector<Choice> choices;
  for (const Block& block : blocks) {
    const std::array<std::int64_t, 3> key = {block.outputs.count, block.inputs.count, block.groups};
    auto found = known.find(key);
    if (found == known.end()) {
      const auto choice = choose_weight_gradient(part_of(c, block));
      if (!choice) return std::nullopt;
      found = known.emplace(key, *choice).first;
    }
    choices.push_back(found->second);
  }
  return choices;
}

/// Some channels of an image as they lie; the offset of the first is begin times the stride.
TensorView channels_of(const TensorView& image, const Range& range) {
  TensorView part = image;
  part.shape[1] = range.count;
  return part;
}

/// The images' slices, each dense and channels-last, copied once however many blocks use them.
class Slices {
 public:
  Slices(int number, const TensorView& image, Sequence& sequence)
      : number_(number), image_(image), sequence_(sequence) {}

  Operand operator()(const Range& range) {
    const auto known = made_.find(range);
    if (known != made_.end()) return known->second;
    const TensorView part = channels_of(image_, range);
    const Layout wanted = channels_last_layout(dims_of(part.shape));
    Operand slice = sequence_.input(number_, is_channels_last(part) ? wanted : layout_of(part));
    slice.offset = range.begin * image_.strides[1];
    if (!(slice.layout == wanted)) {
      const Operand copy = sequence_.workspace(wanted);
      sequence_.reorder(slice, copy);
      slice = copy;
    }
    return made_.emplace(range, slice).first->second;
  }

 private:
  int number_;
  const TensorView& image_;
  Sequence& sequence_;
  std::map<Range, Operand> made_;
};

class WeightGradientRoutine final : public LibraryRoutine {
 public:
  std::string_view name() const override { return routine_name; }
  bool prefers_channels_last(const LibraryCall&) const override { return true; }

  bool accepts(const LibraryCall& call) const override {
    const auto convolution =
        check_convolution(call, LibraryCall::Kind::convolution_weight_gradient);
    return convolution && choose(*convolution, blocks_of(*convolution));
  }

  std::unique_ptr<PreparedCall> prepare(const LibraryCall& call) const override {
    // Check,
    const auto convolution =
        check_convolution(call, LibraryCall::Kind::convolution_weight_gradient);
    if (!convolution)
      throw InternalError("onednn.convolution_weight_gradient: prepares a call it does not accept");
    auto sequence = std::make_unique<Sequence>(routine_name);
    translate_errors(routine_name, [&] {
      // choose,
      const std::vector<Block> blocks = blocks_of(*convolution);
      const auto choices = choose(*convolution, blocks);
      if (!choices) throw InternalError("onednn.convolution_weight_gradient: no implementation");
      // set; the launch is Sequence::run.
      set(call, *convolution, blocks, *choices, *sequence);
    });
    return sequence;
  }

 private:
  static void set(const LibraryCall& call, const Convolution& c, const std::vector<Block>& blocks,
                  const std::vector<Choice>& choices, Sequence& sequence) {
    const auto [x, weights, dy] = views_of(call);
    Slices x_slices(0, *x, sequence), dy_slices(1, *dy, sequence);
    std::vector<std::pair<Operand, Operand>> images;
    for (const Block& block : blocks)
      images.emplace_back(x_slices(block.inputs), dy_slices(block.outputs));
    const OneThread scope;
    std::vector<std::vector<Work>> tasks;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const Operand own = sequence.workspace(layout_wanted(choices[i], DNNL_ARG_DIFF_WEIGHTS));
      tasks.push_back({work(choices[i], {{DNNL_ARG_SRC, images[i].first},
                                         {DNNL_ARG_DIFF_DST, images[i].second},
                                         {DNNL_ARG_DIFF_WEIGHTS, own}}),
                       reorder_work(own, place_of(*weights, c, blocks[i], sequence))});
    }
    sequence.side_by_side(tasks);
  }

  /// Where a block's gradient goes.
  static Operand place_of(const TensorView& weights, const Convolution& c, const Block& block,
                          const Sequence& sequence) {
    TensorView place = weights;
    place.shape[0] = block.outputs.count;
    if (c.groups() == 1) place.shape[1] = block.inputs.count;
    Operand result = sequence.output(weights_layout(place, part_of(c, block)));
    result.offset = block.outputs.begin * weights.strides[0];
    if (c.groups() == 1) result.offset += block.inputs.begin * weights.strides[1];
    return result;
  }
};

}  // namespace

std::unique_ptr<LibraryRoutine> make_convolution_weight_gradient() {
  return std::make_unique<WeightGradientRoutine>();
}

}  // namespace noyau::onednn

// The recipe: scales, rolls, Adam (Kingma and Ba, 2015) and the average of the iterates.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/recipe.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "samples/style_transfer/picture.hpp"

namespace ny = noyau;

namespace style {
namespace {

constexpr double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;

ny::Array roll_picture(const ny::Array& x, int dy, int dx) { return roll(x, {dy, dx}, {2, 3}); }

std::vector<std::string> united(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::sort(a.begin(), a.end());
  a.erase(std::unique(a.begin(), a.end()), a.end());
  return a;
}

void evaluate(const Targets& targets) {
  std::vector<ny::Array> all;
  for (const auto& [layer, value] : targets.values) all.push_back(value);
  for (const auto& [layer, value] : targets.norms) all.push_back(value);
  ny::eval(all);
}

/// The picture that the first scale begins with.
ny::Array first_picture(const Settings& settings, const ny::Array& content, const ny::Array& style,
                        std::int64_t height, std::int64_t width) {
  if (settings.init == "content") return prepare(content, height, width);
  if (settings.init == "style") return prepare(style, height, width);
  if (settings.init == "gray")
    return to_network(ny::full({height, width, 3}, 127.5, content.dtype()));
  if (settings.init == "noise")
    return to_network(ny::random::Generator(settings.seed)
                          .uniform({height, width, 3}, 0.0, 255.0, content.dtype()));
  return prepare(load_picture(settings.init, content.dtype()), height, width);
}

/// The rolls of a run: the same for the same seed, wherever it runs.
class Rolls {
 public:
  Rolls(std::uint64_t seed, int most) : engine_(seed), most_(most) {}
  int next() {
    if (most_ == 0) return 0;
    const auto count = static_cast<std::uint64_t>(2 * most_ + 1);
    return static_cast<int>(engine_() % count) - most_;
  }

 private:
  std::mt19937_64 engine_;
  int most_;
};

}  // namespace

std::vector<Scale> automatic_scales(std::int64_t side) {
  std::vector<Scale> scales;
  for (int k = 0; k == 0 || std::llrint(static_cast<double>(side) * std::pow(2, -k / 2.0)) >= 128;
       ++k)
    scales.insert(scales.begin(),
                  {std::llrint(static_cast<double>(side) * std::pow(2, -k / 2.0)), 0});
  for (Scale& scale : scales) scale.iterations = scale.side <= 256 ? 150 : 100;
  scales.front().iterations = 300;
  return scales;
}

Stage::Stage(const SqueezeNet& network, const Settings& settings, const ny::Array& content,
             const ny::Array& style, const ny::Array& start, int iterations)
    : network_(network),
      settings_(settings),
      iterations_(iterations),
      layers_(united(settings.content_layers, settings.style_layers)),
      content_(content),
      x_(start),
      average_(start) {
  style_ = style_targets(network.features(style, settings.style_layers));
  low_ = -mean_color(network.dtype());
  high_ = 255.0 + low_;
  momentum_ = ny::zeros(start.shape(), network.dtype());
  variance_ = ny::zeros(start.shape(), network.dtype());
  evaluate(style_);
  ny::eval({content_, low_, high_, x_, momentum_, variance_, average_});
}

Losses Stage::losses_of(const ny::Array& x, int dy, int dx) {
  // Part of the step's own plan: the network's first layers again are cheaper than features kept
  // for every roll.
  const Targets content =
      content_targets(network_.features(roll_picture(content_, dy, dx), settings_.content_layers));
  return losses(x, network_.features(x, layers_), content, style_, settings_.weights);
}

Losses Stage::step(int i, int dy, int dx) {
  Losses result;
  const auto objective = [&](const ny::Array& x) {
    result = losses_of(roll_picture(x, dy, dx), dy, dx);
    return result.total;
  };
  const auto [total, gradient] = ny::value_and_grad(objective, x_);
  momentum_ = beta1 * momentum_ + (1 - beta1) * gradient;
  variance_ = beta2 * variance_ + (1 - beta2) * square(gradient);
  const double rate = settings_.learning_rate * (1 - 0.8 * i / iterations_);
  const double size = rate / (1 - std::pow(beta1, i + 1));
  const double correction = 1 - std::pow(beta2, i + 1);
  x_ = clamp(x_ - size * momentum_ / (sqrt(variance_ / correction) + epsilon), low_, high_);
  average_ =
      settings_.average == 0 ? x_ : settings_.average * average_ + (1 - settings_.average) * x_;
  // All together: one plan a step, the same for every step of the stage.
  ny::eval(
      {x_, momentum_, variance_, average_, result.content, result.style, result.tv, result.total});
  return result;
}

ny::Array stylize(const SqueezeNet& network, const ny::Array& content, const ny::Array& style,
                  const Settings& settings, const Watcher& watcher) {
  Rolls rolls(settings.seed, settings.jitter);
  ny::Array picture;
  for (std::size_t s = 0; s < settings.scales.size(); ++s) {
    const Scale& scale = settings.scales[s];
    const auto [height, width] = size_for(content.shape(), scale.side);
    const auto [style_height, style_width] = size_for(style.shape(), scale.side);
    const ny::Array start = picture ? resize_network(picture, height, width)
                                    : first_picture(settings, content, style, height, width);
    Stage stage(network, settings, prepare(content, height, width),
                prepare(style, style_height, style_width), start, scale.iterations);
    // A step is reported when the next one is under way, so that the device never idles.
    std::optional<Step> pending;
    const auto report = [&] {
      if (!pending) return true;
      pending->losses.total.wait();
      return watcher(*pending);
    };
    for (int i = 0; i < scale.iterations; ++i) {
      const int dy = rolls.next(), dx = rolls.next();
      const Losses values = stage.step(i, dy, dx);
      if (!report()) return stage.picture();
      pending = Step{static_cast<int>(s), i, height, width, values, stage.picture()};
    }
    if (!report()) return stage.picture();
    picture = stage.picture();
  }
  return picture;
}

}  // namespace style

// What is shown while a picture is made: a bar, lines, or JSON lines.
// SPDX-License-Identifier: Apache-2.0
#include "samples/style_transfer/progress.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace ny = noyau;

namespace style {
namespace {

struct Values {
  double content, style, tv, total;
};

Values read(const Losses& losses) {
  const Values values{losses.content.item<double>(), losses.style.item<double>(),
                      losses.tv.item<double>(), losses.total.item<double>()};
  if (!std::isfinite(values.total))
    throw ny::ValueError(
        "the losses are no longer numbers; try a smaller --lr, or weights that are not damaged");
  return values;
}

std::string clock(double seconds) {
  const int whole = static_cast<int>(std::ceil(seconds));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(const Options& options)
    : options_(options), start_(std::chrono::steady_clock::now()) {
  for (const Scale& scale : options.settings.scales) total_ += scale.iterations;
}
Progress::~Progress() { finish(); }

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Progress::seconds_left(const Step& step) const {
  // A step costs what its picture's pixels cost.
  const auto pixels = static_cast<double>(step.height * step.width);
  const auto& scales = options_.settings.scales;
  const auto here = static_cast<std::size_t>(step.scale);
  double left = 0;
  for (std::size_t s = here; s < scales.size(); ++s) {
    const double ratio =
        static_cast<double>(scales[s].side) / static_cast<double>(scales[here].side);
    const int steps = scales[s].iterations - (s == here ? step.iteration + 1 : 0);
    left += steps * pixels * ratio * ratio;
  }
  return seconds() / work_ * left;
}

void Progress::show(const Step& step) {
  ++done_;
  work_ += static_cast<double>(step.height * step.width);
  const bool last_of_scale =
      step.iteration + 1 ==
      options_.settings.scales[static_cast<std::size_t>(step.scale)].iterations;
  if (options_.progress == ProgressKind::bar) {
    if (done_ == total_ || seconds() - shown_at_ >= 0.1) show_bar(step);
    return;
  }
  if (step.iteration % options_.print_every != 0 && !last_of_scale) return;
  const Values values = read(step.losses);
  if (options_.progress == ProgressKind::json) {
    fmt::print(
        "{{\"scale\": {}, \"width\": {}, \"height\": {}, \"iteration\": {}, \"content\": {}, "
        "\"style\": {}, \"tv\": {}, \"total\": {}, \"seconds\": {:.3f}}}\n",
        options_.settings.scales[static_cast<std::size_t>(step.scale)].side, step.width,
        step.height, step.iteration, values.content, values.style, values.tv, values.total,
        seconds());
  } else {
    fmt::print(
        "{:4}/{}  {}x{}  iteration {:3}  content {:.4f}  style {:.4f}  tv {:.3f}  total {:.4f}  "
        "{:.1f} it/s  {} left\n",
        done_, total_, step.width, step.height, step.iteration, values.content, values.style,
        values.tv, values.total, done_ / seconds(), clock(seconds_left(step)));
  }
  std::fflush(stdout);
}

void Progress::show_bar(const Step& step) {
  const Values values = read(step.losses);
  constexpr int width = 24;
  const int full = width * done_ / total_;
  // \x1b[K wipes what a longer line before left behind.
  fmt::print(
      "\r[{:#<{}}{:-<{}}] {}/{}  {}x{}  content {:.3f}  style {:.4f}  {:.1f} it/s  {} left\x1b[K",
      "", full, "", width - full, done_, total_, step.width, step.height, values.content,
      values.style, done_ / seconds(), clock(seconds_left(step)));
  std::fflush(stdout);
  shown_at_ = seconds();
  bar_open_ = true;
}

void Progress::finish() {
  if (bar_open_) fmt::print("\n");
  bar_open_ = false;
}

}  // namespace style

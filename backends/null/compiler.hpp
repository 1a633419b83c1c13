// Programs to the text that a compiler would get, in one of the languages that null devices know.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/device.hpp"

namespace noyau::null {

/// What a null device poses as.
struct Language {
  std::string_view name;  ///< in $NOYAU_NULL_DEVICES
  std::string_view description;
  std::string (*code)(const jit::Program& program);
  void (*set_limits)(DeviceLimits& limits);
};

/// "program", the text form of Programs; "cuda" and "opencl", as for a GPU. ValueError for others.
const Language& language(std::string_view name);

/// What compiling gives: the text.
class Text final : public Executable {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  std::vector<std::byte> object() const override { return {}; }
  const std::string& text() const { return text_; }

 private:
  const std::string text_;
};

}  // namespace noyau::null

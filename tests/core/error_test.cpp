// The exceptions: what each can be caught as.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/error.hpp"

#include <gtest/gtest.h>

namespace noyau {
namespace {

template <class E>
void expect_is_error() {
  try {
    throw E("what went wrong");
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "what went wrong");
    EXPECT_NE(dynamic_cast<const E*>(&e), nullptr);
    return;
  }
}

TEST(Error, EveryTypeIsAnErrorExceptOurOwnDefects) {
  expect_is_error<ShapeError>();
  expect_is_error<IndexError>();
  expect_is_error<DtypeError>();
  expect_is_error<ValueError>();
  expect_is_error<CompileError>();
  expect_is_error<DeviceError>();
  expect_is_error<OutOfMemory>();
  expect_is_error<LaunchError>();
  expect_is_error<CacheError>();
  expect_is_error<FileError>();
  expect_is_error<NotImplemented>();
  EXPECT_THROW(throw IndexError("x"), ShapeError);
  static_assert(!std::is_base_of_v<Error, InternalError>);
  EXPECT_THROW(throw InternalError("x"), std::logic_error);
}

}  // namespace
}  // namespace noyau

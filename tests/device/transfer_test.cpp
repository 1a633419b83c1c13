// Copies between devices: values arrive bit by bit, in order, whatever memory the devices have.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "core/fault.hpp"
#include "noyau/error.hpp"
#include "tests/common/devices.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/common/message_of.hpp"
#include "tests/common/random_program.hpp"
#include "tests/common/values.hpp"

namespace noyau::test {
namespace {

std::vector<unsigned char> bytes_of(const Array& array) {
  std::vector<unsigned char> bytes(
      static_cast<std::size_t>(byte_size(array.shape(), array.dtype())));
  detail::read_values(array, bytes.data(), array.dtype());
  return bytes;
}

/// To each other device under test, to one with, and to one without host memory.
std::vector<Device> others_of(const std::string& device_name) {
  std::vector<Device> others = {interpreter_device(), remote_device()};
  for (const std::string& name : running_devices()) {
    if (name != device_name) others.push_back(device(name));
  }
  return others;
}

class Transfer : public DeviceTest {
 protected:
  const std::vector<Device> others_ = others_of(GetParam());
  Numbers numbers_{7};
};

TEST_P(Transfer, EveryDtypeArrivesAndComesBack) {
  for (const Device& other : others_) {
    for (DType dtype : all_dtypes) {
      for (const Shape& shape : {Shape{3, 5}, Shape{}, Shape{0, 4}, Shape{1, 1, 70001}}) {
        const Array x = array_of(random_values(numbers_, dtype, shape, -99, 99, 0.3));
        const Array there = x.to(other), back = there.to(device_);
        EXPECT_EQ(there.device(), other);
        EXPECT_EQ(back.device(), device_);
        const auto expected = bytes_of(x);
        EXPECT_EQ(bytes_of(there), expected) << other.name() << ' ' << name(dtype);
        EXPECT_EQ(bytes_of(back), expected) << other.name() << ' ' << name(dtype);
        const auto* seen = static_cast<const unsigned char*>(there.data());
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), seen));
      }
    }
  }
}

TEST_P(Transfer, ViewsAndExpressions) {
  for (const Device& other : others_) {
    const Array x = random_array(numbers_, float32, {6, 9});
    const Array wide = broadcast_to(x[2], {4, 9});
    for (const Array& part :
         {permute(x, {1, 0}), x[{slice(5, 0, -2), slice(1, 8, 3)}], reshape(x, {54}), x[3], wide,
          x + 1.0, permute(exp(x), {1, 0}), x[slice(2, 2)]}) {
      const auto expected = bytes_of(part * 2.0);
      const Array there = part.to(other);
      EXPECT_EQ(bytes_of(there * 2.0), expected);
      EXPECT_EQ(bytes_of((there * 2.0).to(device_)), expected);
      // Views of what arrived, read without a kernel.
      if (part.rank() == 2 && part.size() > 0) {
        EXPECT_EQ(bytes_of(permute(there, {1, 0})), bytes_of(permute(part, {1, 0})));
        EXPECT_EQ(bytes_of(there[{-1, slice(std::nullopt, std::nullopt, -1)}]),
                  bytes_of(part[{-1, slice(std::nullopt, std::nullopt, -1)}]));
      }
    }
  }
}

/// a on one device, b on the other, back and forth, and shared parts on both.
TEST_P(Transfer, BackAndForth) {
  for (const Device& other : others_) {
    Array x = arange(8, 0, 1, float32) * 1.0, y = x.to(other);
    Array shared = sqrt(x + 2.0);
    for (int k = 0; k < 50; ++k) {
      x = y.to(device_) + shared;
      y = (x * 0.5).to(other) + 1.0;
    }
    Array u = arange(8, 0, 1, float32) * 1.0, v = u;
    for (int k = 0; k < 50; ++k) {
      u = v + shared;
      v = u * 0.5 + 1.0;
    }
    EXPECT_EQ(bytes_of(y), bytes_of(v));
    EXPECT_EQ(bytes_of(x), bytes_of(u));
  }
}

TEST_P(Transfer, LongChainsNeedNoStack) {
  Array x = full({2}, 1, int64);
  for (int k = 0; k < 20000; ++k) x = x.to(others_[0]).to(device_);
  EXPECT_EQ(x.to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 1}));
}

TEST_P(Transfer, RootsOfSeveralDevices) {
  for (const Device& other : others_) {
    const Array x = random_array(numbers_, float32, {33});
    const Array a = exp(x), b = sqrt(abs(x)).to(other) + 1.0;
    eval({b, a});
    EXPECT_EQ(a.device(), device_);
    EXPECT_EQ(bytes_of(b), bytes_of(sqrt(abs(x)) + 1.0));
  }
}

TEST_P(Transfer, GradientsCrossDevices) {
  for (const Device& other : others_) {
    const Array x = random_array(numbers_, float32, {5, 4});
    const auto across = [&](const Array& v) { return sum(square(v).to(other) * 3.0).to(device_); };
    const auto here = [&](const Array& v) { return sum(square(v) * 3.0); };
    const auto [value, gradient] = value_and_grad(across, x);
    const auto [value_here, gradient_here] = value_and_grad(here, x);
    EXPECT_EQ(gradient.device(), device_);
    EXPECT_EQ(bytes_of(gradient), bytes_of(gradient_here));
    EXPECT_EQ(bytes_of(value), bytes_of(value_here));
  }
}

TEST_P(Transfer, TwoDevicesInOneOperationAreAnError) {
  for (const Device& other : others_) {
    const Array x = ones({3}), y = x.to(other);
    const std::string words = message_of<DeviceError>([&] { (void)(x + y); });
    for (const std::string& part :
         {std::string("add"), device_.name(), other.name(), std::string("x.to(device)")}) {
      EXPECT_NE(words.find(part), std::string::npos) << words;
    }
  }
}

TEST_P(Transfer, WhatFailedStaysFailed) {
  const Array x = random_array(numbers_, float32, {1000});
  fault::arm("launch", 1);
  const Array bad = exp(x);
  bad.eval();
  fault::disarm();
  for (const Device& other : others_) {
    const Array there = bad.to(other);
    EXPECT_THROW(there.eval(), LaunchError);
    EXPECT_THROW((void)bytes_of(there), LaunchError);
  }
  EXPECT_EQ(bytes_of(x.to(others_[0])), bytes_of(x));
}

TEST_P(Transfer, ExplainNamesTheCopy) {
  const std::string words = explain(ones({3, 2}).to(others_[1]) + 1.0);
  EXPECT_NE(words.find("first a copy from " + device_.name() + " to remote:0: float32 of (3, 2)"),
            std::string::npos)
      << words;
  EXPECT_NE(words.find("plan on remote:0"), std::string::npos) << words;
}

NOYAU_FOR_EACH_DEVICE(Transfer);

/// Random programs on a device whose memory the host cannot touch give what the interpreter gives.
TEST(Remote, RandomPrograms) {
  const auto results = [](const Device& device, std::uint64_t seed) {
    const DeviceScope scope(device);
    const RandomProgram program = random_program(seed);
    const std::vector<Array> values = program.build();
    std::vector<std::vector<unsigned char>> bytes;
    for (int k : program.results) bytes.push_back(bytes_of(values[static_cast<std::size_t>(k)]));
    return bytes;
  };
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    EXPECT_EQ(results(remote_device(), seed), results(interpreter_device(), seed)) << seed;
  }
}

TEST(Remote, ArraysOfNullDevicesCanLeave) {
  const Array x = [] {
    const DeviceScope scope(device("null:0"));
    return array({1.5f, -2.0f});
  }();
  EXPECT_EQ(x.to(remote_device()).to_vector<float>(), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_THROW((x + 1.0).to(remote_device()).eval(), DeviceError);
}

}  // namespace
}  // namespace noyau::test

// What the tests of oneDNN's routines share.
// SPDX-License-Identifier: Apache-2.0
#include "tests/device/onednn_calls.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/module.hpp"
#include "noyau/error.hpp"
#include "tests/common/fake_device.hpp"

namespace noyau::test {
namespace {

constexpr float untouched = 12345.0f;

/// Calls OpenMP in the module's own runtime library.
bool set_threads(int threads) {
  void* library = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
  const auto set = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
  if (set != nullptr) set(threads);
  return set != nullptr;
}

}  // namespace

const LibraryRoutine* find_routine(const std::string& name) {
  test::FakeDevice device;
  device.device_name = "cpu:0";
  for (const LibraryRoutine* routine : routines_for(device))
    if (routine->name() == name) return routine;
  return nullptr;
}

std::string why_absent() {
  for (const ModuleReport& report : module_reports()) {
    if (report.name != "onednn") continue;
    std::string text = "SKIPPED: the onednn module is absent:";
    for (const std::string& line : report.lines) text += "\n  " + line;
    return text;
  }
  return "SKIPPED: the onednn module is not known";
}

Tensor make_tensor(const Shape& shape, const std::vector<int>& order, std::int64_t pad,
                   std::int64_t gap) {
  Tensor t;
  t.view.shape = shape;
  t.view.strides = Shape::filled(shape.rank(), 0);
  std::int64_t stride = gap;
  for (std::size_t i = order.size(); i-- > 0;) {
    const int axis = order[i];
    t.view.strides[axis] = stride;
    stride *= shape[axis] + (i + 1 == order.size() ? pad : 0);
  }
  t.offset = pad / 2 * gap;
  t.memory.assign(static_cast<std::size_t>(stride + t.offset + gap), untouched);
  return t;
}

void for_each(const Shape& shape, const std::function<void(const std::vector<std::int64_t>&)>& f) {
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    f(index);
    for (std::size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < shape[static_cast<int>(axis)]) break;
      index[axis] = 0;
    }
  }
}

void fill(Tensor& t, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> values(-1.0f, 1.0f);
  for_each(t.view.shape, [&](const auto& index) {
    t.memory[static_cast<std::size_t>(t.at(index))] = values(generator);
  });
}

std::vector<float> run(PreparedCall& prepared, const std::vector<const Tensor*>& inputs,
                       Tensor& output, const std::vector<std::uint64_t>& versions) {
  std::vector<const void*> pointers;
  for (const Tensor* input : inputs) pointers.push_back(input->data());
  const auto bytes = static_cast<std::size_t>(prepared.workspace_bytes());
  constexpr std::size_t guard = 256;
  const std::size_t room = (bytes + guard + 63) / 64 * 64;
  auto* workspace = static_cast<std::byte*>(std::aligned_alloc(64, room));
  std::memset(workspace, 0xff, room);
  std::fill(output.memory.begin(), output.memory.end(), untouched);
  prepared.run_versioned(pointers, versions, output.data(), workspace);
  for (std::size_t i = bytes; i < room; ++i)
    EXPECT_EQ(workspace[i], std::byte{0xff}) << "wrote past the workspace";
  std::free(workspace);
  return output.memory;
}

void expect_close(const Tensor& output, const ExactAt& exact, const std::string& what) {
  std::vector<bool> mine(output.memory.size(), false);
  int wrong = 0;
  for_each(output.view.shape, [&](const auto& index) {
    mine[static_cast<std::size_t>(output.at(index))] = true;
    const Exact right = exact(index);
    const double got = output(index);
    if (!(std::abs(got - right.value) <= 1e-6 * right.size + 1e-30) && ++wrong < 4) {
      ADD_FAILURE() << what << ": at " << fmt::format("{}", index[0]) << ","
                    << fmt::format("{}", index.back()) << " is " << got << ", not " << right.value;
    }
  });
  EXPECT_EQ(wrong, 0) << what;
  for (std::size_t i = 0; i < mine.size(); ++i)
    ASSERT_TRUE(mine[i] || output.memory[i] == untouched) << what << ": wrote outside the output";
}

void expect_same_bits_for_any_threads(const LibraryRoutine& routine, Ready& r,
                                      const std::string& what) {
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 4, 8}) {
    ASSERT_TRUE(set_threads(threads));
    const auto prepared = routine.prepare(r.call);
    const auto memory = run(*prepared, r.inputs, *r.output);
    if (first.empty()) first = memory;
    EXPECT_EQ(0, std::memcmp(first.data(), memory.data(), memory.size() * sizeof(float)))
        << what << " with " << threads << " threads";
  }
  set_threads(2);
}

void expect_refusal(const LibraryRoutine& routine, const LibraryCall& right, const char* what,
                    const std::function<void(LibraryCall&)>& change) {
  LibraryCall call = right;
  change(call);
  EXPECT_FALSE(routine.accepts(call)) << what;
  EXPECT_THROW(routine.prepare(call), InternalError) << what;
}

}  // namespace noyau::test

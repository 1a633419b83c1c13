// The CUDA text, compiled as C++ against a small shim and executed without a GPU: the interpreter's
// bits.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "jit/emit_c.hpp"
#include "noyau/noyau.hpp"
#include "tests/common/corpus.hpp"
#include "tests/common/generated_cases.hpp"
#include "tests/common/interpreter_device.hpp"
#include "tests/common/schedule_cases.hpp"
#include "tests/common/temporary_directory.hpp"

namespace noyau::test {
namespace {

using jit::Program;
using jit::testing::Extent;
using jit::testing::HostBuffer;

/// A launch with what it must leave.
struct Launch {
  std::size_t kernel;
  Extent extent;
  std::vector<std::uint64_t> parameters;
  std::vector<HostBuffer> buffers, wanted;
};

/// A kernel as the shared object has it: called with the block's threads and pointers to the
/// arguments.
struct Kernel {
  Program program;
  jit::EmittedKernel emitted;
};

std::string_view type_in_cpp(DType type) {
  return jit::cuda_dialect().types[static_cast<int>(type == bool_ ? uint8 : type)];
}

/// Runs a grid: blocks one after the other, the threads of each as threads.
std::string trampoline(std::size_t k, const Kernel& kernel) {
  std::string values;
  std::size_t n = 0;
  for (const jit::KernelArgument& a : kernel.emitted.arguments) {
    const bool pointer =
        a.kind == jit::KernelArgument::Kind::buffer || a.kind == jit::KernelArgument::Kind::fault;
    values += fmt::format("{}*({}{}*)arguments[{}]", n == 0 ? "" : ", ", type_in_cpp(a.dtype),
                          pointer ? "*" : "", n);
    ++n;
  }
  return fmt::format(
      "extern \"C\" void run_{0}(const int* grid, const int* block, void** arguments) {{\n"
      "  noyau_shim_run(grid, block, [=] {{ k{0}::kernel_{0}({1}); }});\n}}\n",
      k, values);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// All kernels in one translation unit, each in a namespace of its own.
std::string translation_unit(const std::vector<Kernel>& kernels, std::size_t first,
                             std::size_t end) {
  std::string text = fmt::format("#include \"{}/tests/cuda_text/shim.hpp\"\n", NOYAU_SOURCE_DIR);
  for (std::size_t k = first; k < end; ++k) {
    std::string kernel =
        replaced(kernels[k].emitted.text, jit::entry_name, fmt::format("kernel_{}", k));
    kernel = replaced(kernel, std::string(jit::cuda_dialect().dynamic_shared), "");
    text += fmt::format("namespace k{} {{\n{}}}\n{}", k, kernel, trampoline(k, kernels[k]));
  }
  return text;
}

class CudaText : public ::testing::Test {
 protected:
  void add(const Program& program, const Extent& extent,
           const std::vector<std::uint64_t>& parameters, const std::vector<HostBuffer>& buffers) {
    const jit::Hash128 hash = jit::hash(program);
    const auto [found, fresh] = numbers_.insert({{hash.low, hash.high}, kernels_.size()});
    if (fresh) kernels_.push_back({program, jit::emit_c(program, jit::cuda_dialect(), {})});
    launches_.push_back({found->second, extent, parameters, buffers,
                         jit::testing::interpreted(program, extent, parameters, buffers)});
  }

  /// Compiles what was added, runs it and compares.
  void run_all() {
    constexpr std::size_t together = 60;
    std::vector<void*> libraries;
    for (std::size_t first = 0; first < kernels_.size(); first += together) {
      libraries.push_back(compile(first, std::min(first + together, kernels_.size())));
      ASSERT_NE(libraries.back(), nullptr)
          << "the text does not compile; see " << directory_.path();
    }
    int failures = 0;
    for (const Launch& launch : launches_) {
      const std::vector<HostBuffer> after = run(libraries[launch.kernel / together], launch);
      if (const auto result = jit::testing::same(after, launch.wanted); !result) {
        ADD_FAILURE() << result.message() << "\n"
                      << jit::print(kernels_[launch.kernel].program)
                      << kernels_[launch.kernel].emitted.text;
        if (++failures == 3) return;
      }
    }
    fmt::print("# {} kernels, {} launches\n", kernels_.size(), launches_.size());
  }

 private:
  void* compile(std::size_t first, std::size_t end) {
    const std::string base = (directory_.path() / std::to_string(first)).string();
    std::ofstream(base + ".cpp") << translation_unit(kernels_, first, end);
    const std::string command = fmt::format(
        "c++ -std=c++20 -O1 -fPIC -shared -pthread -ffp-contract=off -fwrapv -w -o {0}.so {0}.cpp",
        base);
    if (std::system(command.c_str()) != 0) return nullptr;
    return dlopen((base + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  }

  std::vector<HostBuffer> run(void* library, const Launch& launch) {
    const Kernel& kernel = kernels_[launch.kernel];
    const auto entry = reinterpret_cast<void (*)(const int*, const int*, void**)>(
        dlsym(library, fmt::format("run_{}", launch.kernel).c_str()));
    std::vector<HostBuffer> after = launch.buffers;
    std::vector<void*> pointers(after.size());
    std::vector<std::uint64_t> values = launch.parameters;
    std::int64_t faults[2] = {0, 0}, extent[3];
    std::copy(launch.extent.begin(), launch.extent.end(), extent);
    void* fault_word = faults;
    std::vector<void*> arguments;
    for (const jit::KernelArgument& a : kernel.emitted.arguments) {
      const auto n = static_cast<std::size_t>(a.number);
      switch (a.kind) {
        case jit::KernelArgument::Kind::buffer:
          pointers[n] = after[n].bytes.data();
          arguments.push_back(&pointers[n]);
          break;
        case jit::KernelArgument::Kind::parameter:
          arguments.push_back(&values[n]);
          break;
        case jit::KernelArgument::Kind::extent:
          arguments.push_back(&extent[n]);
          break;
        default:
          arguments.push_back(&fault_word);
      }
    }
    // Fewer threads than items, to see the loops over them.
    int grid[3] = {2, 1, 1}, block[3] = {3, 1, 1};
    if (kernel.program.domain == jit::Domain::blocks) {
      grid[0] = static_cast<int>(extent[0] * extent[1] * extent[2]);
      std::copy_n(kernel.program.block_size, 3, block);
    }
    entry(grid, block, arguments.data());
    return after;
  }

  test::TemporaryDirectory directory_;
  std::vector<Kernel> kernels_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> numbers_;
  std::vector<Launch> launches_;
};

TEST_F(CudaText, HandWrittenPrograms) {
  for (const jit::testing::HandWritten& h : jit::testing::hand_written_programs()) {
    add(jit::parse_program(h.text), h.extent, h.parameters, h.buffers);
  }
  run_all();
}

TEST_F(CudaText, EveryInstruction) {
  jit::testing::Visit visit = [&](auto&&... launch) { add(launch...); };
  for (int t = 0; t < dtype_count; ++t) {
    const auto type = static_cast<DType>(t);
    jit::testing::visit_binary(type, visit);
    jit::testing::visit_unary(type, visit);
    jit::testing::visit_conversions(type, visit);
    int k = 0;
    jit::testing::visit_constant_operands(type, [&](auto&&... launch) {
      if (k++ % 4 == 0) add(launch...);
    });
  }
  jit::testing::visit_fma_and_select(visit);
  run_all();
}

TEST_F(CudaText, BlocksAndControlFlow) {
  jit::testing::Visit visit = [&](auto&&... launch) { add(launch...); };
  jit::testing::visit_private_arrays(visit);
  jit::testing::visit_streamed_rows(visit);
  jit::testing::visit_block_shapes(visit);
  jit::testing::visit_shuffles_and_votes(visit);
  jit::testing::visit_random_control_flow(visit);
  run_all();
}

TEST_F(CudaText, MathematicalFunctions) {
  jit::testing::visit_math([&](auto&&... launch) { add(launch...); });
  run_all();
}

/// Every schedule, at odd extents, in blocks of 64 threads.
TEST_F(CudaText, Schedules) {
  const DeviceScope scope(blocks_device(64));
  const LaunchWatch watch([&](auto&&... launch) { add(launch...); });
  visit_schedule_cases([](const ScheduleCase& c) { c.make().wait(); });
  run_all();
}

/// Products in tiles: a share of the cases.
TEST_F(CudaText, Products) {
  int k = 0;
  const Runner runner = [&](const jit::GeneratedKernel& kernel,
                            std::vector<std::vector<std::byte>>& memory) {
    std::vector<HostBuffer> buffers;
    for (const jit::MemoryObject& m : kernel.program.memory) {
      if (m.kind != jit::MemoryObject::Kind::buffer) continue;
      HostBuffer& b = buffers.emplace_back();
      b.dtype = m.dtype;
      b.bytes.resize(memory[buffers.size() - 1].size());
      std::memcpy(b.bytes.data(), memory[buffers.size() - 1].data(), b.bytes.size());
    }
    if (kernel.program.domain == jit::Domain::blocks && k++ % 3 == 0)
      add(kernel.program, {kernel.extent[0], kernel.extent[1], kernel.extent[2]}, kernel.parameters,
          buffers);
    const std::vector<HostBuffer> after = jit::testing::interpreted(
        kernel.program, {kernel.extent[0], kernel.extent[1], kernel.extent[2]}, kernel.parameters,
        buffers);
    for (std::size_t b = 0; b < after.size(); ++b)
      std::memcpy(memory[b].data(), after[b].bytes.data(), after[b].bytes.size());
  };
  check_matmuls(runner, false, 256);
  check_convolutions(runner, false, 256);
  run_all();
}

}  // namespace
}  // namespace noyau::test

// A libnvrtc.so.13 for tests: compiles the kernel as C++, with the shim of the tests of CUDA text,
// to a shared object that the fake driver runs.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/common/temporary_directory.hpp"

namespace {

struct Program {
  std::string text, log, cubin;
};

/// The types of the entry's arguments, from its signature.
std::vector<std::string> argument_types(const std::string& text) {
  const std::size_t name = text.rfind("noyau_kernel("), begin = text.find('(', name) + 1;
  const std::string all = text.substr(begin, text.find(')', begin) - begin) + ",";
  std::vector<std::string> types;
  for (std::size_t at = 0, end; (end = all.find(',', at)) != std::string::npos; at = end + 1) {
    const std::string one = all.substr(at, end - at);
    if (one.find_first_not_of(" \n") == std::string::npos) continue;
    types.push_back(one.substr(0, one.rfind(' ')));
  }
  return types;
}

/// Bytes of the shared arrays that the text declares with their sizes, as an expression.
std::string declared_shared_bytes(const std::string& text) {
  const std::string words = "__shared__ __align__(16) ";
  std::string bytes = "0";
  for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos;) {
    at += words.size();
    const std::size_t bracket = text.find('[', at);
    const std::string declared = text.substr(at, bracket - at);
    const std::string type = declared.substr(0, declared.rfind(' '));
    const std::string count = text.substr(bracket + 1, text.find(']', bracket) - bracket - 1);
    bytes += " + (sizeof(" + type + ") * " + count + " + 15) / 16 * 16";
  }
  return bytes;
}

std::string trampoline(const std::string& text) {
  std::string values;
  const std::vector<std::string> types = argument_types(text);
  for (std::size_t k = 0; k < types.size(); ++k) {
    values += (k == 0 ? "" : ", ") + std::string("*(") + types[k] + "*)arguments[" +
              std::to_string(k) + "]";
  }
  std::string sizes;
  for (const std::string& type : types) sizes += "sizeof(" + type + "), ";
  return "extern \"C\" const unsigned long noyau_fake_sizes[] = {" + sizes +
         "0};\n"
         "extern \"C\" const unsigned long noyau_fake_shared = " +
         declared_shared_bytes(text) +
         ";\n"
         "extern \"C\" void noyau_fake_run(const int* grid, const int* block, void** arguments) {\n"
         "  noyau_shim_run(grid, block, [=] { noyau_kernel(" +
         values + "); });\n}\n";
}

std::string contents(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool build(Program& program) {
  const noyau::test::TemporaryDirectory directory;
  const std::string base = (directory.path() / "kernel").string();
  std::string text = program.text;
  const std::string shared = "extern __shared__ __align__(16) unsigned char noyau_shared[];";
  if (const std::size_t at = text.find(shared); at != std::string::npos) {
    text.erase(at, shared.size());
  }
  std::ofstream(base + ".cpp") << "#include \"" NOYAU_SOURCE_DIR "/tests/cuda_text/shim.hpp\"\n"
                               << "#define __launch_bounds__(n)\n"
                               << text << trampoline(text);
  const std::string command =
      "c++ -std=c++20 -O0 -fPIC -shared -pthread -ffp-contract=off -fwrapv -w -o " + base + ".so " +
      base + ".cpp 2> " + base + ".log";
  const bool built = std::system(command.c_str()) == 0;
  program.log = contents(base + ".log");
  if (!built) return false;
  const std::string object = contents(base + ".so");
  const std::size_t size = object.size();
  program.cubin =
      "FAKECUBN" + std::string(reinterpret_cast<const char*>(&size), sizeof size) + object;
  return true;
}

}  // namespace

extern "C" {

int nvrtcVersion(int* major, int* minor) {
  const char* mode = getenv("NOYAU_FAKE_NVRTC");
  *major = mode != nullptr && std::strcmp(mode, "old") == 0 ? 11 : 13;
  *minor = 0;
  return 0;
}
const char* nvrtcGetErrorString(int status) {
  return status == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_FAKE";
}
int nvrtcGetNumSupportedArchs(int* count) {
  *count = 2;
  return 0;
}
int nvrtcGetSupportedArchs(int* archs) {
  archs[0] = 75;
  archs[1] = 90;
  return 0;
}
int nvrtcCreateProgram(Program** program, const char* text, const char*, int, const char* const*,
                       const char* const*) {
  *program = new Program{text, {}, {}};
  return 0;
}
int nvrtcDestroyProgram(Program** program) {
  delete *program;
  *program = nullptr;
  return 0;
}
/// Knows no --minimal, as older ones.
int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  for (int k = 0; k < count; ++k) {
    if (std::strcmp(options[k], "--minimal") == 0) return 5;
  }
  const char* mode = getenv("NOYAU_FAKE_NVRTC");
  if (mode != nullptr && std::strcmp(mode, "refuse") == 0) {
    program->log = "kernel.cu(2): error: the fake compiler refuses";
    return 6;
  }
  return build(*program) ? 0 : 6;
}
int nvrtcGetProgramLogSize(Program* program, std::size_t* size) {
  *size = program->log.size() + 1;
  return 0;
}
int nvrtcGetProgramLog(Program* program, char* log) {
  std::memcpy(log, program->log.c_str(), program->log.size() + 1);
  return 0;
}
int nvrtcGetPTXSize(Program*, std::size_t*) { return 1; }
int nvrtcGetPTX(Program*, char*) { return 1; }
#ifndef NOYAU_FAKE_WITHOUT_CUBIN
int nvrtcGetCUBINSize(Program* program, std::size_t* size) {
  *size = program->cubin.size();
  return 0;
}
int nvrtcGetCUBIN(Program* program, char* cubin) {
  std::memcpy(cubin, program->cubin.data(), program->cubin.size());
  return 0;
}
#endif

}  // extern "C"

// What is known of PoCL, the OpenCL of CPUs: its cache, how to make it compile in a fraction of its
// time.
// SPDX-License-Identifier: Apache-2.0
#include "backends/opencl/pocl.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>

#include "core/forked.hpp"

namespace noyau::opencl {
namespace {

constexpr const char* folder_prefix = "noyau-pocl-";
constexpr const char* specialization_variable = "POCL_WORK_GROUP_SPECIALIZATION";
constexpr const char* for_any_size = "0";

/// PoCL's cache of this process, to be removed at exit; leaked.
std::string& pocl_folder() {
  static auto& folder = *new std::string;
  return folder;
}

void remove_pocl_folder() {
  if (is_forked_child()) return;
  std::error_code ignored;
  std::filesystem::remove_all(pocl_folder(), ignored);
}

/// Whether this process now holds the folder's lock, which ends with the process that holds it.
bool lock(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return false;
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return true;  // open until the process ends
  ::close(file);
  return false;
}

/// Of processes that were killed.
void remove_abandoned_folders(const std::filesystem::path& where) {
  constexpr std::time_t young = 60;  // seconds: perhaps not locked yet
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(where, ignored)) {
    const std::string name = entry.path().string();
    struct stat status;
    if (!entry.path().filename().string().starts_with(folder_prefix) ||
        ::lstat(name.c_str(), &status) != 0 || status.st_uid != ::geteuid() ||
        status.st_mtime > std::time(nullptr) - young || !lock(name)) {
      continue;
    }
    std::filesystem::remove_all(entry.path(), ignored);
  }
}

/// Where PoCL may load code from; it waits for the disk after each file that it writes.
std::filesystem::path place_of_folder() {
  constexpr const char* memory = "/dev/shm";
  struct statvfs status;
  if (::statvfs(memory, &status) == 0 && (status.f_flag & (ST_NOEXEC | ST_RDONLY)) == 0 &&
      ::access(memory, W_OK | X_OK) == 0) {
    return memory;
  }
  std::error_code ignored;
  return std::filesystem::temp_directory_path(ignored);
}

}  // namespace

bool runs_any_size() {
  const char* set = std::getenv(specialization_variable);
  return set != nullptr && std::string_view(set) == for_any_size;
}

void prepare_pocl() {
  setenv(specialization_variable, for_any_size, 0);
  if (std::getenv("POCL_CACHE_DIR") != nullptr) return;
  const std::filesystem::path where = place_of_folder();
  remove_abandoned_folders(where);
  std::string folder = (where / folder_prefix).string() + "XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return;
  (void)lock(folder);
  setenv("POCL_CACHE_DIR", folder.c_str(), 0);
  pocl_folder() = folder;
  std::atexit(remove_pocl_folder);
}

bool is_pocl(std::string_view platform) { return platform == "Portable Computing Language"; }

std::size_t without_bitcode(std::span<std::byte> binary) {
  // A module of LLVM with nothing in it: magic, the block of a module, in it a record: version 1.
  static constexpr std::uint8_t nothing[] = {'B',  'C',  0xC0, 0xDE, 0x21, 0x0C, 0x00, 0x00,
                                             0x01, 0x00, 0x00, 0x00, 0x0B, 0x82, 0x00, 0x00};
  // Where things are in a binary of PoCL 3.1: the format's version, the folder's name, the size of
  // what follows it and is not of one kernel, there one file's name, its size, its bytes.
  constexpr std::uint32_t known_version = 9;
  constexpr std::size_t version_at = 16, folder_at = 36, part_at = 77, file_at = 85,
                        length_at = 100, code_at = 104;
  constexpr std::string_view magic("poclbin\0", 8), file("\x0b\0\0\0/program.bc", 15);
  const std::string_view text(reinterpret_cast<const char*>(binary.data()), binary.size());
  if (text.size() < code_at || !text.starts_with(magic) || !text.substr(file_at).starts_with(file))
    return binary.size();
  std::uint32_t version = 0, length = 0;
  std::uint64_t part = 0;
  std::memcpy(&version, &binary[version_at], sizeof version);
  std::memcpy(&part, &binary[part_at], sizeof part);
  std::memcpy(&length, &binary[length_at], sizeof length);
  if (version != known_version || length > binary.size() - code_at || length < sizeof nothing ||
      part != code_at - file_at + length || !text.substr(code_at).starts_with("BC\xC0\xDE")) {
    return binary.size();
  }
  const std::span<std::byte> rest = binary.subspan(code_at + length);
  std::memcpy(&binary[code_at], nothing, sizeof nothing);
  std::memmove(&binary[code_at + sizeof nothing], rest.data(), rest.size());
  length = sizeof nothing;
  part = code_at - file_at + length;
  std::memcpy(&binary[part_at], &part, sizeof part);
  std::memcpy(&binary[length_at], &length, sizeof length);
  // Not where PoCL looks when it is given the same text; its names have no small letters.
  binary[folder_at] |= std::byte{0x20};
  return code_at + length + rest.size();
}

std::string_view own_declarations() {
  return R"(
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define NOYAU_PURE __attribute__((overloadable, const))
#define NOYAU_OVER __attribute__((overloadable))
#define NOYAU_SYNC __attribute__((overloadable, convergent))
#define as_int(x) __builtin_astype((x), int)
#define as_uint(x) __builtin_astype((x), uint)
#define as_long(x) __builtin_astype((x), long)
#define as_ulong(x) __builtin_astype((x), ulong)
#define as_float(x) __builtin_astype((x), float)
#define as_double(x) __builtin_astype((x), double)
ulong NOYAU_PURE get_global_id(uint);
ulong NOYAU_PURE get_global_size(uint);
ulong NOYAU_PURE get_local_id(uint);
ulong NOYAU_PURE get_group_id(uint);
#define NOYAU_EACH(T)                                             \
  T NOYAU_PURE fma(T, T, T);                                      \
  T NOYAU_PURE fmod(T, T);                                        \
  T NOYAU_PURE sqrt(T);                                           \
  T NOYAU_PURE floor(T);                                          \
  T NOYAU_PURE ceil(T);                                           \
  T NOYAU_PURE trunc(T);                                          \
  T NOYAU_PURE rint(T);                                           \
  T NOYAU_PURE fabs(T);
NOYAU_EACH(float)
#ifdef cl_khr_fp64
NOYAU_EACH(double)
#endif
#undef NOYAU_EACH
#define CLK_LOCAL_MEM_FENCE 1
#define CLK_GLOBAL_MEM_FENCE 2
void NOYAU_SYNC barrier(uint);
void NOYAU_OVER mem_fence(uint);
#define NOYAU_EACH(S, T, prefix)                                  \
  T NOYAU_OVER prefix##_add(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_min(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_max(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_and(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_or(volatile S T*, T);                     \
  T NOYAU_OVER prefix##_xor(volatile S T*, T);                    \
  T NOYAU_OVER prefix##_xchg(volatile S T*, T);                   \
  T NOYAU_OVER prefix##_cmpxchg(volatile S T*, T, T);
NOYAU_EACH(__global, int, atomic)
NOYAU_EACH(__global, uint, atomic)
NOYAU_EACH(__local, int, atomic)
NOYAU_EACH(__local, uint, atomic)
#ifdef cl_khr_int64_base_atomics
NOYAU_EACH(__global, long, atom)
NOYAU_EACH(__global, ulong, atom)
NOYAU_EACH(__local, long, atom)
NOYAU_EACH(__local, ulong, atom)
#endif
#undef NOYAU_EACH
int printf(__constant const char*, ...);
)";
}

}  // namespace noyau::opencl

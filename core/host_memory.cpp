// The host's memory: big blocks on huge pages of their own, the rest from malloc.
// SPDX-License-Identifier: Apache-2.0
#include "core/host_memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace noyau {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20, page = 4096, line = 64;
constexpr std::size_t most = std::size_t{1} << 62;

bool is_big(std::size_t bytes) { return bytes >= huge_page; }
std::size_t rounded(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

std::byte* allocate_host_memory(std::size_t bytes) {
  if (bytes > most) return nullptr;
  if (!is_big(bytes)) {
    return static_cast<std::byte*>(std::aligned_alloc(line, rounded(bytes == 0 ? 1 : bytes, line)));
  }
  // Map enough to cut an aligned piece out: only aligned 2 MiB become huge pages.
  const std::size_t size = rounded(bytes, page), reserved = size + huge_page;
  void* mapped =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t before = rounded(address, huge_page) - address;
  const std::size_t after = reserved - before - size;
  if (before > 0) munmap(begin, before);
  if (after > 0) munmap(begin + before + size, after);
  madvise(begin + before, size, MADV_HUGEPAGE);  // a wish: without huge pages all works, slower
  return begin + before;
}

void release_host_memory(std::byte* pointer, std::size_t bytes) {
  if (is_big(bytes)) munmap(pointer, rounded(bytes, page));
  else std::free(pointer);
}

}  // namespace noyau

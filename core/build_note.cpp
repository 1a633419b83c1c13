// Reads the GNU build id out of a loaded object's program headers.
// SPDX-License-Identifier: Apache-2.0
#include "core/build_note.hpp"

#include <fmt/format.h>
#include <link.h>

#include <cstring>
#include <span>

namespace noyau {
namespace {

struct Search {
  std::uintptr_t address;
  std::string note;
};

/// The build id among the notes of one segment.
std::string id_in(const unsigned char* notes, std::size_t bytes) {
  auto aligned = [](std::size_t n) { return (n + 3) & ~std::size_t{3}; };
  std::string text;
  for (std::size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes + at, sizeof note);
    const std::size_t name = at + sizeof note, content = name + aligned(note.n_namesz);
    if (content + note.n_descsz > bytes) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(notes + name, "GNU", 4) == 0) {
      for (unsigned char byte : std::span(notes + content, note.n_descsz)) {
        text += fmt::format("{:02x}", byte);
      }
      return text;
    }
    at = content + aligned(note.n_descsz);
  }
  return text;
}

int visit(dl_phdr_info* object, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  const std::span headers(object->dlpi_phdr, object->dlpi_phnum);
  bool inside = false;
  for (const ElfW(Phdr) & h : headers) {
    const std::uintptr_t begin = object->dlpi_addr + h.p_vaddr;
    inside = inside ||
             (h.p_type == PT_LOAD && search.address >= begin && search.address - begin < h.p_memsz);
  }
  for (const ElfW(Phdr) & h : headers) {
    if (!inside || h.p_type != PT_NOTE || !search.note.empty()) continue;
    search.note =
        id_in(reinterpret_cast<const unsigned char*>(object->dlpi_addr + h.p_vaddr), h.p_memsz);
  }
  return inside ? 1 : 0;
}

}  // namespace

std::string build_note_of(const void* address) {
  Search search{reinterpret_cast<std::uintptr_t>(address), {}};
  ::dl_iterate_phdr(visit, &search);
  return search.note;
}

}  // namespace noyau

// Reads an x86-64 ELF object: sections into one mapping, relocations, stubs for far helpers.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/loader.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <vector>

#include "noyau/error.hpp"

namespace noyau::llvm_backend {
namespace {

constexpr std::size_t stub_bytes = 16;

[[noreturn]] void damaged(const char* what) {
  throw CompileError(fmt::format("load: the object code of a kernel is damaged: {}", what));
}

/// An object file; every read is checked against its size.
class Object {
 public:
  explicit Object(std::span<const std::byte> bytes) : bytes_(bytes) {
    const auto header = read<Elf64_Ehdr>(0);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        header.e_type != ET_REL || header.e_shentsize != sizeof(Elf64_Shdr)) {
      damaged("it is no x86-64 object file");
    }
    for (std::size_t k = 0; k < header.e_shnum; ++k) {
      sections.push_back(read<Elf64_Shdr>(header.e_shoff + k * sizeof(Elf64_Shdr)));
    }
  }

  template <class T>
  T read(std::size_t offset) const {
    T value;
    std::memcpy(&value, content(offset, sizeof(T)), sizeof(T));
    return value;
  }
  const std::byte* content(std::size_t offset, std::size_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) damaged("it ends too early");
    return bytes_.data() + offset;
  }
  std::string text(const Elf64_Shdr& table, std::size_t at) const {
    if (at >= table.sh_size) damaged("a name lies outside its table");
    const auto* begin =
        reinterpret_cast<const char*>(content(table.sh_offset + at, table.sh_size - at));
    return {begin, strnlen(begin, table.sh_size - at)};
  }
  const Elf64_Shdr& section(std::size_t number) const {
    if (number >= sections.size()) damaged("a section number is out of range");
    return sections[number];
  }

  std::vector<Elf64_Shdr> sections;

 private:
  std::span<const std::byte> bytes_;
};

/// One object on its way into memory.
class Placing {
 public:
  explicit Placing(std::span<const std::byte> bytes) : object_(bytes) {
    for (const Elf64_Shdr& s : object_.sections) {
      if (s.sh_type == SHT_SYMTAB) symbols_ = &s;
    }
    if (symbols_ == nullptr) damaged("it has no symbols");
    layout();
  }

  std::size_t size() const { return size_; }

  KernelFunction place(std::byte* memory) {
    memory_ = memory;
    for (std::size_t k = 0; k < object_.sections.size(); ++k) {
      const Elf64_Shdr& s = object_.sections[k];
      if (offsets_[k] == absent || s.sh_type == SHT_NOBITS || s.sh_size == 0) continue;
      std::memcpy(memory + offsets_[k], object_.content(s.sh_offset, s.sh_size), s.sh_size);
    }
    for (const Elf64_Shdr& s : object_.sections) {
      if (s.sh_type == SHT_RELA && s.sh_info < offsets_.size() && offsets_[s.sh_info] != absent) {
        relocate(s);
      }
    }
    for (std::size_t k = 0; k < symbol_count(); ++k) {
      const auto symbol = symbol_at(k);
      if (symbol_name(symbol) == kernel_symbol && symbol.st_shndx != SHN_UNDEF) {
        return reinterpret_cast<KernelFunction>(address_in_section(symbol));
      }
    }
    damaged("it has no kernel");
  }

 private:
  static constexpr std::size_t absent = std::numeric_limits<std::size_t>::max();

  void layout() {
    constexpr std::size_t most = std::size_t{1} << 30;
    for (const Elf64_Shdr& s : object_.sections) {
      // Nothing unwinds through a kernel.
      const bool wanted = (s.sh_flags & SHF_ALLOC) != 0 && s.sh_type != SHT_X86_64_UNWIND;
      if (!wanted) {
        offsets_.push_back(absent);
        continue;
      }
      const std::size_t align = std::max<std::size_t>(s.sh_addralign, 1);
      if (align > 4096 || s.sh_size > most) damaged("a section is too large");
      size_ = (size_ + align - 1) / align * align;
      offsets_.push_back(size_);
      size_ += s.sh_size;
    }
    stubs_ = (size_ + stub_bytes - 1) / stub_bytes * stub_bytes;
    size_ = stubs_ + symbol_count() * stub_bytes;
  }

  std::size_t symbol_count() const { return symbols_->sh_size / sizeof(Elf64_Sym); }
  Elf64_Sym symbol_at(std::size_t k) const {
    if (k >= symbol_count()) damaged("a symbol number is out of range");
    return object_.read<Elf64_Sym>(symbols_->sh_offset + k * sizeof(Elf64_Sym));
  }
  std::string symbol_name(const Elf64_Sym& symbol) const {
    return object_.text(object_.section(symbols_->sh_link), symbol.st_name);
  }
  std::uint64_t address_in_section(const Elf64_Sym& symbol) const {
    if (symbol.st_shndx >= offsets_.size() || offsets_[symbol.st_shndx] == absent ||
        symbol.st_value > object_.section(symbol.st_shndx).sh_size) {
      damaged("a symbol lies outside its section");
    }
    return reinterpret_cast<std::uint64_t>(memory_) + offsets_[symbol.st_shndx] + symbol.st_value;
  }

  /// Helpers may be further away than a call reaches: jump through `jmp *[rip]; address`.
  std::uint64_t stub(std::size_t symbol_number, const std::string& name) {
    const void* target = helper_address(name);
    if (target == nullptr) {
      throw CompileError(fmt::format("load: a kernel calls '{}', which there is not", name));
    }
    constexpr unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0};
    std::byte* at = memory_ + stubs_ + symbol_number * stub_bytes;
    std::memcpy(at, jump, sizeof jump);
    std::memcpy(at + sizeof jump, &target, sizeof target);
    return reinterpret_cast<std::uint64_t>(at);
  }

  void relocate(const Elf64_Shdr& table) {
    const Elf64_Shdr& into = object_.section(table.sh_info);
    for (std::size_t at = 0; at + sizeof(Elf64_Rela) <= table.sh_size; at += sizeof(Elf64_Rela)) {
      const auto r = object_.read<Elf64_Rela>(table.sh_offset + at);
      const std::size_t number = ELF64_R_SYM(r.r_info);
      const auto type = ELF64_R_TYPE(r.r_info);
      const std::size_t width = type == R_X86_64_64 ? 8 : 4;
      if (r.r_offset > into.sh_size || width > into.sh_size - r.r_offset) {
        damaged("a relocation lies outside its section");
      }
      const Elf64_Sym symbol = symbol_at(number);
      const std::uint64_t target = symbol.st_shndx == SHN_UNDEF ? stub(number, symbol_name(symbol))
                                                                : address_in_section(symbol);
      std::byte* place = memory_ + offsets_[table.sh_info] + r.r_offset;
      const std::uint64_t value = target + static_cast<std::uint64_t>(r.r_addend);
      if (type == R_X86_64_64) {
        std::memcpy(place, &value, sizeof value);
      } else if (type == R_X86_64_PC32 || type == R_X86_64_PLT32) {
        const auto distance =
            static_cast<std::int64_t>(value - reinterpret_cast<std::uint64_t>(place));
        const auto near = static_cast<std::int32_t>(distance);
        if (near != distance) damaged("a relocation reaches too far");
        std::memcpy(place, &near, sizeof near);
      } else {
        damaged("a relocation of an unknown kind");
      }
    }
  }

  Object object_;
  const Elf64_Shdr* symbols_ = nullptr;
  std::vector<std::size_t> offsets_;  ///< of each section in memory
  std::size_t stubs_ = 0, size_ = 0;
  std::byte* memory_ = nullptr;
};

}  // namespace

LoadedCode::LoadedCode(std::span<const std::byte> object) {
  Placing placing(object);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  bytes_ = (placing.size() + page - 1) / page * page;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw CompileError(fmt::format("load: no {} bytes of memory for a kernel's code: {}", bytes_,
                                   strerror(errno)));
  }
  memory_ = static_cast<std::byte*>(memory);
  try {
    entry_ = placing.place(memory_);
    if (mprotect(memory_, bytes_, PROT_READ | PROT_EXEC) != 0) {
      throw CompileError(
          fmt::format("load: memory cannot be made executable: {}; a security "
                      "policy of this system may forbid it",
                      strerror(errno)));
    }
  } catch (...) {
    munmap(memory_, bytes_);
    throw;
  }
}

LoadedCode::~LoadedCode() { munmap(memory_, bytes_); }

}  // namespace noyau::llvm_backend

// Finding executables: the way from a program's key to something that runs.
// SPDX-License-Identifier: Apache-2.0
#include "jit/cache.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <string>

#include "core/build_note.hpp"
#include "core/fault.hpp"
#include "core/log.hpp"
#include "core/module.hpp"
#include "jit/compile_threads.hpp"
#include "noyau/error.hpp"

namespace noyau::jit {
namespace {

thread_local CacheStatistics of_this_thread;

#ifdef NDEBUG
constexpr bool compare_programs = false;
#else
constexpr bool compare_programs = true;
#endif

/// The program as its hash sees it: names and places in the user's text do not change the code.
Program without_names(Program program) {
  program.name.clear();
  for (MemoryObject& object : program.memory) object.name.clear();
  for (Parameter& parameter : program.parameters) parameter.name.clear();
  for (std::string& function : program.function_names) function.clear();
  for (Instruction& instruction : program.instructions) instruction.place = 0;
  return program;
}

/// The build of the library or module that implements this device.
std::string module_note(const DeviceBackend& device) {
  const void* virtual_table = nullptr;
  std::memcpy(&virtual_table, &device, sizeof virtual_table);
  return build_note_of(virtual_table);
}

}  // namespace

ExecutableCache::ExecutableCache() {
  if (std::optional<DiskCache> opened = DiskCache::open()) {
    disk_ = std::make_shared<DiskCache>(std::move(*opened));
  }
}

Hash128 ExecutableCache::identity_of(DeviceBackend& device) {
  const std::lock_guard lock(identities_mutex_);
  for (const auto& [known, identity] : identities_) {
    if (known == &device) return identity;
  }
  const std::string text = fmt::format(
      "{}\n{}\n{}\n{}\n{}", device.code_identity(), code_generation, build_id(),
      build_note_of(reinterpret_cast<const void*>(&executable_cache)), module_note(device));
  identities_.emplace_back(&device, hash_bytes(text.data(), text.size()));
  return identities_.back().second;
}

ExecutableCache::Key ExecutableCache::key_of(DeviceBackend& device, const Program& program) {
  const Hash128 both[2] = {hash(program), identity_of(device)};
  return {hash_bytes(both, sizeof both), &device};
}

/// The entry of a program, made when it is new: then it is ours to fill or to drop.
ExecutableCache::Request ExecutableCache::request(DeviceBackend& device, const Program& program) {
  const Key key = key_of(device, program);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto [found, is_new] = shard.entries.try_emplace(key);
  if (is_new) {
    try {
      found->second = std::make_shared<Entry>();
      if (compare_programs) found->second->program = without_names(program);
    } catch (...) {
      shard.entries.erase(found);
      throw;
    }
  } else if (compare_programs && !(*found->second->program == without_names(program))) {
    throw InternalError(fmt::format(
        "[cache] two different programs have one key; one of them is {}", program.name));
  }
  return {key, found->second, is_new};
}

/// Takes a failed entry out of the map, so that the next call tries again, and tells those who
/// wait.
void ExecutableCache::drop(const Request& request, std::exception_ptr reason) {
  Shard& shard = shard_of(request.key);
  {
    const std::lock_guard lock(shard.mutex);
    shard.entries.erase(request.key);
  }
  request.entry->promise.set_exception(std::move(reason));
}

ExecutableRef ExecutableCache::load(DeviceBackend& device, const Program& program, Hash128 key) {
  if (!disk_) return nullptr;
  const auto begin = std::chrono::steady_clock::now();
  const std::optional<std::vector<std::byte>> object = disk_->read(key);
  if (!object) return nullptr;
  try {
    if (ExecutableRef executable = device.load(*object, program)) {
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - begin;
      logging::write(3, fmt::format("found {} on disk, {:.3f} ms", program.name, took.count()));
      return executable;
    }
    disk_->reject(key, "the device does not take it");
  } catch (const std::exception& e) {
    disk_->reject(key, e.what());
  }
  return nullptr;
}

/// Fills the entry of a request of ours; drops it on failure. Runs on a compile thread.
void ExecutableCache::make(DeviceBackend& device, const Program& program, Request& request) {
  Entry& entry = *request.entry;
  try {
    request.origin = Origin::disk;
    entry.executable = load(device, program, request.key.hash);
    if (!entry.executable) {
      request.origin = Origin::compiled;
      if (fault::should_fail("compile")) {
        throw CompileError(
            fmt::format("[compile] kernel {}: the fault point \"compile\" is armed", program.name));
      }
      entry.executable = device.compile(program);
      if (!entry.executable) throw InternalError("[cache] a device compiled to nothing");
    }
  } catch (...) {
    drop(request, std::current_exception());
    request.made = true;
    return;
  }
  if (disk_) {
    entry.executable->when_improved(
        [disk = disk_, key = request.key.hash](std::span<const std::byte> object) {
          disk->write(key, object);
        });
  }
  entry.promise.set_value();
  request.made = true;
  if (!disk_ || request.origin == Origin::disk) return;
  try {
    disk_->write(request.key.hash, entry.executable->object());
  } catch (const std::exception&) {
    // It could not be turned into bytes: it is compiled again in the next process.
  }
}

void ExecutableCache::count(Origin origin) {
  switch (origin) {
    case Origin::memory:
      ++memory_hits_, ++of_this_thread.memory_hits;
      break;
    case Origin::disk:
      ++disk_hits_, ++of_this_thread.disk_hits;
      break;
    case Origin::compiled:
      ++compiled_, ++of_this_thread.compiled;
      break;
  }
}

ExecutableRef ExecutableCache::find_or_compile(DeviceBackend& device, const Program& program) {
  const Program* const one[] = {&program};
  return find_or_compile_all(device, one).front();
}

std::vector<ExecutableRef> ExecutableCache::find_or_compile_all(
    DeviceBackend& device, std::span<const Program* const> programs, std::vector<bool>* compiled) {
  std::vector<Request> requests;
  requests.reserve(programs.size());
  try {
    std::vector<std::function<void()>> tasks;
    for (const Program* program : programs) {
      requests.push_back(request(device, *program));
      Request& r = requests.back();
      if (r.ours) tasks.emplace_back([this, &device, program, &r] { make(device, *program, r); });
    }
    if (!tasks.empty()) run_on_compile_threads(tasks);
  } catch (...) {
    for (const Request& r : requests) {
      if (r.ours && !r.made) drop(r, std::current_exception());
    }
    throw;
  }
  std::vector<ExecutableRef> executables;
  executables.reserve(programs.size());
  std::exception_ptr failure;
  for (const Request& r : requests) {
    try {
      r.entry->ready.get();
      count(r.origin);
      executables.push_back(r.entry->executable);
      if (compiled) compiled->push_back(r.origin == Origin::compiled);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return executables;
}

CacheStatistics ExecutableCache::statistics() const {
  return {compiled_, memory_hits_, disk_hits_};
}

CacheStatistics ExecutableCache::thread_statistics() { return of_this_thread; }

ExecutableCache& executable_cache() {
  static auto& cache = *new ExecutableCache;
  return cache;
}

}  // namespace noyau::jit

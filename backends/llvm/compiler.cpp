// Compilers kept ready in a pool: a target machine for each tier, passes, no JIT layers above them.
// SPDX-License-Identifier: Apache-2.0
#include "backends/llvm/compiler.hpp"

#include <fmt/format.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>

#include "backends/llvm/emit_ir.hpp"
#include "backends/llvm/recompile.hpp"
#include "backends/llvm/stack.hpp"
#include "core/fault.hpp"
#include "core/log.hpp"
#include "jit/legalise.hpp"
#include "noyau/error.hpp"

namespace noyau::llvm_backend {
namespace {

/// Changes when the same Program begins to give other code.
constexpr int code_version = 4;
constexpr char object_magic[8] = {'N', 'Y', 'L', 'L', 'V', 'M', '0', '2'};

/// Before the object's bytes: which program on which machine it is.
struct ObjectHeader {
  char magic[8];
  std::uint64_t machine, program_low, program_high, tier;
};

/// A kernel is worth recompiling when it has run for as long as that takes, several times over. One
/// that an earlier process left at tier 0 was not, so more must speak for it: running a program a
/// second time compiles nothing.
constexpr std::int64_t patience_with_new = 30'000'000, patience_with_known = 600'000'000;
/// What takes longer than about a second to optimise stays as it is.
constexpr jit::Value most_recompiled_instructions = 3000;

struct Host {
  std::string triple, cpu, features;
  const llvm::Target* target = nullptr;
  bool converts_float16 = false;  ///< by instructions; else LLVM would call functions
};

/// Leaked, as everything that outlives main is.
const Host& host() {
  static const Host* const found = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    auto* h = new Host;
    h->triple = llvm::sys::getProcessTriple();
    h->cpu = llvm::sys::getHostCPUName().str();
    for (const auto& [feature, on] : llvm::sys::getHostCPUFeatures()) {
      h->converts_float16 |= feature == "f16c" && on;
      h->features += fmt::format("{}{}{}", h->features.empty() ? "" : ",", on ? "+" : "-",
                                 std::string_view(feature.data(), feature.size()));
    }
    h->features += ",-prefer-256-bit";
    std::string words;
    h->target = llvm::TargetRegistry::lookupTarget(h->triple, words);
    if (h->target == nullptr) throw DeviceError("LLVM cannot generate code here: " + words);
    return h;
  }();
  return *found;
}

std::uint64_t machine_hash() {
  static const std::uint64_t hashed = [] {
    std::uint64_t h = 14695981039346656037ull;  // FNV-1a
    for (const char c : code_identity()) {
      h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    }
    return h;
  }();
  return hashed;
}

std::unique_ptr<llvm::TargetMachine> new_machine(llvm::CodeGenOptLevel level) {
  const Host& h = host();
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;  // what the user wrote, no contraction
  options.EnableFastISel = false;                      // it knows no wide vectors
  std::unique_ptr<llvm::TargetMachine> machine(
      h.target->createTargetMachine(h.triple, h.cpu, h.features, options, llvm::Reloc::PIC_,
                                    llvm::CodeModel::Small, level, /*JIT=*/true));
  if (machine == nullptr) throw DeviceError("LLVM has no target machine for " + h.cpu);
  machine->setFastISel(false);
  return machine;
}

/// How many gangs of straight code to interleave: as many as the registers hold a third of, for
/// what is spilled costs less than waiting; none where memory is the limit.
int gangs_at_once(const LaneAnalysis& lanes) {
  __builtin_cpu_init();
  const std::int64_t registers = __builtin_cpu_supports("avx512f") ? 32 * 64 : 16 * 32;
  constexpr std::int64_t least_cost = 64;
  const std::int64_t live = lanes.live_bytes * gang_lanes;
  if (lanes.cost < least_cost || live == 0) return 1;
  return static_cast<int>(std::clamp<std::int64_t>(3 * registers / live, 1, 3));
}

/// A target machine with its passes, made once: building them costs as much as a small kernel.
class CodeGenerator {
 public:
  explicit CodeGenerator(llvm::CodeGenOptLevel level)
      : machine_(new_machine(level)), out_(object_) {
    llvm::MCContext* unused = nullptr;
    if (machine_->addPassesToEmitMC(passes_, unused, out_, /*DisableVerify=*/true)) {
      throw InternalError("llvm: this target emits no object code");
    }
  }
  llvm::TargetMachine& machine() { return *machine_; }
  /// The object code, until the next call.
  std::span<const char> run(llvm::Module& module) {
    object_.clear();
    passes_.run(module);
    return {object_.data(), object_.size()};
  }

 private:
  std::unique_ptr<llvm::TargetMachine> machine_;
  llvm::SmallVector<char, 0> object_;
  llvm::raw_svector_ostream out_;
  llvm::legacy::PassManager passes_;
};

/// What one compile at a time works with.
class Compiler {
 public:
  Compiler() : quick_(llvm::CodeGenOptLevel::None), optimised_(llvm::CodeGenOptLevel::Default) {
    llvm::PassBuilder builder(&optimised_.machine());
    builder.registerModuleAnalyses(module_analyses_);
    builder.registerCGSCCAnalyses(call_analyses_);
    builder.registerFunctionAnalyses(function_analyses_);
    builder.registerLoopAnalyses(loop_analyses_);
    builder.crossRegisterProxies(loop_analyses_, function_analyses_, call_analyses_,
                                 module_analyses_);
    passes_.addPass(llvm::EarlyCSEPass(true));
    passes_.addPass(llvm::InstCombinePass());
    passes_.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()),
                                                          /*UseMemorySSA=*/true));
  }

  /// Object code, until the next call; or assembly for people.
  std::span<const char> run(const jit::Program& program, const LaneAnalysis& lanes, Tier tier,
                            std::string* text = nullptr) {
    llvm::LLVMContext context;
    std::string words;
    context.setDiagnosticHandlerCallBack(
        [](const llvm::DiagnosticInfo* what, void* into) {
          if (what->getSeverity() != llvm::DS_Error) return;
          llvm::raw_string_ostream out(*static_cast<std::string*>(into));
          llvm::DiagnosticPrinterRawOStream printer(out);
          what->print(printer);
        },
        &words);
    context.setDiscardValueNames(text == nullptr);
    const std::unique_ptr<llvm::Module> module =
        emit_ir(program, lanes, tier == Tier::quick ? 1 : gangs_at_once(lanes), context);
    CodeGenerator& generator = tier == Tier::quick ? quick_ : optimised_;
    module->setTargetTriple(host().triple);
    module->setDataLayout(generator.machine().createDataLayout());
    if (tier == Tier::optimised) optimise(*module);
    std::span<const char> object;
    if (text != nullptr) print_code(*module, generator.machine(), *text);
    else object = generator.run(*module);
    if (!words.empty()) {
      throw CompileError(fmt::format("compile: LLVM refused kernel '{}': {}\n{}", program.name,
                                     words, jit::print(program)));
    }
    return object;
  }

 private:
  void optimise(llvm::Module& module) {
    for (llvm::Function& function : module) {
      if (!function.isDeclaration()) passes_.run(function, function_analyses_);
    }
    // What they found out belongs to a module that is about to go.
    loop_analyses_.clear();
    function_analyses_.clear();
    call_analyses_.clear();
    module_analyses_.clear();
  }

  static void print_code(llvm::Module& module, llvm::TargetMachine& machine, std::string& text) {
    llvm::raw_string_ostream ir(text);
    module.print(ir, nullptr);
    ir << "\n; assembly\n";
    llvm::SmallVector<char, 0> assembly;
    llvm::raw_svector_ostream out(assembly);
    llvm::legacy::PassManager codegen;
    if (!machine.addPassesToEmitFile(codegen, out, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
      codegen.run(module);
    }
    ir << llvm::StringRef(assembly.data(), assembly.size());
  }

  CodeGenerator quick_, optimised_;
  llvm::LoopAnalysisManager loop_analyses_;
  llvm::FunctionAnalysisManager function_analyses_;
  llvm::CGSCCAnalysisManager call_analyses_;
  llvm::ModuleAnalysisManager module_analyses_;
  llvm::FunctionPassManager passes_;
};

/// Compilers that nobody uses now. Leaked: a thread may compile while the process ends.
struct CompilerPool {
  std::mutex mutex;
  std::vector<std::unique_ptr<Compiler>> idle;
};
CompilerPool& pool() {
  static auto* const made = new CompilerPool;
  return *made;
}

class BorrowedCompiler {
 public:
  BorrowedCompiler() {
    {
      const std::lock_guard lock(pool().mutex);
      if (!pool().idle.empty()) {
        compiler_ = std::move(pool().idle.back());
        pool().idle.pop_back();
      }
    }
    if (compiler_ == nullptr) compiler_ = std::make_unique<Compiler>();
  }
  ~BorrowedCompiler() {
    if (std::uncaught_exceptions() > uncaught_) return;  // who knows what state it is in
    const std::lock_guard lock(pool().mutex);
    pool().idle.push_back(std::move(compiler_));
  }
  BorrowedCompiler(const BorrowedCompiler&) = delete;
  BorrowedCompiler& operator=(const BorrowedCompiler&) = delete;
  Compiler& operator*() { return *compiler_; }

 private:
  const int uncaught_ = std::uncaught_exceptions();
  std::unique_ptr<Compiler> compiler_;
};

/// $NOYAU_TIER, for tests: 0 or 1 forces a tier.
std::optional<Tier> forced_tier() {
  const std::int64_t tier = environment::number("NOYAU_TIER", -1, 0, 1);
  if (tier < 0) return std::nullopt;
  return tier == 0 ? Tier::quick : Tier::optimised;
}

Tier choose_tier(const LaneAnalysis& lanes) {
  if (const auto forced = forced_tier()) return *forced;
  return lanes.has_regions ? Tier::optimised : Tier::quick;
}

std::vector<int> buffers_of(const jit::Program& program) {
  std::vector<int> numbers;
  for (std::size_t k = 0; k < program.memory.size(); ++k) {
    if (program.memory[k].kind == jit::MemoryObject::Kind::buffer) {
      numbers.push_back(static_cast<int>(k));
    }
  }
  return numbers;
}

std::vector<LocalArray> local_arrays_of(const jit::Program& program) {
  std::vector<LocalArray> arrays;
  for (std::size_t k = 0; k < program.memory.size(); ++k) {
    const jit::MemoryObject& m = program.memory[k];
    if (m.kind == jit::MemoryObject::Kind::buffer) continue;
    const std::size_t copies = m.kind == jit::MemoryObject::Kind::private_ ? gang_lanes : 1;
    arrays.push_back({k, m.elements, m.size_parameter, size_of(m.dtype) * copies});
  }
  return arrays;
}

std::int64_t cost_of_unit(const jit::Program& program, const LaneAnalysis& lanes) {
  if (lanes.one_gang) return lanes.cost;
  const std::int64_t threads =
      std::int64_t{program.block_size[0]} * program.block_size[1] * program.block_size[2];
  return lanes.cost * ((threads + gang_lanes - 1) / gang_lanes);
}

}  // namespace

Kernel::Code::Code(std::vector<std::byte> bytes)
    : object(std::move(bytes)),
      loaded(std::span<const std::byte>(object).subspan(sizeof(ObjectHeader))) {}

Kernel::Kernel(const jit::Program& program, const LaneAnalysis& lanes,
               std::vector<std::byte> object, std::int64_t patience)
    : name(program.name),
      items(program.domain == jit::Domain::items),
      memory_objects(program.memory.size()),
      cost_of_unit(llvm_backend::cost_of_unit(program, lanes)),
      buffers(buffers_of(program)),
      local(local_arrays_of(program)),
      first_(std::make_unique<const Code>(std::move(object))),
      current_(first_.get()),
      patience_(patience) {
  if (patience > 0) program_ = program;
}

void Kernel::when_improved(ImprovedFunction store) const {
  const std::lock_guard lock(store_mutex_);
  store_ = std::move(store);
}

void Kernel::ran(std::int64_t nanoseconds) const {
  const std::int64_t left = patience_.fetch_sub(nanoseconds, std::memory_order_relaxed);
  if (left > 0 && left <= nanoseconds) recompiler().add(weak_from_this());
}

std::int64_t Kernel::units(const std::int64_t* extent) const {
  const std::int64_t first = items ? (extent[0] + gang_lanes - 1) / gang_lanes : extent[0];
  return first * extent[1] * extent[2];
}

std::string code_identity() {
  const Host& h = host();
  return fmt::format("llvm {} {} {} {} {}", LLVM_VERSION_STRING, h.triple, h.cpu, h.features,
                     code_version);
}

namespace {

/// Header and object code. `flat` is `program` without calls.
std::vector<std::byte> object_of(const jit::Program& flat, const LaneAnalysis& lanes, Tier tier,
                                 jit::Hash128 identity) {
  BorrowedCompiler compiler;
  const std::span<const char> code = (*compiler).run(flat, lanes, tier);
  ObjectHeader header{
      {}, machine_hash(), identity.low, identity.high, static_cast<std::uint64_t>(tier)};
  std::memcpy(header.magic, object_magic, sizeof object_magic);
  std::vector<std::byte> object(sizeof header + code.size());
  std::memcpy(object.data(), &header, sizeof header);
  std::memcpy(object.data() + sizeof header, code.data(), code.size());
  return object;
}

std::int64_t patience_of(const jit::Program& flat, std::uint64_t tier, std::int64_t otherwise) {
  const bool settled = tier != 0 || flat.size() > most_recompiled_instructions || forced_tier();
  return settled ? 0 : otherwise;
}

}  // namespace

void Kernel::improve() const {
  try {
    ObjectHeader header;
    std::memcpy(&header, first_->object.data(), sizeof header);
    better_ =
        std::make_unique<const Code>(object_of(*program_, analyse_lanes(*program_), Tier::optimised,
                                               {header.program_low, header.program_high}));
    current_.store(better_.get(), std::memory_order_release);
    logging::write(3, fmt::format("recompiled {}", name));
    const std::lock_guard lock(store_mutex_);
    if (store_) store_(better_->object);
  } catch (const std::exception& e) {
    logging::write(3, fmt::format("{} stays at tier 0: {}", name, e.what()));
  }
}

std::shared_ptr<const Kernel> compile(const jit::Program& program, std::optional<Tier> tier) {
  if (fault::should_fail("compile")) {
    throw CompileError(
        fmt::format("compile: kernel '{}': a fault that a test asked for", program.name));
  }
  std::shared_ptr<const Kernel> kernel;
  with_large_stack([&] {
    const jit::Program flat = jit::flatten(program, host().converts_float16);
    const LaneAnalysis lanes = analyse_lanes(flat);
    const Tier chosen = tier ? *tier : choose_tier(lanes);
    kernel = std::make_shared<const Kernel>(
        flat, lanes, object_of(flat, lanes, chosen, jit::hash(program)),
        patience_of(flat, static_cast<std::uint64_t>(chosen), patience_with_new));
  });
  return kernel;
}

std::shared_ptr<const Kernel> load(std::span<const std::byte> object, const jit::Program& program) {
  ObjectHeader header;
  if (object.size() < sizeof header) return nullptr;
  std::memcpy(&header, object.data(), sizeof header);
  const jit::Hash128 identity = jit::hash(program);
  if (std::memcmp(header.magic, object_magic, sizeof object_magic) != 0 ||
      header.machine != machine_hash() || header.program_low != identity.low ||
      header.program_high != identity.high || header.tier > 1) {
    return nullptr;
  }
  try {
    const jit::Program flat = jit::flatten(program, host().converts_float16);
    return std::make_shared<const Kernel>(flat, analyse_lanes(flat),
                                          std::vector<std::byte>(object.begin(), object.end()),
                                          patience_of(flat, header.tier, patience_with_known));
  } catch (const Error&) {
    return nullptr;
  }
}

std::string code_text(const jit::Program& program) {
  std::string text;
  with_large_stack([&] {
    const jit::Program flat = jit::flatten(program, host().converts_float16);
    const LaneAnalysis lanes = analyse_lanes(flat);
    BorrowedCompiler compiler;
    (*compiler).run(flat, lanes, choose_tier(lanes), &text);
  });
  return text;
}

}  // namespace noyau::llvm_backend

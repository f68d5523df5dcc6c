//===- CodeGenGpu.cpp - llvm dialect to PTX and cubin ---------------------===//
//
// PTX from LLVM's NVPTX in process. Where the CUDA toolkit's ptxas is found it makes a cubin of it, and says what each kernel
// takes; otherwise the driver does, when the artefact is loaded. The PTX stays beside the cubin: it is small.
//
//===----------------------------------------------------------------------===//
#include "Parts.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"

#include <cstdlib>
#include <mutex>

using namespace mlir;
using namespace mlir::moe;

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::LoopSimplifyPass());
  llvm::LoopPassManager invariant;
  invariant.addPass(llvm::LoopRotatePass());
  invariant.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(invariant), /*UseMemorySSA=*/true));
  passes.addPass(llvm::EarlyCSEPass(true));
  for (llvm::Function &f : module)
    if (!f.isDeclaration())
      passes.run(f, functions);
}

llvm::StringMap<Resources> moe::parsePtxas(StringRef text) {
  llvm::StringMap<Resources> kernels;
  auto quoted = [](StringRef line, StringRef before) {
    StringRef rest = line.substr(line.find(before) + before.size());
    return rest.take_until([](char c) { return c == '\''; });
  };
  auto number = [](StringRef line, StringRef after) -> int64_t {
    size_t at = line.find(after);
    if (at == StringRef::npos)
      return 0;
    StringRef front = line.take_front(at).rtrim(), digits = front.substr(front.find_last_not_of("0123456789") + 1);
    int64_t value = 0;
    return digits.getAsInteger(10, value) ? 0 : value;
  };
  Resources *current = nullptr;
  SmallVector<StringRef> lines;
  text.split(lines, '\n');
  for (StringRef line : lines) {
    if (size_t at = line.find("(C75"); at != StringRef::npos) {
      size_t name = line.rfind("function '");
      Resources &owner = kernels[name == StringRef::npos ? "" : quoted(line.substr(name), "function '")];
      owner.notes.push_back((line.substr(at + 1, 5) + ": " + line.substr(line.find(')', at) + 1).trim()).str());
    } else if (line.contains("Compiling entry function '")) {
      current = &kernels[quoted(line, "Compiling entry function '")];
    } else if (line.contains("Function properties for ")) {
      // Of the kernel, or of a function that it calls: the bytes below count for the kernel either way.
    } else if (current && line.contains("bytes stack frame")) {
      current->stack += number(line, "bytes stack frame");
      current->spillStores += number(line, "bytes spill stores");
      current->spillLoads += number(line, "bytes spill loads");
    } else if (current && line.contains("Used ")) {
      current->registers = number(line, "registers");
      current->shared = number(line, "bytes smem");
    }
  }
  return kernels;
}

/// The toolkit's assembler: of $CUDA_HOME, of $CUDA_ROOT, on the PATH. Empty if there is none.
static std::string findPtxas() {
  for (const char *variable : {"CUDA_HOME", "CUDA_ROOT"})
    if (const char *root = getenv(variable); root && *root) {
      llvm::SmallString<128> path(root);
      llvm::sys::path::append(path, "bin", "ptxas");
      if (llvm::sys::fs::can_execute(path))
        return path.str().str();
    }
  llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas");
  return found ? *found : "";
}

/// Runs ptxas on `ptx`. False if there is none; an error it reports goes to `error`.
static bool assembleCubin(const Bytes &ptx, StringRef chip, StringRef folder, DeviceCode &code, Bytes &cubin,
                          std::string &error) {
  std::string tool = findPtxas();
  if (tool.empty())
    return false;
  auto file = [&](StringRef name) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    return path.str().str();
  };
  std::string in = file("device.ptx"), out = file("device.cubin"), log = file("device.log");
  llvm::scope_exit cleanUp([&] {
    for (const std::string &path : {in, out, log})
      llvm::sys::fs::remove(path);
  });
  {
    std::error_code code;
    llvm::raw_fd_ostream stream(in, code);
    // The text ends where its terminating zero would be.
    stream.write(ptx.data(), ptx.size());
  }
  std::string arch = "-arch=" + chip.str();
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log), StringRef(log)};
  int status = llvm::sys::ExecuteAndWait(tool, {tool, arch, "-O3", "-v", "-o", out, in}, std::nullopt, redirects, 600,
                                         0, &error);
  auto text = llvm::MemoryBuffer::getFile(log);
  auto result = llvm::MemoryBuffer::getFile(out);
  if (status != 0 || !result) {
    if (text)
      error += (*text)->getBuffer();
    if (error.empty())
      error = tool + " failed";
    return false;
  }
  code.assembled = true;
  if (text)
    code.resources = parsePtxas((*text)->getBuffer());
  cubin.assign((*result)->getBufferStart(), (*result)->getBufferEnd());
  return true;
}

bool moe::compileForGpu(ModuleOp inner, StringRef chip, StringRef folder, DeviceCode &code, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(inner, context);
  if (!module) {
    error = "the module has no translation to LLVM IR";
    return false;
  }
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return false;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, chip, "+ptx80", llvm::TargetOptions(), std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  module->setDataLayout(machine->createDataLayout());
  module->setTargetTriple(triple);
  for (auto kernel : inner.getOps<LLVM::LLVMFuncOp>())
    if (kernel->hasAttr("moe.kernel")) {
      auto record = kernel->getAttrOfType<DictionaryAttr>(kLaunchRecordAttr);
      code.records[kernel.getName()] = record ? LaunchRecord::fromAttr(record) : LaunchRecord();
    }
  for (llvm::Function &f : *module) {
    auto record = code.records.find(f.getName());
    if (f.isDeclaration() || record == code.records.end())
      continue;
    f.setCallingConv(llvm::CallingConv::PTX_Kernel);
    f.addFnAttr("nvvm.reqntid", std::to_string(record->second.threads));
    // Registers for as many blocks as are meant to stand on a multiprocessor.
    if (record->second.grid != LaunchRecord::Threads)
      f.addFnAttr("nvvm.minctasm",
                  std::to_string(record->second.grid == LaunchRecord::PerSm ? record->second.size[0] : 1));
    auto &cluster = record->second.cluster;
    if (cluster[0] * cluster[1] * cluster[2] > 1)
      f.addFnAttr("nvvm.cluster_dim", llvm::formatv("{0},{1},{2}", cluster[0], cluster[1], cluster[2]).str());
    for (llvm::Argument &arg : f.args())
      if (arg.hasByValAttr())
        arg.addAttr(llvm::Attribute::get(context, "nvvm.grid_constant"));
  }
  optimize(*module, *machine);
  Bytes ptx;
  {
    llvm::raw_svector_ostream stream(ptx);
    llvm::legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
      error = "the code generator cannot write PTX";
      return false;
    }
    passes.run(*module);
  }
  Bytes cubin;
  if (assembleCubin(ptx, chip, folder, code, cubin, error))
    code.images.push_back({chip.str(), "cubin", std::move(cubin)});
  if (!error.empty())
    return false;
  // PTX is text that ends in a zero; it also runs on later chips.
  ptx.push_back('\0');
  code.images.push_back({chip.str(), "ptx", std::move(ptx)});
  return true;
}

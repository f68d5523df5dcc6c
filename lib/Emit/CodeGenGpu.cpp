//===- CodeGenGpu.cpp - llvm dialect to PTX and cubin ---------------------===//
//
// PTX from LLVM's NVPTX in process. Where the CUDA toolkit's ptxas is on the PATH it makes a cubin of it; otherwise the
// driver does, when the artefact is loaded.
//
//===----------------------------------------------------------------------===//
#include "Parts.h"

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

/// Runs ptxas on `ptx`. False if there is none; an error it reports goes to `error`.
static bool assembleCubin(const Bytes &ptx, StringRef chip, StringRef folder, Bytes &cubin, std::string &error) {
  llvm::ErrorOr<std::string> tool = llvm::sys::findProgramByName("ptxas");
  if (!tool)
    return false;
  auto file = [&](StringRef name) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    return path.str().str();
  };
  std::string in = file("device.ptx"), out = file("device.cubin"), log = file("device.log");
  auto cleanUp = llvm::make_scope_exit([&] {
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
  int status = llvm::sys::ExecuteAndWait(*tool, {*tool, arch, "-O3", "-o", out, in}, std::nullopt, redirects, 120, 0, &error);
  auto text = llvm::MemoryBuffer::getFile(log);
  auto result = llvm::MemoryBuffer::getFile(out);
  if (status != 0 || !result) {
    if (text)
      error += (*text)->getBuffer();
    if (error.empty())
      error = "ptxas failed";
    return false;
  }
  cubin.assign((*result)->getBufferStart(), (*result)->getBufferEnd());
  return true;
}

bool moe::compileForGpu(ModuleOp inner, StringRef chip, StringRef folder, std::vector<DeviceImage> &images,
                        std::string &error) {
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
  for (llvm::Function &f : *module)
    if (!f.isDeclaration() && !f.hasLocalLinkage())
      f.setCallingConv(llvm::CallingConv::PTX_Kernel);
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
  if (assembleCubin(ptx, chip, folder, cubin, error))
    images.push_back({chip.str(), "cubin", std::move(cubin)});
  if (!error.empty())
    return false;
  // PTX is text that ends in a zero; it also runs on later chips.
  ptx.push_back('\0');
  images.push_back({chip.str(), "ptx", std::move(ptx)});
  return true;
}

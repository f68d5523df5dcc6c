//===- CodeGen.cpp - llvm dialect to object code --------------------------===//
//
// LLVM in process, with the IR passes that loop kernels gain from and no others (compile time): values out of memory, loop
// invariants out of loops, inner loops vectorised. Kernels that are vector code already skip the vectoriser. Library
// functions are unknown to all passes, since code.so has none.
//
//===----------------------------------------------------------------------===//
#include "Parts.h"
#include "runtime/include/moe/module_abi.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/LoopUnrollPass.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/LCSSA.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"
#include "llvm/Transforms/Vectorize/LoopVectorize.h"

#include <mutex>

using namespace mlir;
using namespace mlir::moe;

void moe::registerEmitTranslations(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

static std::unique_ptr<llvm::TargetMachine> createMachine(StringRef isa, llvm::CodeGenOptLevel level,
                                                          std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
  });
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, isa, "", options, llvm::Reloc::PIC_, llvm::CodeModel::Small, level));
}

/// The IR passes of one module's functions.
/// Masked loads and stores of bf16 as those of i16: where the processor has none they become a branch an element, and a bf16 by itself
/// would be rounded from f32 by a library function.
static void maskAsIntegers(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function)
      for (llvm::Instruction &instruction : llvm::make_early_inc_range(block)) {
        auto *call = dyn_cast<llvm::IntrinsicInst>(&instruction);
        bool loads = call && call->getIntrinsicID() == llvm::Intrinsic::masked_load;
        if (!loads && !(call && call->getIntrinsicID() == llvm::Intrinsic::masked_store))
          continue;
        llvm::Type *type = loads ? call->getType() : call->getArgOperand(0)->getType();
        if (!type->getScalarType()->isBFloatTy())
          continue;
        llvm::IRBuilder<> b(call);
        llvm::Type *integers = type->getWithNewType(b.getInt16Ty());
        llvm::Align alignment = call->getParamAlign(loads ? 0 : 1).valueOrOne();
        if (loads) {
          llvm::Value *other = b.CreateBitCast(call->getArgOperand(2), integers);
          llvm::Value *value =
              b.CreateMaskedLoad(integers, call->getArgOperand(0), alignment, call->getArgOperand(1), other);
          call->replaceAllUsesWith(b.CreateBitCast(value, type));
        } else {
          b.CreateMaskedStore(b.CreateBitCast(call->getArgOperand(0), integers), call->getArgOperand(1), alignment,
                              call->getArgOperand(2));
        }
        call->eraseFromParent();
      }
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine, bool isHost) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);

  // Code that is vectors already, and the host program: clean up only.
  llvm::FunctionPassManager light;
  light.addPass(llvm::EarlyCSEPass(true));
  if (!isHost) {
    light.addPass(llvm::LoopSimplifyPass());
    light.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));
  }

  llvm::FunctionPassManager full;
  full.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  full.addPass(llvm::EarlyCSEPass(true));
  full.addPass(llvm::InstCombinePass());
  full.addPass(llvm::SimplifyCFGPass());
  full.addPass(llvm::LoopSimplifyPass());
  full.addPass(llvm::LCSSAPass());
  {
    llvm::LoopPassManager invariant;
    invariant.addPass(llvm::LoopRotatePass());
    invariant.addPass(llvm::LICMPass(llvm::LICMOptions()));
    full.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(invariant), /*UseMemorySSA=*/true));
    llvm::LoopPassManager induction;
    induction.addPass(llvm::IndVarSimplifyPass());
    full.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(induction)));
  }
  full.addPass(llvm::InstCombinePass());
  full.addPass(llvm::LoopVectorizePass());
  full.addPass(llvm::InstCombinePass());
  full.addPass(llvm::SimplifyCFGPass());
  full.addPass(llvm::EarlyCSEPass(true));
  full.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));

  for (llvm::Function &f : module) {
    if (f.isDeclaration())
      continue;
    if (isHost || f.hasFnAttribute("moe-vectorized"))
      light.run(f, functions);
    else
      full.run(f, functions);
    functions.clear(f, f.getName());
  }
}

static bool assemble(llvm::Module &module, llvm::TargetMachine &machine, Bytes &object, std::string &error) {
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  passes.add(new llvm::TargetLibraryInfoWrapperPass(library));
  if (machine.addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile)) {
    error = "the code generator cannot write objects for this target";
    return false;
  }
  passes.run(module);
  return true;
}

bool moe::compileForCpu(ModuleOp inner, StringRef isa, StringRef prefix, bool isHost, Bytes &object,
                        std::string &error) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(inner, context);
  if (!module) {
    error = "the module has no translation to LLVM IR";
    return false;
  }
  auto machine = createMachine(isa, isHost ? llvm::CodeGenOptLevel::Less : llvm::CodeGenOptLevel::Aggressive, error);
  if (!machine)
    return false;
  module->setDataLayout(machine->createDataLayout());
  module->setTargetTriple(machine->getTargetTriple());
  bool wide = isa == "x86-64-v4";
  for (llvm::Function &f : *module) {
    f.addFnAttr(llvm::Attribute::NoUnwind);
    if (wide)
      f.addFnAttr("prefer-vector-width", "512");
    if (f.isDeclaration() || f.hasLocalLinkage())
      continue;
    f.setName(prefix + f.getName());
    f.setVisibility(llvm::GlobalValue::HiddenVisibility);
  }
  maskAsIntegers(*module);
  optimize(*module, *machine, isHost);
  return assemble(*module, *machine, object, error);
}

//===----------------------------------------------------------------------===//
// The module's table
//===----------------------------------------------------------------------===//

/// The functions that code generators call without being asked. String instructions move blocks at full speed; nothing
/// hot comes here.
static const char *kSupport = R"(
define hidden ptr @memcpy(ptr %to, ptr %from, i64 %n) nobuiltin nounwind {
  %r = call { ptr, ptr, i64 } asm sideeffect "rep movsb", "={di},={si},={cx},0,1,2,~{memory},~{dirflag},~{fpsr},~{flags}"(ptr %to, ptr %from, i64 %n)
  ret ptr %to
}
define hidden ptr @memset(ptr %to, i32 %value, i64 %n) nobuiltin nounwind {
  %byte = trunc i32 %value to i8
  %r = call { ptr, i64 } asm sideeffect "rep stosb", "={di},={cx},{ax},0,1,~{memory},~{dirflag},~{fpsr},~{flags}"(i8 %byte, ptr %to, i64 %n)
  ret ptr %to
}
define hidden half @__truncdfhf2(double %x) nobuiltin nounwind {
  %f = fptrunc double %x to float
  %bits = bitcast float %f to i32
  %same = call i32 asm sideeffect "", "=r,0"(i32 %bits)
  %g = bitcast i32 %same to float
  %h = fptrunc float %g to half
  ret half %h
}
define hidden ptr @memmove(ptr %to, ptr %from, i64 %n) nobuiltin nounwind {
  %a = ptrtoint ptr %to to i64
  %b = ptrtoint ptr %from to i64
  %distance = sub i64 %a, %b
  %forward = icmp uge i64 %distance, %n
  br i1 %forward, label %up, label %down
up:
  %r = call { ptr, ptr, i64 } asm sideeffect "rep movsb", "={di},={si},={cx},0,1,2,~{memory},~{dirflag},~{fpsr},~{flags}"(ptr %to, ptr %from, i64 %n)
  ret ptr %to
down:
  %last = sub i64 %n, 1
  %toLast = getelementptr i8, ptr %to, i64 %last
  %fromLast = getelementptr i8, ptr %from, i64 %last
  %s = call { ptr, ptr, i64 } asm sideeffect "std; rep movsb; cld", "={di},={si},={cx},0,1,2,~{memory},~{dirflag},~{fpsr},~{flags}"(ptr %toLast, ptr %fromLast, i64 %n)
  ret ptr %to
}
)";

namespace {
/// Builds constants of the structs in module_abi.h.
struct TableBuilder {
  llvm::Module &module;
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0);
  llvm::Type *i32 = llvm::Type::getInt32Ty(context), *i64 = llvm::Type::getInt64Ty(context);

  llvm::Constant *number(uint32_t n) { return llvm::ConstantInt::get(i32, n); }
  llvm::Constant *null() { return llvm::ConstantPointerNull::get(llvm::PointerType::get(context, 0)); }
  llvm::Constant *global(llvm::Constant *value, unsigned align = 8) {
    auto *g = new llvm::GlobalVariable(module, value->getType(), true, llvm::GlobalValue::PrivateLinkage, value);
    g->setAlignment(llvm::Align(align));
    return g;
  }
  llvm::Constant *text(StringRef s) { return global(llvm::ConstantDataArray::getString(context, s), 1); }
  llvm::Constant *array(llvm::Type *element, ArrayRef<llvm::Constant *> values) {
    if (values.empty())
      return null();
    return global(llvm::ConstantArray::get(llvm::ArrayType::get(element, values.size()), values));
  }
  llvm::Constant *structure(ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  llvm::Constant *function(const Twine &name, llvm::FunctionType *type) {
    auto *f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
    f->setVisibility(llvm::GlobalValue::HiddenVisibility);
    return f;
  }
};
} // namespace

/// moe_device_kernel_t.
static llvm::Constant *launchRecord(TableBuilder &b, const LaunchRecord &record) {
  auto word = [&](int64_t n) { return llvm::ConstantInt::get(b.i64, n); };
  SmallVector<llvm::Constant *> params, maps;
  for (const LaunchRecord::Param &param : record.params)
    params.push_back(b.structure({b.number(param.kind), b.number(param.index)}));
  for (const LaunchRecord::TensorMap &map : record.maps) {
    SmallVector<llvm::Constant *> fields = {b.number(map.dtype), b.number(map.dims.size()), b.number(map.address),
                                            b.number(map.swizzle), b.number(map.promotion)};
    auto at = [](ArrayRef<int64_t> list, size_t i) { return i < list.size() ? list[i] : 0; };
    for (size_t i = 0; i < MOE_TENSOR_MAP_RANK; ++i)
      fields.push_back(b.number(at(map.box, i)));
    for (size_t i = 0; i < MOE_TENSOR_MAP_RANK; ++i)
      fields.push_back(word(at(map.dims, i)));
    for (size_t i = 0; i < MOE_TENSOR_MAP_RANK; ++i)
      fields.push_back(word(at(map.strides, i)));
    maps.push_back(b.structure(fields));
  }
  SmallVector<llvm::Constant *> fields = {b.number(record.grid)};
  for (int64_t n : record.size)
    fields.push_back(b.number(n));
  fields.append({b.number(record.threads), b.number(record.shared)});
  for (int64_t n : record.cluster)
    fields.push_back(b.number(n));
  fields.append({b.number(record.pdl ? MOE_LAUNCH_PDL : 0), b.number(params.size()), b.number(maps.size()),
                 params.empty() ? b.null() : b.array(params.front()->getType(), params),
                 maps.empty() ? b.null() : b.array(maps.front()->getType(), maps)});
  return b.structure(fields);
}

bool moe::compileTable(DictionaryAttr manifest, ArrayRef<std::pair<std::string, std::string>> variants,
                       const DeviceCode *device, Bytes &object, std::string &error) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(kSupport, diagnostic, context);
  auto machine = createMachine("x86-64-v3", llvm::CodeGenOptLevel::Less, error);
  if (!module || !machine) {
    if (!module)
      error = diagnostic.getMessage().str();
    return false;
  }
  module->setDataLayout(machine->createDataLayout());
  module->setTargetTriple(machine->getTargetTriple());
  TableBuilder b{*module};
  auto kernels = manifest.getAs<ArrayAttr>("kernels").getAsValueRange<StringAttr>();

  // moe_entry_t
  auto *plan = llvm::FunctionType::get(b.i32, {b.pointer, b.pointer, b.pointer}, false);
  auto *run = llvm::FunctionType::get(b.i32, {b.pointer, b.pointer, b.pointer, b.pointer}, false);
  SmallVector<llvm::Constant *> entries;
  for (auto entry : manifest.getAs<ArrayAttr>("entries").getAsRange<DictionaryAttr>()) {
    StringRef name = entry.getAs<StringAttr>("name");
    auto count = [&](StringRef key) { return b.number(entry.getAs<ArrayAttr>(key).size()); };
    auto extents = [&](StringRef key) {
      uint32_t n = 0;
      for (auto value : entry.getAs<ArrayAttr>(key).getAsRange<DictionaryAttr>())
        n += value.getAs<ArrayAttr>("shape").size();
      return b.number(n);
    };
    entries.push_back(b.structure({b.text(name), count("inputs"), count("outputs"), count("weights"),
                                   count("temporaries"), extents("inputs"), extents("outputs"),
                                   b.function(name + "_plan", plan), b.function(name + "_run", run)}));
  }
  // kernel names, moe_device_kernel_t
  SmallVector<llvm::Constant *> names, records;
  for (StringRef name : kernels) {
    names.push_back(b.text(name));
    if (device)
      records.push_back(launchRecord(b, device->records.lookup(name)));
  }
  // moe_cpu_variant_t
  auto *kernelType = llvm::FunctionType::get(b.i32, {b.pointer, b.i64, b.i64}, false);
  SmallVector<llvm::Constant *> variantTable;
  for (auto &[isa, prefix] : variants) {
    SmallVector<llvm::Constant *> functions;
    for (StringRef name : kernels)
      functions.push_back(b.function(prefix + name, kernelType));
    variantTable.push_back(b.structure({b.text(isa), b.array(b.pointer, functions)}));
  }
  // moe_device_image_t
  SmallVector<llvm::Constant *> imageTable;
  for (const DeviceImage &image : device ? ArrayRef<DeviceImage>(device->images) : ArrayRef<DeviceImage>()) {
    llvm::Constant *data = b.global(
        llvm::ConstantDataArray::getString(context, StringRef(image.data.data(), image.data.size()), true), 64);
    imageTable.push_back(b.structure(
        {b.text(image.chip), b.text(image.format), data, llvm::ConstantInt::get(b.i64, image.data.size())}));
  }
  auto tableOf = [&](ArrayRef<llvm::Constant *> rows) -> llvm::Constant * {
    return rows.empty() ? b.null() : b.array(rows.front()->getType(), rows);
  };
  uint32_t kernelCount = names.size();
  llvm::Constant *table =
      b.structure({b.number(MOE_MODULE_ABI_VERSION), b.number(entries.size()), b.number(kernelCount),
                   b.number(variantTable.size()), b.number(imageTable.size()), tableOf(entries),
                   b.array(b.pointer, names), tableOf(records), tableOf(variantTable), tableOf(imageTable)});
  auto *symbol = new llvm::GlobalVariable(*module, table->getType(), true, llvm::GlobalValue::ExternalLinkage, table,
                                          MOE_MODULE_SYMBOL);
  symbol->setAlignment(llvm::Align(8));
  return assemble(*module, *machine, object, error);
}

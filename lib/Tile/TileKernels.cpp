//===- TileKernels.cpp - kernels become code over work items --------------===//
//
// Asks the emitters of KernelEmitter.h for every kernel: how many items a launch has (host program) and what the items do
// (one module per variant).
//
//   moe.launch @k0_swiglu(%g, %u, %o) : (...)
//     ->   moe.launch @k0_swiglu(%g, %u, %o) items(%n) : (...)
//          func.func private @k0_swiglu(...) attributes {moe.kernel}
//          module @cpu_x86_64_v4 attributes {moe.isa = "x86-64-v4"} {
//            func.func @k0_swiglu(..., %begin: index, %end: index) attributes {moe.kernel} { scf.for ... }
//          }
//
// For the GPU there is one module, marked `moe.device`, whose items are threads, or blocks of `tile.threads` threads.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "moe/Support/LaunchRecord.h"
#include "moe/Tile/KernelEmitter.h"
#include "moe/Tile/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_TILEKERNELS
#include "moe/Tile/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// One copy of all kernels.
struct Variant {
  std::string module;
  std::string isa;
  int vectorBits;
};

struct TileKernels : moe::impl::TileKernelsBase<TileKernels> {
  using TileKernelsBase::TileKernelsBase;

  static Operation *computeOp(func::FuncOp kernel) {
    // Constants and dims may stand before the one op that computes.
    Block &block = kernel.getBody().front();
    return block.getTerminator()->getPrevNode();
  }

  /// The emitter for each variant: hand-shaped if every variant has one (they share the item count), else plain loops.
  LogicalResult emittersOf(Operation *op, ArrayRef<Variant> variants, SmallVectorImpl<KernelEmitter> &emitters) {
    if (gpu) {
      if (std::optional<KernelEmitter> emitter = getGpuEmitter(op)) {
        emitters.push_back(*emitter);
        return success();
      }
    } else {
      for (const Variant &v : variants)
        if (std::optional<KernelEmitter> emitter = getCpuEmitter(op, CpuTarget{v.isa, v.vectorBits}))
          emitters.push_back(*emitter);
      if (emitters.size() == variants.size())
        return success();
      emitters.clear();
    }
    std::optional<KernelEmitter> loops = getLoopEmitter(op, gpu ? 1 : static_cast<int64_t>(grain));
    if (!loops)
      return op->emitOpError("has no kernel form");
    emitters.assign(variants.size(), *loops);
    return success();
  }

  /// Builds the item count in front of a launch, with the launch's arguments in place of the kernel's.
  void setItems(LaunchOp launch, Operation *op, func::FuncOp kernel, const KernelEmitter &emitter) {
    OpBuilder b(launch);
    IRMapping map;
    map.map(kernel.getArguments(), launch.getArgs());
    SmallVector<Value> operands;
    std::function<Value(Value)> onHost = [&](Value v) -> Value {
      if (Value known = map.lookupOrNull(v))
        return known;
      for (Value operand : v.getDefiningOp()->getOperands())
        onHost(operand);
      return b.clone(*v.getDefiningOp(), map)->getResult(cast<OpResult>(v).getResultNumber());
    };
    for (Value operand : op->getOperands())
      operands.push_back(onHost(operand));
    launch.getItemsMutable().assign(emitter.items(b, launch.getLoc(), op, operands));
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Variant> variants;
    if (gpu) {
      variants.push_back({"gpu", "", 0});
    } else {
      for (const std::string &isa : isas) {
        std::string name = "cpu_" + isa;
        std::replace(name.begin(), name.end(), '-', '_');
        variants.push_back({name, isa, isa == "x86-64-v4" ? 512 : 256});
      }
    }
    SmallVector<func::FuncOp> kernels;
    for (auto func : module.getOps<func::FuncOp>())
      if (func->hasAttr("moe.kernel") && !func.isExternal())
        kernels.push_back(func);

    // Item counts, once.
    llvm::StringMap<SmallVector<KernelEmitter>> emitters;
    for (func::FuncOp kernel : kernels)
      if (failed(emittersOf(computeOp(kernel), variants, emitters[kernel.getName()])))
        return signalPassFailure();
    SymbolTable symbols(module);
    module.walk([&](LaunchOp launch) {
      auto kernel = symbols.lookup<func::FuncOp>(launch.getKernel());
      if (kernel && !kernel.isExternal() && !launch.getItems())
        setItems(launch, computeOp(kernel), kernel, emitters[kernel.getName()].front());
    });

    // Code, once per variant.
    for (auto [i, variant] : llvm::enumerate(variants)) {
      OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
      auto inner = ModuleOp::create(b, module.getLoc(), variant.module);
      if (gpu)
        inner->setAttr("moe.device", b.getUnitAttr());
      else
        inner->setAttr("moe.isa", b.getStringAttr(variant.isa));
      b.setInsertionPointToStart(inner.getBody());
      for (func::FuncOp kernel : kernels) {
        auto copy = cast<func::FuncOp>(b.clone(*kernel));
        copy.setPublic();
        Type index = b.getIndexType();
        unsigned n = copy.getNumArguments();
        const KernelEmitter &emitter = emitters[kernel.getName()][i];
        ArrayRef<BoxedOperand> boxes;
        if (emitter.block)
          boxes = emitter.block->boxes;
        // A kernel with tensor maps takes the number of items, others a range of them.
        SmallVector<Type> added(boxes.empty() ? 2 : 1, index);
        SmallVector<DictionaryAttr> marks(added.size());
        if (!boxes.empty())
          marks[0] = b.getDictionaryAttr(b.getNamedAttr("moe.items", b.getUnitAttr()));
        if (failed(copy.insertArguments(SmallVector<unsigned>(added.size(), n), added, marks,
                                        SmallVector<Location>(added.size(), copy.getLoc()))))
          return signalPassFailure();
        Operation *op = computeOp(copy);
        OpBuilder body(op);
        for (const BoxedOperand &boxed : boxes)
          copy.setArgAttr(cast<BlockArgument>(op->getOperand(boxed.operand)).getArgNumber(), kTensorMapAttr,
                          b.getDictionaryAttr({b.getNamedAttr("box", b.getDenseI64ArrayAttr(boxed.box)),
                                               b.getNamedAttr("swizzle", b.getI64IntegerAttr(boxed.swizzle)),
                                               b.getNamedAttr("l2_promotion", b.getI64IntegerAttr(256))}));
        if (!boxes.empty())
          copy->setAttr(kLaunchConfigAttr, b.getDictionaryAttr({}));
        if (failed(emitter.body(body, op, copy.getArgument(n), copy.getArguments().back())))
          return signalPassFailure();
        op->erase();
        if (emitter.vectorized)
          copy->setAttr("moe.vectorized", b.getUnitAttr());
        if (emitter.block) {
          copy->setAttr("moe.hot", b.getUnitAttr());
          copy->setAttr("tile.threads", b.getI32IntegerAttr(emitter.block->threads));
          copy->setAttr("tile.grid",
                        b.getStringAttr(emitter.block->grid == BlockLaunch::PerItem ? "item" : "multiprocessor"));
          if (emitter.block->dependent)
            copy->setAttr("tile.dependent", b.getUnitAttr());
        }
      }
    }
    for (func::FuncOp kernel : kernels) {
      kernel.eraseBody();
      kernel.setPrivate();
      for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
        kernel.removeArgAttr(i, "moe.may_alias");
    }
  }
};
} // namespace

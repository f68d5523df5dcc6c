//===- OutlineKernels.cpp - compute ops become kernels --------------------===//
//
// Every op that computes on buffers moves into its own function and is launched instead; functions that are equal but for
// their name and locations are one. Compile time then follows the number of distinct kernels, not of layers.
//
//   moe.swiglu %g, %u outs(%o) : (memref<?x8xf32>, memref<?x8xf32>, memref<?x8xf32>) -> ()
//     ->   moe.launch @k0_swiglu(%g, %u, %o) : (memref<?x8xf32>, memref<?x8xf32>, memref<?x8xf32>)
//          func.func private @k0_swiglu(...) attributes {moe.kernel, moe.op = "moe.swiglu"} { moe.swiglu ... return }
//
// Constants move along, other values from outside become arguments. Two arguments of one buffer are marked
// `moe.may_alias` if one of them is written; all other arguments of a kernel never overlap.
//
//===----------------------------------------------------------------------===//
#include "KernelCost.h"
#include "Views.h"
#include "moe/Schedule/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::moe {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// True for ops that touch the contents of buffers other than to read a single value on the host.
static bool isComputeOp(Operation *op) {
  return isa<linalg::LinalgOp, MoeComputeOpInterface, memref::CopyOp, memref::StoreOp>(op);
}

/// The buffers an op writes.
static void getWritten(Operation *op, SmallPtrSetImpl<Value> &written) {
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    for (Value out : linalgOp.getDpsInits())
      written.insert(out);
  } else if (auto compute = dyn_cast<MoeComputeOpInterface>(op)) {
    for (Value out : compute.getOutBuffers())
      written.insert(out);
  } else if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    written.insert(copy.getTarget());
  } else if (auto store = dyn_cast<memref::StoreOp>(op)) {
    written.insert(store.getMemref());
  }
}

static std::string shortName(Operation *op) {
  StringRef name = op->getName().getStringRef();
  return name.substr(name.rfind('.') + 1).str();
}

namespace {
struct OutlineKernels : moe::impl::OutlineKernelsBase<OutlineKernels> {
  /// The text of a kernel under a fixed name -> the kernel.
  llvm::StringMap<func::FuncOp> known;
  unsigned numbered = 0;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<Operation *> ops;
    for (auto func : module.getOps<func::FuncOp>())
      if (!func->hasAttr("moe.kernel"))
        func.walk<WalkOrder::PreOrder>([&](Operation *op) {
          if (!isComputeOp(op))
            return WalkResult::advance();
          ops.push_back(op);
          return WalkResult::skip();
        });
    for (Operation *op : ops) {
      if (writesWhatItReads(op))
        op->erase();
      else
        outline(op, symbols);
    }
  }

  /// A copy of a buffer onto itself, which writing in place leaves behind.
  static bool writesWhatItReads(Operation *op) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || generic.getNumDpsInits() != 1)
      return false;
    auto from = dyn_cast<BlockArgument>(generic.getBody()->getTerminator()->getOperand(0));
    if (!from || from.getOwner() != generic.getBody())
      return false;
    OpOperand &source = op->getOpOperand(from.getArgNumber()), &target = *generic.getDpsInitOperand(0);
    return source.get() == target.get() &&
           generic.getMatchingIndexingMap(&source) == generic.getMatchingIndexingMap(&target);
  }

  void outline(Operation *op, SymbolTable &symbols) {
    MLIRContext *context = &getContext();
    llvm::SetVector<Value> used;
    used.insert(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), used);

    SmallPtrSet<Value, 4> written;
    getWritten(op, written);
    SmallVector<Value> args, constants;
    for (Value v : used)
      (!isa<MemRefType>(v.getType()) && matchPattern(v, m_Constant()) ? constants : args).push_back(v);

    SmallVector<Type> types;
    for (Value v : args) {
      auto memref = dyn_cast<MemRefType>(v.getType());
      types.push_back(memref ? Type(getKernelArgumentType(memref)) : v.getType());
    }
    OpBuilder b(context);
    auto kernel = func::FuncOp::create(op->getLoc(), "kernel", b.getFunctionType(types, {}));
    kernel.setPrivate();
    kernel->setAttr("moe.kernel", b.getUnitAttr());
    kernel->setAttr("moe.op", b.getStringAttr(op->getName().getStringRef()));
    if (DictionaryAttr cost = getKernelCost(op, args))
      kernel->setAttr("moe.cost", cost);
    for (auto [i, a] : llvm::enumerate(args))
      for (auto [j, c] : llvm::enumerate(args))
        if (i != j && isa<MemRefType>(a.getType()) && isa<MemRefType>(c.getType()) && rootOf(a) == rootOf(c) &&
            (written.contains(a) || written.contains(c)))
          kernel.setArgAttr(i, "moe.may_alias", b.getUnitAttr());

    Block *entry = kernel.addEntryBlock();
    b.setInsertionPointToStart(entry);
    IRMapping map;
    for (Value v : constants)
      map.map(v, b.clone(*v.getDefiningOp())->getResult(cast<OpResult>(v).getResultNumber()));
    map.map(args, entry->getArguments());
    b.clone(*op, map);
    func::ReturnOp::create(b, op->getLoc());

    std::string text;
    llvm::raw_string_ostream stream(text);
    kernel->print(stream, OpPrintingFlags().printGenericOpForm().useLocalScope());
    auto [entryIt, isNew] = known.try_emplace(text, kernel);
    if (isNew) {
      kernel.setName(llvm::formatv("k{0}_{1}", numbered++, shortName(op)).str());
      symbols.insert(kernel);
      ++numKernels;
    } else {
      kernel.erase();
      kernel = entryIt->second;
    }
    b.setInsertionPoint(op);
    LaunchOp::create(b, op->getLoc(), FlatSymbolRefAttr::get(kernel.getSymNameAttr()), args, Value());
    ++numLaunches;
    op->erase();
  }
};
} // namespace

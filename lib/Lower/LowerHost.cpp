//===- LowerHost.cpp - the host program in the module ABI -----------------===//
//
// Each entry point becomes two functions of a module @host (HostProgram.cpp); what the manifest tells about entries is
// recorded in the module attribute `moe.manifest`, and the values of constants in `moe.constants`.
//
//   func.func @main(%x: memref<?x8xf32>) -> memref<?x8xf32> attributes {moe.entry} { ... moe.launch ... }
//     ->   module @host { func.func @main_plan(...) -> i32   func.func @main_run(...) -> i32 }
//
//===----------------------------------------------------------------------===//
#include "EntryRecord.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Parser/Parser.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERHOST
#include "moe/Lower/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// Calls through the runtime's table. After the first error nothing happens any more.
static const char *kHelpers = R"mlir(
llvm.func internal @moe_launch(%host: !llvm.ptr, %context: !llvm.ptr, %status: !llvm.ptr, %kernel: i32, %items: i64,
                               %args: !llvm.ptr, %size: i64) attributes {passthrough = ["noinline"]} {
  %none = llvm.mlir.constant(0 : i32) : i32
  %nothing = llvm.mlir.constant(0 : i64) : i64
  %s = llvm.load %status : !llvm.ptr -> i32
  %clean = llvm.icmp "eq" %s, %none : i32
  %some = llvm.icmp "sgt" %items, %nothing : i64
  %go = llvm.and %clean, %some : i1
  llvm.cond_br %go, ^call, ^end
^call:
  %at = llvm.getelementptr %host[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %f = llvm.load %at : !llvm.ptr -> !llvm.ptr
  %r = llvm.call %f(%context, %kernel, %items, %args, %size) : !llvm.ptr, (!llvm.ptr, i32, i64, !llvm.ptr, i64) -> i32
  llvm.store %r, %status : i32, !llvm.ptr
  llvm.br ^end
^end:
  llvm.return
}
llvm.func internal @moe_allocate(%host: !llvm.ptr, %context: !llvm.ptr, %status: !llvm.ptr, %size: i64) -> !llvm.ptr
    attributes {passthrough = ["noinline"]} {
  %none = llvm.mlir.constant(0 : i32) : i32
  %oom = llvm.mlir.constant(1 : i32) : i32
  %null = llvm.mlir.zero : !llvm.ptr
  %s = llvm.load %status : !llvm.ptr -> i32
  %clean = llvm.icmp "eq" %s, %none : i32
  llvm.cond_br %clean, ^call, ^end(%null : !llvm.ptr)
^call:
  %at = llvm.getelementptr %host[16] : (!llvm.ptr) -> !llvm.ptr, i8
  %f = llvm.load %at : !llvm.ptr -> !llvm.ptr
  %r = llvm.call %f(%context, %size) : !llvm.ptr, (!llvm.ptr, i64) -> !llvm.ptr
  %failed = llvm.icmp "eq" %r, %null : !llvm.ptr
  %code = llvm.select %failed, %oom, %none : i1, i32
  llvm.store %code, %status : i32, !llvm.ptr
  llvm.br ^end(%r : !llvm.ptr)
^end(%result: !llvm.ptr):
  llvm.return %result : !llvm.ptr
}
llvm.func internal @moe_read(%host: !llvm.ptr, %context: !llvm.ptr, %status: !llvm.ptr, %from: !llvm.ptr, %size: i64,
                             %to: !llvm.ptr) attributes {passthrough = ["noinline"]} {
  %none = llvm.mlir.constant(0 : i32) : i32
  %zero = llvm.mlir.constant(0 : i64) : i64
  llvm.store %zero, %to : i64, !llvm.ptr
  %s = llvm.load %status : !llvm.ptr -> i32
  %clean = llvm.icmp "eq" %s, %none : i32
  llvm.cond_br %clean, ^call, ^end
^call:
  %at = llvm.getelementptr %host[32] : (!llvm.ptr) -> !llvm.ptr, i8
  %f = llvm.load %at : !llvm.ptr -> !llvm.ptr
  %r = llvm.call %f(%context, %from, %size, %to) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> i32
  llvm.store %r, %status : i32, !llvm.ptr
  llvm.br ^end
^end:
  llvm.return
}
llvm.func internal @moe_output(%host: !llvm.ptr, %context: !llvm.ptr, %status: !llvm.ptr, %number: i32,
                               %extents: !llvm.ptr) -> !llvm.ptr attributes {passthrough = ["noinline"]} {
  %none = llvm.mlir.constant(0 : i32) : i32
  %oom = llvm.mlir.constant(1 : i32) : i32
  %null = llvm.mlir.zero : !llvm.ptr
  %s = llvm.load %status : !llvm.ptr -> i32
  %clean = llvm.icmp "eq" %s, %none : i32
  llvm.cond_br %clean, ^call, ^end(%null : !llvm.ptr)
^call:
  %at = llvm.getelementptr %host[24] : (!llvm.ptr) -> !llvm.ptr, i8
  %f = llvm.load %at : !llvm.ptr -> !llvm.ptr
  %r = llvm.call %f(%context, %number, %extents) : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr) -> !llvm.ptr
  %failed = llvm.icmp "eq" %r, %null : !llvm.ptr
  %code = llvm.select %failed, %oom, %none : i1, i32
  llvm.store %code, %status : i32, !llvm.ptr
  llvm.br ^end(%r : !llvm.ptr)
^end(%result: !llvm.ptr):
  llvm.return %result : !llvm.ptr
}
)mlir";

namespace {
struct LowerHost : moe::impl::LowerHostBase<LowerHost> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    Builder b(&getContext());
    ProgramTables tables;
    tables.errors.push_back("out of memory");
    for (auto inner : module.getOps<ModuleOp>())
      tables.device |= inner->hasAttr("moe.device");
    SmallVector<func::FuncOp> entries, kernels;
    SmallVector<Attribute> kernelNames;
    for (auto func : module.getOps<func::FuncOp>()) {
      if (!func->hasAttr("moe.kernel")) {
        entries.push_back(func);
        continue;
      }
      auto op = func->getAttrOfType<StringAttr>("moe.op");
      tables.kernels[func.getName()] = kernels.size();
      tables.kernelOps[func.getName()] = op ? op.str() : "";
      tables.kernelCosts[func.getName()] = func->getAttrOfType<DictionaryAttr>("moe.cost");
      kernels.push_back(func);
      kernelNames.push_back(func.getSymNameAttr());
    }
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    auto host = ModuleOp::create(builder, module.getLoc(), "host");
    OwningOpRef<ModuleOp> helpers = parseSourceString<ModuleOp>(kHelpers, ParserConfig(&getContext()));
    for (Operation &op : llvm::make_early_inc_range(*helpers->getBody()))
      op.moveBefore(host.getBody(), host.getBody()->end());

    SmallVector<Attribute> records;
    for (func::FuncOp entry : entries) {
      SmallVector<unsigned> weights, again;
      if (failed(HostWriter(entry, tables, HostWriter::Plan).write(host, weights)) ||
          failed(HostWriter(entry, tables, HostWriter::Run).write(host, again)))
        return signalPassFailure();
      records.push_back(describeEntry(entry, tables, weights));
    }
    // What kernels may return: their assertions get the codes of the one list of errors.
    for (auto inner : module.getOps<ModuleOp>())
      inner.walk([&](cf::AssertOp check) {
        check->setAttr("moe.code", b.getI32IntegerAttr(tables.errorCode(check.getMsg())));
      });
    SmallVector<Attribute> weightNames, errors;
    for (auto &entry : tables.weights)
      weightNames.push_back(b.getStringAttr(entry.first));
    for (const std::string &message : tables.errors)
      errors.push_back(b.getStringAttr(message));
    module->setAttr("moe.manifest", b.getDictionaryAttr({b.getNamedAttr("entries", b.getArrayAttr(records)),
                                                         b.getNamedAttr("weights", b.getArrayAttr(weightNames)),
                                                         b.getNamedAttr("kernels", b.getArrayAttr(kernelNames)),
                                                         b.getNamedAttr("errors", b.getArrayAttr(errors))}));
    // Constants are written with the weights.
    SmallVector<NamedAttribute> constants;
    for (auto global : llvm::make_early_inc_range(module.getOps<memref::GlobalOp>())) {
      if (global.getInitialValue())
        constants.push_back(b.getNamedAttr(global.getSymName(), *global.getInitialValue()));
      global.erase();
    }
    module->setAttr("moe.constants", b.getDictionaryAttr(constants));
    for (func::FuncOp func : llvm::concat<func::FuncOp>(entries, kernels))
      func.erase();
  }
};
} // namespace

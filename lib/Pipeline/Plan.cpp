//===- Plan.cpp - what --plan prints --------------------------------------===//
#include "dialects/moe/Moe.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/Lower/Manifest.h"
#include "moe/Pipeline/Compiler.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::moe;

static int64_t bytesOf(ShapedType type) {
  unsigned width = std::max<unsigned>(8, type.getElementTypeBitWidth());
  return type.getNumElements() * width / 8;
}

std::string moe::describePlan(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream out(stream, 2);
  llvm::StringMap<int64_t> launches;
  module.walk([&](LaunchOp launch) { ++launches[launch.getKernel()]; });
  int64_t weightBytes = 0;
  for (auto weight : module.getOps<WeightOp>())
    weightBytes += bytesOf(cast<ShapedType>(weight.getType()));
  out.object([&] {
    out.attribute("weight_bytes", weightBytes);
    out.attributeArray("kernels", [&] {
      for (auto kernel : module.getOps<func::FuncOp>())
        if (kernel->hasAttr("moe.kernel"))
          out.object([&] {
            out.attribute("name", kernel.getName());
            if (auto op = kernel->getAttrOfType<StringAttr>("moe.op"))
              out.attribute("op", op.strref());
            out.attribute("launches", launches.lookup(kernel.getName()));
          });
    });
    out.attributeArray("entries", [&] {
      for (DictionaryAttr entry : describeEntries(module))
        out.object([&] {
          out.attribute("name", entry.getAs<StringAttr>("name").strref());
          out.attribute("launches", static_cast<int64_t>(entry.getAs<ArrayAttr>("steps").size()));
          out.attributeArray("temporaries", [&] {
            for (auto temporary : entry.getAs<ArrayAttr>("temporaries").getAsRange<DictionaryAttr>())
              out.object([&] {
                out.attribute("size", temporary.getAs<StringAttr>("size").strref());
                out.attribute("first", temporary.getAs<IntegerAttr>("first").getInt());
                out.attribute("last", temporary.getAs<IntegerAttr>("last").getInt());
              });
          });
        });
    });
  });
  return text;
}

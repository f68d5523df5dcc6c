//===- KernelCost.cpp - the work of a kernel, for bench -------------------===//
#include "KernelCost.h"
#include "dialects/moe/Moe.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::moe;

DictionaryAttr moe::getKernelCost(Operation *op, ArrayRef<Value> args) {
  // An op may say so itself; its operands are the kernel's first arguments.
  if (auto given = op->getAttrOfType<DictionaryAttr>("moe.cost"); given && given.getAs<StringAttr>("flops"))
    return given;
  Builder b(op->getContext());
  auto number = [&](Value v) { return llvm::find(args, v) - args.begin(); };
  auto dim = [&](Value v, int64_t d) {
    auto type = cast<ShapedType>(v.getType());
    return type.isDynamicDim(d) ? "$" + std::to_string(number(v)) + "." + std::to_string(d)
                                : std::to_string(type.getDimSize(d));
  };
  auto cost = [&](const std::string &flops, ArrayRef<NamedAttribute> more = {}) {
    SmallVector<NamedAttribute> fields(more);
    fields.push_back(b.getNamedAttr("flops", b.getStringAttr(flops)));
    return b.getDictionaryAttr(fields);
  };
  if (auto product = dyn_cast<GroupedMatmulOp>(op)) {
    Value out = product.getOuts().front();
    std::string rows = dim(out, 0);
    std::string flops = std::to_string(2 * product.getWeights().size()) + " * " + rows + " * " + dim(out, 1) + " * " +
                        dim(product.getX(), 1);
    if (!product.getOffsets())
      return cost(flops);
    SmallVector<int64_t> banks;
    for (Value weight : product.getWeights())
      banks.push_back(number(weight));
    int64_t groups = cast<ShapedType>(product.getWeights().front().getType()).getDimSize(0);
    return cost(flops,
                {b.getNamedAttr("banks", b.getDenseI64ArrayAttr(banks)),
                 b.getNamedAttr("groups", b.getI64IntegerAttr(groups)), b.getNamedAttr("rows", b.getStringAttr(rows))});
  }
  if (auto product = dyn_cast<RowProductOp>(op)) {
    std::string rows = dim(product.getPosition(), 0);
    auto weights = cast<ShapedType>(product.getWeights().getType());
    int64_t depth = weights.getDimSize(2) * weights.getDimSize(4), groups = weights.getDimSize(0);
    std::string flops = "2 * " + rows + " * " + std::to_string(static_cast<int64_t>(product.getColumns()) * depth);
    if (groups == 1)
      return cost(flops);
    SmallVector<int64_t> banks = {number(product.getWeights())};
    if (product.getWeightScales())
      banks.push_back(number(product.getWeightScales()));
    return cost(flops,
                {b.getNamedAttr("banks", b.getDenseI64ArrayAttr(banks)),
                 b.getNamedAttr("groups", b.getI64IntegerAttr(groups)), b.getNamedAttr("rows", b.getStringAttr(rows))});
  }
  if (auto outer = dyn_cast<GroupedOuterProductOp>(op))
    return cost("2 * " + dim(outer.getX(), 0) + " * " + dim(outer.getDy(), 1) + " * " + dim(outer.getX(), 1));
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    Value q = attention.getQuery(), k = attention.getKey(), v = attention.getValue();
    return cost("2 * " + dim(q, 0) + " * " + dim(q, 1) + " * " + dim(q, 2) + " * " + dim(k, 2) + " * (" + dim(q, 3) +
                " + " + dim(v, 3) + ")");
  }
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    if (!linalg::isaContractionOpInterface(linalgOp))
      return cost("0");
    // Each loop runs over a dim of some operand.
    std::string flops = "2";
    for (unsigned loop = 0; loop < linalgOp.getNumLoops(); ++loop) {
      std::string extent;
      for (OpOperand &operand : op->getOpOperands())
        for (auto [d, expr] : llvm::enumerate(linalgOp.getMatchingIndexingMap(&operand).getResults()))
          if (expr == getAffineDimExpr(loop, op->getContext()))
            extent = dim(operand.get(), d);
      if (extent.empty())
        return {};
      flops += " * " + extent;
    }
    return cost(flops);
  }
  // Everything else of the dialect moves data; what computes products says so above.
  if (isa<RouteOp, DispatchOp, CombineOp, RmsNormOp, RopeOp, SwigluOp, TopKOp, ScatterOp, ScanOp, SortOp, NonZeroOp,
          QuantizeBlocksOp, DequantizeBlocksOp, RouteRowsOp, ListRowsOp, QuantizeRowsOp, CopyRowsOp>(op))
    return cost("0");
  return {};
}

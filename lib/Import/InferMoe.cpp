//===- InferMoe.cpp - moe ops that stand among onnx ops while raising -----===//
#include "InferOp.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

/// Results of moe ops follow from their operands as their `inferResultSizes` says; here in expressions.
LogicalResult OpInference::moeOp() {
  auto put = [&](unsigned i, Dims shape) {
    results[i].shape = std::move(shape);
    results[i].element = cast<ShapedType>(op->getResult(i).getType()).getElementType();
  };
  if (op->getNumResults() == 0)
    return success();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](RouteOp route) {
        Dims shape = {dims(route.getLogits())[0], number(route.getK())};
        put(0, shape);
        put(1, shape);
        return success();
      })
      .Case([&](ExpertsOp experts) {
        int64_t width = cast<ShapedType>(op->getResult(0).getType()).getDimSize(1);
        put(0, {dims(experts.getX())[0], ShapedType::isDynamic(width) ? AffineExpr() : number(width)});
        return success();
      })
      .Case([&](AttentionOp attention) {
        Dims shape = dims(attention.getQuery());
        shape[3] = dims(attention.getValue())[3];
        put(0, shape);
        return success();
      })
      .Case<RmsNormOp, RopeOp, SwigluOp, ScanOp, ScatterOp>([&](auto same) {
        put(0, dims(op->getOperand(0)));
        return success();
      })
      .Case([&](CombineOp combine) {
        Dims shape = {AffineExpr(), dims(combine.getY())[1]};
        if (combine.getWeights())
          shape[0] = dims(combine.getWeights())[0];
        put(0, shape);
        return success();
      })
      .Case([&](TopKOp top) {
        Dims shape = dims(top.getX());
        shape.back() = number(top.getK());
        put(0, shape);
        put(1, shape);
        return success();
      })
      .Case([&](SortOp sort) {
        put(0, dims(sort.getX()));
        put(1, dims(sort.getX()));
        return success();
      })
      .Default([&](Operation *) {
        // The rest is read from the types.
        for (auto [i, result] : llvm::enumerate(op->getResults())) {
          Dims shape;
          for (int64_t size : cast<ShapedType>(result.getType()).getShape())
            shape.push_back(ShapedType::isDynamic(size) ? AffineExpr() : number(size));
          put(i, shape);
        }
        return success();
      });
}
